/* SPDX-License-Identifier: Apache-2.0 */
/* A store of its own for each test, and the smallest image files that count as such. */
#ifndef LAMPO_TESTS_UNIT_IMAGE_STORE_FIXTURE_H
#define LAMPO_TESTS_UNIT_IMAGE_STORE_FIXTURE_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/store.h"
#include "run/fd.h"

#define FIXTURE_DATA_BLOCKS 3u /* superblock, a block that depends on `seed`, configuration */
#define FIXTURE_BYTES ((FIXTURE_DATA_BLOCKS + 2) * VERITY_BLOCK)
#define FIXTURE_CONFIG "{\"architecture\":\"amd64\",\"os\":\"linux\"}"

static char fixture_dir[64];
static struct err fixture_err;

static inline int fixture_setup(void **state)
{
	(void)state;
	snprintf(fixture_dir, sizeof(fixture_dir), "/tmp/lampo-store-XXXXXX");
	if (mkdtemp(fixture_dir) == NULL)
		return -1;
	memset(&fixture_err, 0, sizeof(fixture_err));
	return setenv("LAMPO_DATA", fixture_dir, 1);
}

static inline int fixture_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline int fixture_teardown(void **state)
{
	(void)state;
	return nftw(fixture_dir, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* The bytes of an image, and its digest. */
static inline void fixture_image(uint8_t bytes[FIXTURE_BYTES], unsigned seed, struct image_digest *digest)
{
	struct erofs_disk_super super = {.magic = EROFS_MAGIC, .block_bits = 12, .blocks = 2};
	struct image_footer footer = {
	    .magic = IMAGE_MAGIC,
	    .version = IMAGE_VERSION,
	    .footer_bytes = sizeof(footer),
	    .erofs_bytes = 2 * VERITY_BLOCK,
	    .config_bytes = strlen(FIXTURE_CONFIG),
	    .data_blocks = FIXTURE_DATA_BLOCKS,
	    .tree_blocks = 1,
	};
	uint8_t hashes[FIXTURE_DATA_BLOCKS][SHA256_BYTES];
	struct verity_layout layout;

	memset(bytes, 0, FIXTURE_BYTES);
	memcpy(bytes + EROFS_SUPER_OFFSET, &super, sizeof(super));
	memcpy(bytes + VERITY_BLOCK, &seed, sizeof(seed));
	memcpy(bytes + 2 * VERITY_BLOCK, FIXTURE_CONFIG, strlen(FIXTURE_CONFIG));
	for (unsigned i = 0; i < FIXTURE_DATA_BLOCKS; i++)
		sha256(bytes + i * VERITY_BLOCK, VERITY_BLOCK, hashes[i]);
	verity_layout(&layout, FIXTURE_DATA_BLOCKS);
	verity_build(&layout, hashes, bytes + FIXTURE_DATA_BLOCKS * VERITY_BLOCK, footer.root);
	memcpy(bytes + FIXTURE_BYTES - VERITY_BLOCK, &footer, sizeof(footer));
	sha256(&footer, sizeof(footer), digest->bytes);
}

/* Writes the image into a draft and commits it; the result of that. */
static inline int fixture_commit(struct store *store, unsigned seed, const char *name, struct image_digest *digest)
{
	uint8_t bytes[FIXTURE_BYTES];
	struct store_draft draft;

	fixture_image(bytes, seed, digest);
	int code = store_draft_open(store, &draft, &fixture_err);
	if (code == 0)
		code = fd_write_all(draft.fd, bytes, sizeof(bytes));
	return code < 0 ? code : store_draft_commit(store, &draft, digest, name, NULL, &fixture_err);
}

/* The path of something in the store, in a buffer that the next call uses again. */
static inline const char *fixture_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", fixture_dir, name);
	return path;
}

static inline const char *fixture_image_path(const struct image_digest *digest)
{
	char text[IMAGE_DIGEST_TEXT], name[128];

	image_digest_format(digest, text);
	snprintf(name, sizeof(name), "images/sha256/%s", text + strlen("sha256:"));
	return fixture_path(name);
}

#endif
