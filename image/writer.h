/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes an image file (image/image_file.h) as its contents come: file data is laid down and hashed at once, everything
 * else when all is known. Equal trees whose data came in the same order give equal files. Order of calls: open; for
 * each file start, write or skip, end; finish; close.
 */
#ifndef LAMPO_IMAGE_WRITER_H
#define LAMPO_IMAGE_WRITER_H

#include "image/image_file.h"
#include "image/tree.h"

struct image_writer;

struct image_limits {
	uint64_t image_bytes; /* of the image file; -EFBIG beyond */
	uint64_t file_bytes;  /* of one file, holes included */
};
#define IMAGE_LIMITS_DEFAULT ((struct image_limits){.image_bytes = 64ull << 30, .file_bytes = 1ull << 40})

/* fd: an empty file, readable and writable; stays the caller's. */
int image_writer_open(struct image_writer **writer, int fd, const struct image_limits *limits, struct err *err);
/* Frees; the file is worth nothing unless finish succeeded. NULL is fine. */
void image_writer_close(struct image_writer *writer);

/* One file's contents; one at a time. Runs of zero blocks become holes by themselves. */
int image_writer_start(struct image_writer *writer, struct err *err);
int image_writer_write(struct image_writer *writer, const void *data, size_t bytes, struct err *err);
int image_writer_skip(struct image_writer *writer, uint64_t bytes, struct err *err); /* a hole */
/* Fills *data (what it had is freed). */
int image_writer_end(struct image_writer *writer, struct tree_data *data, struct err *err);
uint64_t image_writer_bytes(const struct image_writer *writer); /* so far */

/* Space of files that were replaced meanwhile is squeezed out; then metadata, configuration, tree and footer. No fsync.
 * Once only: the tree then has the places of this image. */
int image_writer_finish(struct image_writer *writer, struct tree *tree, const char *config_json,
			struct image_digest *digest, struct err *err);

#endif
