/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building from a hostile base image: its tree is loaded, copied as FROM does, and written again. An input is changes
 * to an image that the writer made: offset (2 bytes), length - 1 (1 byte), bytes, and so on.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "image/build_tree.h"
#include "image/tree_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define WRITE_MAX (1u << 20) /* bytes of files that are written */

static uint8_t base[65536];
static size_t base_bytes;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static struct tree_node *add(struct tree *tree, struct build_contents *contents, const char *path, uint32_t mode,
			     const char *text)
{
	struct build_place place;

	require(build_walk(tree, path, BUILD_WALK_MAKE, 1, 2, &place) == 0);
	require(tree_add(tree, place.dir, place.name, strlen(place.name), mode, &place.node) == 0);
	if (S_ISREG(mode))
		require(build_contents_add_memory(contents, place.node->inode, text, strlen(text)) == 0);
	if (S_ISLNK(mode))
		require(tree_set_target(place.node->inode, text, strlen(text)) == 0);
	return place.node;
}

static int write_tree(struct tree *tree, const struct build_contents *contents, int fd, struct err *err)
{
	const struct image_limits limits = {.image_bytes = 16 << 20, .file_bytes = 16 << 20};
	struct image_writer *writer = NULL;
	struct image_digest digest;
	int code = image_writer_open(&writer, fd, &limits, err);

	if (code == 0)
		code = build_tree_write(tree, contents, writer, 1000, NULL, err);
	if (code == 0)
		code = image_writer_finish(writer, tree, "{}", &digest, err);
	image_writer_close(writer);
	return code;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char large[9000];
	struct build_contents contents = {0};
	struct tree *tree = tree_new();
	struct tree_node *node;
	struct err err = {0};
	int fd = memfd_create("image", 0);
	(void)argc;
	(void)argv;

	require(tree != NULL && fd >= 0);
	memset(large, 'x', sizeof(large) - 1);
	struct tree_node *one = add(tree, &contents, "/usr/bin/one", S_IFREG | 0755, "small");
	add(tree, &contents, "/usr/bin/large", S_IFREG | 0755, large);
	add(tree, &contents, "/bin", S_IFLNK | 0777, "usr/bin");
	add(tree, &contents, "/a/b/c/d", S_IFDIR | 0700, NULL);
	add(tree, &contents, "/null", S_IFCHR | 0666, NULL)->inode->rdev_major = 1;
	require(tree_set_xattr(one->inode, "user.x", "value", 5) == 0);
	require(tree_link(tree, tree_root(tree), "two", 3, one->inode, &node) == 0);
	require(write_tree(tree, &contents, fd, &err) == 0);
	ssize_t n = pread(fd, base, sizeof(base), 0);
	require(n > 0 && n < (ssize_t)sizeof(base));
	base_bytes = (size_t)n;
	close(fd);
	tree_free(tree);
	build_contents_free(&contents);
	return 0;
}

static void apply_changes(uint8_t *image, size_t bytes, const uint8_t *data, size_t size)
{
	while (size > 3) {
		size_t at = (size_t)(data[0] | data[1] << 8) % bytes;
		size_t length = min_u64(min_u64(data[2] % 64 + 1u, size - 3), bytes - at);
		memcpy(image + at, data + 3, length);
		data += 3 + length;
		size -= 3 + length;
	}
}

static void build(struct image_file *image)
{
	struct build_contents contents = {0};
	struct tree *from = tree_new(), *to = tree_new();
	struct build_copy copy = {.tree = to, .uid = -1, .gid = -1, .mode = -1};
	struct err err = {0};
	uint64_t total = 0;

	require(from != NULL && to != NULL);
	if (tree_image_load(from, &contents, image, &err) == 0) {
		require(build_copy_children(&copy, tree_root(from), tree_root(to)) == 0);
		require(tree_node_count(from) == tree_node_count(to));
		for (size_t i = 0; i < contents.count; i++)
			total += min_u64(contents.list[i].bytes, WRITE_MAX);
		int fd = total < WRITE_MAX ? memfd_create("image", 0) : -1;
		if (fd >= 0) {
			int code = write_tree(to, &contents, fd, &err);
			require(code == 0 || err.text[0] != '\0');
			close(fd);
		}
	} else {
		require(err.code < 0 && err.text[0] != '\0');
	}
	build_copy_fini(&copy);
	tree_free(from);
	tree_free(to);
	build_contents_free(&contents);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of exactly its size, so that the sanitizer sees every byte too many. */
	uint8_t *copy = malloc(base_bytes);
	struct image_file image = {.fd = -1, .map = copy, .bytes = base_bytes};

	require(copy != NULL);
	memcpy(copy, base, base_bytes);
	apply_changes(copy, base_bytes, data, size);
	if (erofs_open(&image.erofs, copy, base_bytes, NULL, NULL) == 0)
		build(&image);
	free(copy);
	return 0;
}
