/* SPDX-License-Identifier: Apache-2.0 */
/* Random trees, written and read back: what comes back is what was there, and fsck.erofs agrees. The seed is fixed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "tests/unit/image_sample.h"

#define TREES 30u
#define CONTENT_MAX 300000u

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

/* Sizes near the borders that matter: nothing, inline, blocks, holes. */
static uint32_t random_size(void)
{
	static const uint32_t borders[] = {0, 1, 2048, 4096, 8192, 65536, 131072, CONTENT_MAX - 4};
	uint32_t size = borders[random_below(countof(borders))] + random_below(7);

	return size >= 3 ? size - 3 : 0;
}

/* The content of an inode follows from its mtime; every other 64 KiB may be zeros. */
static void content_make(uint8_t *data, uint32_t bytes, const struct tree_inode *inode)
{
	sample_fill(data, bytes, (uint32_t)inode->mtime);
	for (uint32_t at = 0; at < bytes; at += 65536) {
		if ((inode->mtime >> at / 65536 & 3) == 3)
			memset(data + at, 0, min_u64(65536, bytes - at));
	}
}

static void random_attributes(struct tree_inode *inode)
{
	static const char *const prefixes[] = {"user.", "trusted.", "security."};
	static uint8_t value[5000];
	char name[64];

	inode->mode |= random_below(010000);
	inode->uid = random_below(UINT32_MAX);
	inode->gid = random_below(70000);
	inode->mtime = random_below(1 << 20);
	inode->mtime_ns = random_below(1000000000);
	for (uint32_t i = random_below(10) < 3 ? random_below(6) : 0; i > 0; i--) {
		snprintf(name, sizeof(name), "%sx%0*u", prefixes[random_below(3)], (int)random_below(40) + 1, i);
		sample_fill(value, sizeof(value), i);
		assert_int_equal(tree_set_xattr(inode, name, value, random_below(random_below(20) == 0 ? 5000 : 60)),
				 0);
	}
}

static void random_node(struct tree *tree, struct image_writer *writer, struct tree_node **dirs, uint32_t *dir_count)
{
	static const uint32_t types[] = {S_IFREG, S_IFREG, S_IFREG, S_IFREG, S_IFDIR,
					 S_IFLNK, S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK};
	static uint8_t data[CONTENT_MAX + 10];
	struct tree_node *dir = dirs[random_below(*dir_count)], *node, *other;
	uint32_t type = types[random_below(countof(types))],
		 length = random_below(20) == 0 ? 200 + random_below(56) : 1 + random_below(12);
	char name[256], target[TREE_TARGET_MAX + 1];
	struct err err;

	for (uint32_t i = 0; i < length; i++)
		name[i] = (char)("abcABC.-_\xc3\xff!"[random_below(12)]);
	if (tree_find(dir, name, length) || tree_add(tree, dir, name, length, type, &node) < 0)
		return;
	random_attributes(node->inode);
	if (type == S_IFDIR && *dir_count < 40)
		dirs[(*dir_count)++] = node;
	if (type == S_IFCHR || type == S_IFBLK) {
		node->inode->rdev_major = random_below(4096);
		node->inode->rdev_minor = random_below(1 << 20);
	}
	if (type == S_IFLNK) {
		memset(target, 'x', sizeof(target));
		assert_int_equal(
		    tree_set_target(node->inode, target, 1 + random_below(random_below(4) ? 60 : TREE_TARGET_MAX)), 0);
	}
	if (type == S_IFREG) {
		uint32_t size = random_size();
		content_make(data, size, node->inode);
		assert_int_equal(image_writer_start(writer, &err), 0);
		assert_int_equal(image_writer_write(writer, data, size, &err), 0);
		assert_int_equal(image_writer_end(writer, &node->inode->data, &err), 0);
	}
	if (type != S_IFDIR && random_below(10) == 0)
		(void)tree_link(tree, dirs[random_below(*dir_count)], name, length, node->inode, &other);
}

static void compare_xattrs(const struct erofs *fs, const struct erofs_inode *inode, const struct tree_inode *expected)
{
	struct erofs_xattr xattr;
	uint32_t position = 0;

	for (const struct tree_xattr *x = expected->xattrs; x; x = x->next) {
		assert_int_equal(erofs_xattr(fs, inode, &position, &xattr), 1);
		assert_string_equal(xattr.name, x->name);
		assert_int_equal(xattr.value_bytes, x->value_bytes);
		assert_memory_equal(xattr.value, x->value, x->value_bytes);
	}
	assert_int_equal(erofs_xattr(fs, inode, &position, &xattr), 0);
}

static void compare_content(const struct erofs *fs, const struct erofs_inode *inode, const struct tree_inode *expected)
{
	static uint8_t data[CONTENT_MAX + 10], wanted[CONTENT_MAX + 10];

	if (S_ISREG(expected->mode)) {
		assert_int_equal(inode->size, expected->data.bytes);
		content_make(wanted, (uint32_t)inode->size, expected);
	} else if (S_ISLNK(expected->mode)) {
		assert_int_equal(inode->size, strlen(expected->target));
		memcpy(wanted, expected->target, inode->size);
	} else {
		return;
	}
	assert_int_equal(erofs_read(fs, inode, 0, data, sizeof(data)), inode->size);
	assert_memory_equal(data, wanted, inode->size);
}

static void compare_inode(const struct erofs *fs, uint64_t nid, const struct tree_inode *expected)
{
	struct erofs_inode inode;
	uint32_t major, minor;

	assert_int_equal(erofs_inode(fs, nid, &inode), 0);
	assert_int_equal(inode.mode, expected->mode);
	assert_int_equal(inode.uid, expected->uid);
	assert_int_equal(inode.gid, expected->gid);
	assert_int_equal(inode.mtime, expected->mtime);
	assert_int_equal(inode.mtime_ns, expected->mtime_ns);
	if (!S_ISDIR(expected->mode))
		assert_int_equal(inode.nlink, expected->links);
	if (S_ISCHR(expected->mode) || S_ISBLK(expected->mode)) {
		erofs_rdev(&inode, &major, &minor);
		assert_int_equal(major, expected->rdev_major);
		assert_int_equal(minor, expected->rdev_minor);
	}
	compare_xattrs(fs, &inode, expected);
	compare_content(fs, &inode, expected);
}

static void compare_dir(const struct erofs *fs, uint64_t nid, struct tree_node *dir)
{
	struct tree_node **children = tree_sorted(dir);
	struct erofs_inode inode;
	struct erofs_entry entry;
	uint64_t position = 0, found;
	uint32_t next = 0;

	compare_inode(fs, nid, dir->inode);
	assert_int_equal(erofs_inode(fs, nid, &inode), 0);
	while (erofs_list(fs, &inode, &position, &entry) == 1) {
		if (entry.name[0] == '.' && (entry.length == 1 || (entry.length == 2 && entry.name[1] == '.')))
			continue;
		struct tree_node *child = children[next++];
		assert_int_equal(entry.length, child->name_length);
		assert_memory_equal(entry.name, child->name, entry.length);
		assert_int_equal(entry.type, child->inode->mode >> 12);
		assert_int_equal(erofs_lookup(fs, &inode, child->name, child->name_length, &found, NULL), 0);
		assert_int_equal(found, entry.nid);
		if (S_ISDIR(child->inode->mode))
			compare_dir(fs, entry.nid, child);
		else
			compare_inode(fs, entry.nid, child->inode);
	}
	assert_int_equal(next, dir->child_count);
}

static void test_random_trees_come_back(void **state)
{
	const struct image_limits limits = IMAGE_LIMITS_DEFAULT;
	(void)state;

	for (unsigned i = 0; i < TREES; i++) {
		struct tree *tree = tree_new();
		struct tree_node *dirs[40] = {tree_root(tree)};
		uint32_t dir_count = 1, nodes = random_below(i % 5 == 0 ? 1500 : 150);
		struct image_writer *writer;
		struct image_digest digest;
		struct image_file image;
		struct err err;
		int fd = sample_file();

		assert_int_equal(image_writer_open(&writer, fd, &limits, &err), 0);
		for (uint32_t k = 0; k < nodes; k++)
			random_node(tree, writer, dirs, &dir_count);
		assert_int_equal(image_writer_finish(writer, tree, SAMPLE_CONFIG, &digest, &err), 0);
		image_writer_close(writer);
		int status = sample_fsck(fd);
		assert_true(status == 0 || status == -1);
		assert_int_equal(image_file_open(&image, fd, &digest, &err), 0);
		compare_dir(&image.erofs, image.erofs.root_nid, tree_root(tree));
		assert_int_equal(image_file_verify(&image, NULL, NULL, &err), 0);
		image_file_close(&image);
		tree_free(tree);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_trees_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
