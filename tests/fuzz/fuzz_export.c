/* SPDX-License-Identifier: Apache-2.0 */
/* An image's file system as a tar layer: a good one in which hostile bytes have been changed, whose blocks nobody
 * checks. Ends, in bounds. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "image/export_layer.h"
#include "image/writer.h"

#define MAKE(call)                                                                                                     \
	do {                                                                                                           \
		if ((call) != 0)                                                                                       \
			abort();                                                                                       \
	} while (0)

static uint8_t *good;
static uint64_t good_bytes;
static int sink = -1;

static void add(struct tree *tree, const char *path, uint32_t mode, struct tree_node **node)
{
	const char *slash = strrchr(path, '/');
	char parent[64] = "";
	struct tree_node *dir;

	if (slash != NULL)
		memcpy(parent, path, (size_t)(slash - path));
	MAKE(tree_walk(tree, parent, true, &dir));
	slash = slash != NULL ? slash + 1 : path;
	MAKE(tree_add(tree, dir, slash, strlen(slash), mode, node));
}

static void fill(struct image_writer *writer, struct tree_node *node, const void *data, size_t bytes, uint64_t hole)
{
	struct err err;

	MAKE(image_writer_start(writer, &err));
	MAKE(image_writer_write(writer, data, bytes, &err));
	MAKE(image_writer_skip(writer, hole, &err));
	MAKE(image_writer_write(writer, data, hole != 0 ? bytes : 0, &err));
	MAKE(image_writer_end(writer, &node->inode->data, &err));
}

/* A small image with everything in it. */
static void make(void)
{
	static uint8_t block[9000];
	struct image_writer *writer;
	struct image_digest digest;
	struct tree_node *node, *again;
	struct tree *tree = tree_new();
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct image_file image;
	struct err err;

	memset(block, 'b', sizeof(block));
	MAKE(image_writer_open(&writer, fd, &IMAGE_LIMITS_DEFAULT, &err));
	add(tree, "dir/file", S_IFREG | 0644, &node);
	fill(writer, node, block, sizeof(block), 0);
	MAKE(tree_set_xattr(node->inode, "user.a", "value", 5));
	MAKE(tree_link(tree, tree_root(tree), "hard", 4, node->inode, &again));
	add(tree, "dir/small", S_IFREG | 0600, &node);
	fill(writer, node, "small", 5, 0);
	add(tree, "dir/sub/sparse", S_IFREG | 0600, &node);
	fill(writer, node, block, 4096, 1u << 20);
	add(tree, "link", S_IFLNK | 0777, &node);
	MAKE(tree_set_target(node->inode, "dir/file", 8));
	add(tree, "null", S_IFCHR | 0666, &node);
	node->inode->rdev_major = 1;
	node->inode->rdev_minor = 3;
	add(tree, "fifo", S_IFIFO | 0666, &node);
	MAKE(image_writer_finish(writer, tree, "{}", &digest, &err));
	MAKE(image_file_open(&image, dup(fd), &digest, &err));
	good_bytes = image.footer.erofs_bytes;
	good = malloc(good_bytes);
	memcpy(good, image.map, good_bytes);
	image_file_close(&image);
	image_writer_close(writer);
	tree_free(tree);
	close(fd);
	sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_file image = {0};
	struct export_layer layer;
	struct err err = {0};

	if (good == NULL)
		make();
	uint8_t *bytes = malloc(good_bytes);
	memcpy(bytes, good, good_bytes);
	/* Where (an eighth of a block's offset is enough, metadata are aligned) and what. */
	for (; size >= 5; data += 5, size -= 5) {
		uint32_t at = (uint32_t)(data[0] | data[1] << 8 | data[2] << 16) % (uint32_t)good_bytes;
		bytes[at] = data[3];
		bytes[(at + 1) % good_bytes] ^= data[4];
	}
	if (erofs_open(&image.erofs, bytes, good_bytes, NULL, NULL) == 0) {
		int r = export_layer(&image, sink, size & 1, &layer, NULL, &err);
		if (r > 0 || (r < 0 && (err.code == 0 || err.text[0] == '\0')))
			abort();
	}
	free(bytes);
	return 0;
}
