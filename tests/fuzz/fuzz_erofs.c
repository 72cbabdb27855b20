/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EROFS reader, nucleo's and the host's, over hostile bytes. An input is either a file system, or changes to one
 * that the writer made: offset (2 bytes), length - 1 (1 byte), bytes, and so on. What the superblock is refused for is
 * repaired in most inputs, so that they get deep.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "image/writer.h"
#include "tests/unit/erofs_exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static uint8_t base[65536];
static size_t base_bytes;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static struct tree_inode *add(struct tree *tree, const char *dir, const char *name, uint32_t mode)
{
	struct tree_node *parent, *node;

	require(tree_walk(tree, dir, true, &parent) == 0 &&
		tree_add(tree, parent, name, strlen(name), mode, &node) == 0);
	return node->inode;
}

static void add_files(struct tree *tree, struct image_writer *writer)
{
	static const char text[5000] = "text";
	static const struct {
		const char *name;
		size_t skip, bytes;
	} files[] = {{"small", 0, 100}, {"alias", 0, 5000}, {"sparse", 70000, 10}, {"program", 0, 4096}};
	struct err err;

	for (unsigned i = 0; i < countof(files); i++) {
		struct tree_inode *inode = add(tree, "usr/bin", files[i].name, S_IFREG | 0755);
		require(image_writer_start(writer, &err) == 0 && image_writer_skip(writer, files[i].skip, &err) == 0 &&
			image_writer_write(writer, text, files[i].bytes, &err) == 0 &&
			image_writer_end(writer, &inode->data, &err) == 0);
		require(tree_set_xattr(inode, "user.name", text, 40 * i) == 0 &&
			tree_set_xattr(inode, "security.x", "y", 1) == 0);
	}
	require(tree_set_target(add(tree, "", "bin", S_IFLNK | 0777), "usr/bin", 7) == 0);
	require(tree_set_target(add(tree, "", "loop", S_IFLNK | 0777), "../loop", 7) == 0);
	add(tree, "dev", "null", S_IFCHR | 0666)->rdev_major = 1;
	for (char name[] = "aa-a-long-name-to-fill-blocks"; name[1] <= 'o'; name[1]++)
		for (name[0] = 'a'; name[0] <= 'g'; name[0]++)
			add(tree, "a/b", name, S_IFREG | 0600);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct image_limits limits = IMAGE_LIMITS_DEFAULT;
	struct image_writer *writer;
	struct image_digest digest;
	struct tree *tree = tree_new();
	int fd = memfd_create("image", 0);
	struct err err;
	(void)argc;
	(void)argv;

	require(tree && fd >= 0 && image_writer_open(&writer, fd, &limits, &err) == 0);
	add_files(tree, writer);
	require(image_writer_finish(writer, tree, "{}", &digest, &err) == 0);
	image_writer_close(writer);
	tree_free(tree);
	ssize_t n = pread(fd, base, sizeof(base), 0);
	close(fd);
	require(n > 0 && n < (ssize_t)sizeof(base));
	base_bytes = (size_t)n;
	return 0;
}

static void apply_changes(uint8_t *fs, size_t bytes, const uint8_t *data, size_t size)
{
	while (size > 3) {
		size_t at = (size_t)(data[0] | data[1] << 8) % bytes;
		size_t length = min_u64(min_u64(data[2] % 64 + 1u, size - 3), bytes - at);
		memcpy(fs + at, data + 3, length);
		data += 3 + length;
		size -= 3 + length;
	}
}

static void repair(uint8_t *fs, size_t bytes)
{
	struct erofs_disk_super super;

	memcpy(&super, fs + EROFS_SUPER_OFFSET, sizeof(super));
	super.magic = EROFS_MAGIC;
	super.block_bits = 12;
	super.feature_incompat = EROFS_INCOMPAT_CHUNKED;
	super.extra_devices = 0;
	super.dir_block_bits = 0;
	super.build_time_ns %= 1000000000;
	super.blocks = (uint32_t)(bytes / EROFS_BLOCK);
	super.meta_block %= super.blocks;
	super.root_nid %= (uint16_t)(min_u64(100, super.blocks - super.meta_block) * (EROFS_BLOCK / EROFS_NID_BYTES));
	memcpy(fs + EROFS_SUPER_OFFSET, &super, sizeof(super));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct erofs fs;

	if (size == 0)
		return 0;
	bool whole = data[0] % 4 == 0, untouched = data[0] / 4 % 4 == 0;
	data++;
	size--;
	size_t bytes = whole ? size / EROFS_BLOCK * EROFS_BLOCK : base_bytes;
	if (bytes == 0)
		return 0;
	/* Of exactly its size, so that the sanitizer sees every byte too many. */
	uint8_t *copy = malloc(bytes);
	require(copy != NULL);
	memcpy(copy, whole ? data : base, bytes);
	if (!whole)
		apply_changes(copy, bytes, data, size);
	if (!untouched)
		repair(copy, bytes);
	if (erofs_open(&fs, copy, bytes, NULL, NULL) == 0)
		require(erofs_exercise(&fs, 60) >= 0);
	free(copy);
	return 0;
}
