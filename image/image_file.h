/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image file (docs/spec/image.md): an EROFS file system, the image's configuration, a Merkle tree over both, and a
 * footer.
 *
 *   offset                what
 *   0                     EROFS, erofs_bytes (whole blocks)
 *   erofs_bytes           OCI image configuration (JSON), config_bytes, zero-padded to whole blocks
 *   data_blocks * 4096    the Merkle tree (base/verity.h), tree_blocks
 *   ...                   struct image_footer, one block, the file's last
 *
 * The image's digest is the SHA-256 of the footer block. As the footer has the tree's root, the digest stands for every
 * byte of the file, and any part can be verified alone, when it is read.
 */
#ifndef LAMPO_IMAGE_IMAGE_FILE_H
#define LAMPO_IMAGE_IMAGE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/erofs.h"
#include "base/host/err.h"
#include "base/verity.h"

#define IMAGE_MAGIC 0x474d496f706d614cull /* "LampoIMG" */
#define IMAGE_VERSION 1u
#define IMAGE_FILE_MAX (1ull << 42)
#define IMAGE_CONFIG_MAX (1u << 20)

struct image_footer {
	uint64_t magic;
	uint32_t version, footer_bytes; /* 4096 */
	uint64_t erofs_bytes, config_bytes, data_blocks, tree_blocks;
	uint8_t root[SHA256_BYTES];
	uint8_t reserved[4096 - 80];
};
_Static_assert(sizeof(struct image_footer) == VERITY_BLOCK, "one block");

struct image_digest {
	uint8_t bytes[SHA256_BYTES];
};
#define IMAGE_DIGEST_TEXT 72u /* "sha256:" + 64 + NUL */
void image_digest_format(const struct image_digest *digest, char text[IMAGE_DIGEST_TEXT]);
/* "sha256:" and 64 lower-case digits, nothing else: 0 or -EINVAL */
int image_digest_parse(struct image_digest *digest, const char *text);

/* An image that is open: mapped, read-only. It stays where it is: erofs refers to verity. */
struct image_file {
	int fd;
	const uint8_t *map;
	uint64_t bytes;
	struct image_footer footer; /* checked copy */
	struct image_digest digest;
	struct verity verity;
	struct erofs erofs; /* verifies what it reads */
};

/* Checks a footer block against itself and the file's size; fills no more than *digest. -EUCLEAN with *err. */
int image_footer_check(const struct image_footer *footer, uint64_t file_bytes, struct image_digest *digest,
		       struct err *err);
/* Takes over fd (also on failure). expected: the digest it must have; NULL: any. Reads the footer only. */
int image_file_open(struct image_file *image, int fd, const struct image_digest *expected, struct err *err);
void image_file_close(struct image_file *image);
/* The configuration, verified, terminated; malloc'd. */
int image_file_config(struct image_file *image, char **json, struct err *err);
/* Verifies every block. -EIO: *err names the first bad one. progress may be NULL. */
int image_file_verify(struct image_file *image, void (*progress)(void *, uint64_t done, uint64_t total), void *context,
		      struct err *err);

#endif
