/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/image_sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

int sample_file(void)
{
	int fd = memfd_create("image", 0);

	assert_true(fd >= 0);
	return fd;
}

void sample_fill(uint8_t *data, size_t bytes, uint32_t seed)
{
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < bytes; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(x >> 24 | 1);
	}
}

struct tree_node *sample_add(struct tree *tree, const char *path, uint32_t mode)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct tree_node *dir = tree_root(tree), *node;

	if (slash) {
		char *parent = strndup(path, (size_t)(slash - path));
		assert_int_equal(tree_walk(tree, parent, true, &dir), 0);
		free(parent);
	}
	assert_int_equal(tree_add(tree, dir, name, strlen(name), mode, &node), 0);
	return node;
}

struct tree_inode *sample_add_file(struct tree *tree, struct image_writer *writer, const char *path, const void *data,
				   size_t bytes)
{
	struct tree_inode *inode = sample_add(tree, path, S_IFREG | 0644)->inode;
	struct err err;

	assert_int_equal(image_writer_start(writer, &err), 0);
	assert_int_equal(image_writer_write(writer, data, bytes, &err), 0);
	assert_int_equal(image_writer_end(writer, &inode->data, &err), 0);
	return inode;
}

static void add_special(struct tree *tree)
{
	struct tree_inode *inode;
	char target[3001];

	inode = sample_add(tree, "dev/null", S_IFCHR | 0666)->inode;
	inode->rdev_major = 1;
	inode->rdev_minor = 3;
	inode = sample_add(tree, "dev/disk", S_IFBLK | 0660)->inode;
	inode->rdev_major = 0xabc;
	inode->rdev_minor = 0x54321;
	sample_add(tree, "dev/pipe", S_IFIFO | 0600);
	sample_add(tree, "dev/socket", S_IFSOCK | 0755);
	assert_int_equal(tree_set_target(sample_add(tree, "bin", S_IFLNK | 0777)->inode, "usr/bin", 7), 0);
	memset(target, 'x', sizeof(target));
	target[3000] = '\0';
	assert_int_equal(tree_set_target(sample_add(tree, "long-link", S_IFLNK | 0777)->inode, target, 3000), 0);
}

static void add_sparse(struct tree *tree, struct image_writer *writer)
{
	struct tree_inode *inode = sample_add(tree, "sparse", S_IFREG | 0600)->inode;
	uint8_t data[5000];
	struct err err;

	sample_fill(data, sizeof(data), 3);
	assert_int_equal(image_writer_start(writer, &err), 0);
	assert_int_equal(image_writer_skip(writer, 200000, &err), 0);
	assert_int_equal(image_writer_write(writer, data, sizeof(data), &err), 0);
	assert_int_equal(image_writer_skip(writer, 300000, &err), 0);
	assert_int_equal(image_writer_end(writer, &inode->data, &err), 0);
}

void sample_tree(struct tree *tree, struct image_writer *writer)
{
	static uint8_t data[20000];
	struct tree_node *node, *dir;
	char name[256];

	sample_fill(data, sizeof(data), 1);
	struct tree_inode *inode = sample_add_file(tree, writer, "usr/bin/program", data, sizeof(data));
	inode->mode = S_IFREG | 04755;
	inode->uid = 1000;
	inode->gid = 70000;
	inode->mtime = 1700000000;
	inode->mtime_ns = 123456789;
	assert_int_equal(tree_set_xattr(inode, "security.capability", "\1\0\0\2", 4), 0);
	assert_int_equal(tree_set_xattr(inode, "user.empty", "", 0), 0);
	assert_int_equal(tree_walk(tree, "usr/bin", false, &dir), 0);
	assert_int_equal(tree_link(tree, dir, "alias", 5, inode, &node), 0);
	sample_add_file(tree, writer, "etc/small", "hello\n", 6);
	sample_add_file(tree, writer, "etc/empty", "", 0);
	sample_add_file(tree, writer, "etc/block", data, 4096);
	sample_add_file(tree, writer, "etc/inline", data, 2048);
	sample_add_file(tree, writer, "etc/not-inline", data, 2049);
	inode = sample_add_file(tree, writer, "etc/attributes", data, 100);
	assert_int_equal(tree_set_xattr(inode, "user.large", data, 9000), 0);
	assert_int_equal(tree_set_xattr(inode, "trusted.overlay.x", "y", 1), 0);
	assert_int_equal(tree_set_xattr(inode, "system.posix_acl_access", data, 28), 0);
	add_special(tree);
	add_sparse(tree, writer);
	memset(name, 'n', 255);
	name[255] = '\0';
	sample_add_file(tree, writer, name, data, 10);
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "many/%c%d", "!.-aZ\xff"[i % 6], i * 7919 % 1000);
		sample_add(tree, name, S_IFREG | 0444);
	}
}

int sample_image(struct image_digest *digest)
{
	struct image_limits limits = IMAGE_LIMITS_DEFAULT;
	struct image_writer *writer;
	struct tree *tree = tree_new();
	struct err err;
	int fd = sample_file();

	assert_int_equal(image_writer_open(&writer, fd, &limits, &err), 0);
	sample_tree(tree, writer);
	assert_int_equal(image_writer_finish(writer, tree, SAMPLE_CONFIG, digest, &err), 0);
	image_writer_close(writer);
	tree_free(tree);
	return fd;
}

int sample_fsck(int fd)
{
	char path[64], command[128];

	if (access("/usr/bin/fsck.erofs", X_OK) != 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	snprintf(command, sizeof(command), "fsck.erofs --extract %s >&2", path);
	int status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
