/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image files on their way between stores: as they are, or compressed by zstd. What arrives is verified twice, against
 * the blob's digest as it comes and, block by block, against its own Merkle tree and footer when it is complete.
 */
#ifndef LAMPO_IMAGE_WIRE_H
#define LAMPO_IMAGE_WIRE_H

#include "image/image_file.h"
#include "image/layer.h"
#include "image/manifest.h"

struct wire_blob {
	const char *media_type; /* MEDIA_LAMPO_LAYER or MEDIA_LAMPO_LAYER_ZSTD */
	struct image_digest digest;
	uint64_t bytes;
};

/* What an image is on the wire. compress: it is written to fd, an empty file; otherwise the blob is the image file
 * itself, and fd is not looked at. */
int wire_encode(struct image_file *image, bool compress, int fd, struct wire_blob *blob, struct err *err);
/* Writes the image that comes from `source` to fd, an empty file (a draft of the store), and verifies all of it.
 * expected: the image's digest; NULL: any. bytes_max: of the image file; -EFBIG beyond. *digest: what it is. */
int wire_decode(const struct layer_source *source, bool compressed, uint64_t bytes_max,
		const struct image_digest *expected, int fd, struct image_digest *digest, struct err *err);
/* The manifest of the artifact: one layer, the empty configuration. subject: what the image was made from, or NULL.
 * malloc'd; NULL: no memory. */
char *wire_manifest(const struct wire_blob *blob, const struct image_digest *image,
		    const struct manifest_descriptor *subject);

#endif
