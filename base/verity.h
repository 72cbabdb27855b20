/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree of an image, in the layout of Linux's dm-verity (hash type 1, SHA-256, 4 KiB data and hash blocks, no
 * salt, no superblock): levels from the root's down to the one over the data, each padded to whole blocks; a hash
 * block holds 128 hashes, unused ones zero. The root is the hash of the topmost block; of the data block itself if
 * there is only one (then there is no tree). docs/spec/image.md, and the kernel's
 * Documentation/admin-guide/device-mapper/verity.rst.
 */
#ifndef LAMPO_BASE_VERITY_H
#define LAMPO_BASE_VERITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sha256.h"

#define VERITY_BLOCK 4096u
#define VERITY_LEVELS_MAX 9u
#define VERITY_HASHES 128u /* in a block */

struct verity_layout {
	uint64_t data_blocks, tree_blocks;
	unsigned levels;                   /* 0 if there is one data block */
	uint64_t first[VERITY_LEVELS_MAX]; /* first block of a level within the tree; level 0 is over the data */
	uint64_t blocks[VERITY_LEVELS_MAX];
};

/* -EINVAL for 0 blocks or more than 2^40. */
int verity_layout(struct verity_layout *layout, uint64_t data_blocks);

/* Checks blocks as they are read, each once: `checked` has a bit for each data block, then one for each tree block. */
struct verity {
	struct verity_layout layout;
	const uint8_t *data, *tree; /* mapped; may change under us, which is what this is about */
	uint8_t root[SHA256_BYTES];
	uint64_t *checked; /* owner's, zeroed: verity_checked_bytes() long; set atomically, so threads may share it */
};

uint64_t verity_checked_bytes(const struct verity_layout *layout);
/* 0 if data block `block` and the hashes above it are what the root says; -EIO if not; -EINVAL beyond the end. */
int verity_check(struct verity *verity, uint64_t block);
/* The same of up to 64 blocks from `first` on, in less time: a bit for each that is, the first one's lowest. */
uint64_t verity_check_some(struct verity *verity, uint64_t first, unsigned count);

/* Builds the tree: hashes holds the data blocks' hashes in order; tree has room for layout->tree_blocks blocks. hashes
 * may begin where tree does: they are moved to their place first. */
void verity_build(const struct verity_layout *layout, const uint8_t (*hashes)[SHA256_BYTES], uint8_t *tree,
		  uint8_t root[SHA256_BYTES]);

#endif
