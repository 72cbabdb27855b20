/* SPDX-License-Identifier: Apache-2.0 */
#include "base/verity.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

#define DATA_BLOCKS_MAX (1ull << 40)

int verity_layout(struct verity_layout *layout, uint64_t data_blocks)
{
	uint64_t blocks = data_blocks, at = 0;

	memset(layout, 0, sizeof(*layout));
	if (data_blocks == 0 || data_blocks > DATA_BLOCKS_MAX)
		return -EINVAL;
	layout->data_blocks = data_blocks;
	while (blocks > 1) {
		blocks = (blocks + VERITY_HASHES - 1) / VERITY_HASHES;
		layout->blocks[layout->levels++] = blocks;
	}
	/* The root's level comes first in the file. */
	for (unsigned level = layout->levels; level-- > 0;) {
		layout->first[level] = at;
		at += layout->blocks[level];
	}
	layout->tree_blocks = at;
	return 0;
}

uint64_t verity_checked_bytes(const struct verity_layout *layout)
{
	return (layout->data_blocks + layout->tree_blocks + 63) / 64 * 8;
}

static bool is_checked(const struct verity *verity, uint64_t bit)
{
	return __atomic_load_n(&verity->checked[bit / 64], __ATOMIC_RELAXED) >> bit % 64 & 1;
}

static void set_checked(struct verity *verity, uint64_t bit)
{
	__atomic_fetch_or(&verity->checked[bit / 64], 1ull << bit % 64, __ATOMIC_RELAXED);
}

/* Where the hash of block `block` of what is below `level` (the data: 0) stands: in that level, or for the topmost it
 * is the root. */
static const uint8_t *expected_hash(const struct verity *verity, unsigned level, uint64_t block)
{
	if (level == verity->layout.levels)
		return verity->root;
	uint64_t in_tree = verity->layout.first[level] + block / VERITY_HASHES;
	return verity->tree + in_tree * VERITY_BLOCK + block % VERITY_HASHES * SHA256_BYTES;
}

/* Whether the hash blocks above a data block are what the root says. */
static bool tree_is_good(struct verity *verity, uint64_t block)
{
	const struct verity_layout *layout = &verity->layout;
	uint64_t index[VERITY_LEVELS_MAX];
	unsigned top = 0;

	/* Up to the first that was checked before, and down again: a hash is believed only once its own block is. */
	for (uint64_t i = block / VERITY_HASHES; top < layout->levels; top++, i /= VERITY_HASHES) {
		if (is_checked(verity, layout->data_blocks + layout->first[top] + i))
			break;
		index[top] = i;
	}
	while (top-- > 0) {
		uint64_t in_tree = layout->first[top] + index[top];
		uint8_t hash[SHA256_BYTES];
		sha256(verity->tree + in_tree * VERITY_BLOCK, VERITY_BLOCK, hash);
		if (memcmp(hash, expected_hash(verity, top + 1, index[top]), SHA256_BYTES) != 0)
			return false;
		set_checked(verity, layout->data_blocks + in_tree);
	}
	return true;
}

uint64_t verity_check_some(struct verity *verity, uint64_t first, unsigned count)
{
	uint8_t hashes[8][SHA256_BYTES];
	uint64_t good = 0;

	if (first >= verity->layout.data_blocks)
		return 0;
	if (count > verity->layout.data_blocks - first)
		count = (unsigned)(verity->layout.data_blocks - first);
	for (unsigned i = 0, run; i < count; i += run) {
		for (run = 0; run < countof(hashes) && i + run < count && !is_checked(verity, first + i + run); run++)
			;
		if (run == 0) {
			good |= 1ull << i;
			run = 1;
			continue;
		}
		sha256_each(verity->data + (first + i) * VERITY_BLOCK, VERITY_BLOCK, run, hashes);
		for (unsigned k = 0; k < run; k++) {
			uint64_t block = first + i + k;
			if (!tree_is_good(verity, block) ||
			    memcmp(hashes[k], expected_hash(verity, 0, block), SHA256_BYTES) != 0)
				continue;
			set_checked(verity, block);
			good |= 1ull << (i + k);
		}
	}
	return good;
}

int verity_check(struct verity *verity, uint64_t block)
{
	if (block >= verity->layout.data_blocks)
		return -EINVAL;
	if (is_checked(verity, block) || verity_check_some(verity, block, 1) == 1)
		return 0;
	return -EIO;
}

void verity_build(const struct verity_layout *layout, const uint8_t (*hashes)[SHA256_BYTES], uint8_t *tree,
		  uint8_t root[SHA256_BYTES])
{
	const uint8_t *below = (const uint8_t *)hashes;
	uint64_t count = layout->data_blocks;

	for (unsigned level = 0; level < layout->levels; level++) {
		uint8_t *to = tree + layout->first[level] * VERITY_BLOCK;
		uint64_t blocks = layout->blocks[level];

		if (level == 0)
			memmove(to, below, count * SHA256_BYTES);
		else
			sha256_each(below, VERITY_BLOCK, count, (uint8_t(*)[SHA256_BYTES])to);
		memset(to + count * SHA256_BYTES, 0, blocks * VERITY_BLOCK - count * SHA256_BYTES);
		below = to;
		count = blocks;
	}
	if (layout->levels == 0)
		memcpy(root, hashes, SHA256_BYTES);
	else
		sha256(tree, VERITY_BLOCK, root);
}
