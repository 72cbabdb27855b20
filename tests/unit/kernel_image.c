/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/kernel_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/writer.h"

uint8_t *kernel_image_bytes;
uint64_t kernel_image_erofs_bytes, kernel_image_file_bytes;
static struct tree *tree;
static struct image_writer *writer;
static struct verity verity;
static int fd = -1;
static struct err err;

static void must(int result)
{
	if (result < 0) {
		fprintf(stderr, "making an image: %d %s\n", result, err.text);
		abort();
	}
}

void kernel_image_begin(void)
{
	fd = memfd_create("image", MFD_CLOEXEC);
	tree = tree_new();
	must(image_writer_open(&writer, fd, &IMAGE_LIMITS_DEFAULT, &err));
}

static struct tree_node *node_at(const char *path)
{
	struct tree_node *node;

	must(tree_walk(tree, path, false, &node));
	return node;
}

static struct tree_node *parent_of(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];
	struct tree_node *node;

	*name = slash + 1;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	must(tree_walk(tree, dir, true, &node));
	return node;
}

static struct tree_inode *add(const char *path, uint32_t mode)
{
	const char *name;
	struct tree_node *dir = parent_of(path, &name), *node;

	must(tree_add(tree, dir, name, strlen(name), mode, &node));
	return node->inode;
}

void kernel_image_dir(const char *path, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct tree_inode *inode = strcmp(path, "/") == 0 ? tree_root(tree)->inode : add(path, S_IFDIR | mode);

	inode->mode = S_IFDIR | mode;
	inode->uid = uid;
	inode->gid = gid;
}

void kernel_image_file(const char *path, const void *data, uint64_t bytes, uint32_t mode)
{
	struct tree_inode *inode = add(path, S_IFREG | mode);

	must(image_writer_start(writer, &err));
	must(image_writer_write(writer, data, bytes, &err));
	must(image_writer_end(writer, &inode->data, &err));
}

void kernel_image_sparse(const char *path, const void *page, uint64_t at, uint64_t bytes)
{
	struct tree_inode *inode = add(path, S_IFREG | 0644);

	must(image_writer_start(writer, &err));
	must(image_writer_skip(writer, at, &err));
	must(image_writer_write(writer, page, 4096, &err));
	must(image_writer_skip(writer, bytes - at - 4096, &err));
	must(image_writer_end(writer, &inode->data, &err));
}

void kernel_image_symlink(const char *path, const char *target)
{
	must(tree_set_target(add(path, S_IFLNK | 0777), target, strlen(target)));
}

void kernel_image_link(const char *path, const char *existing)
{
	const char *name;
	struct tree_node *dir = parent_of(path, &name), *node;

	must(tree_link(tree, dir, name, strlen(name), node_at(existing)->inode, &node));
}

void kernel_image_node(const char *path, uint32_t mode, uint32_t major, uint32_t minor)
{
	struct tree_inode *inode = add(path, mode);

	inode->rdev_major = major;
	inode->rdev_minor = minor;
}

void kernel_image_xattr(const char *path, const char *name, const char *value)
{
	must(tree_set_xattr(node_at(path)->inode, name, value, strlen(value)));
}

void kernel_image_time(const char *path, int64_t seconds, uint32_t ns)
{
	struct tree_inode *inode = node_at(path)->inode;

	inode->mtime = seconds;
	inode->mtime_ns = ns;
}

void kernel_image_end(void)
{
	struct image_digest digest;
	struct image_footer footer;
	struct stat st;

	must(image_writer_finish(writer, tree, "{}", &digest, &err));
	image_writer_close(writer);
	tree_free(tree);
	must(fstat(fd, &st));
	free(kernel_image_bytes);
	kernel_image_file_bytes = (uint64_t)st.st_size;
	kernel_image_bytes = aligned_alloc(4096, kernel_image_file_bytes);
	if (pread(fd, kernel_image_bytes, kernel_image_file_bytes, 0) != st.st_size)
		abort();
	close(fd);
	memcpy(&footer, kernel_image_bytes + kernel_image_file_bytes - sizeof(footer), sizeof(footer));
	must(image_footer_check(&footer, kernel_image_file_bytes, &digest, &err));
	kernel_image_erofs_bytes = footer.erofs_bytes;
	free(verity.checked);
	verity =
	    (struct verity){.data = kernel_image_bytes, .tree = kernel_image_bytes + footer.data_blocks * VERITY_BLOCK};
	must(verity_layout(&verity.layout, footer.data_blocks));
	memcpy(verity.root, footer.root, sizeof(verity.root));
	verity.checked = calloc(1, verity_checked_bytes(&verity.layout));
}

void kernel_image_forget_verified(void) { memset(verity.checked, 0, verity_checked_bytes(&verity.layout)); }

uint64_t kernel_image_verify(uint64_t block, unsigned count)
{
	uint64_t good = 0;

	for (unsigned i = 0; i < count; i++)
		good |= (uint64_t)(verity_check(&verity, block + i) == 0) << i;
	return good;
}
