/* SPDX-License-Identifier: Apache-2.0 */
/* The Merkle tree: its shape, and that every changed byte of data or tree is noticed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "base/verity.h"

static void test_shape(void **state)
{
	struct verity_layout layout;
	(void)state;

	assert_int_equal(verity_layout(&layout, 1), 0);
	assert_int_equal(layout.levels, 0);
	assert_int_equal(layout.tree_blocks, 0);
	assert_int_equal(verity_layout(&layout, 2), 0);
	assert_int_equal(layout.levels, 1);
	assert_int_equal(layout.tree_blocks, 1);
	assert_int_equal(verity_layout(&layout, 128), 0);
	assert_int_equal(layout.tree_blocks, 1);
	/* The root's level first. */
	assert_int_equal(verity_layout(&layout, 129), 0);
	assert_int_equal(layout.levels, 2);
	assert_int_equal(layout.tree_blocks, 3);
	assert_int_equal(layout.first[1], 0);
	assert_int_equal(layout.first[0], 1);
	assert_int_equal(verity_layout(&layout, 128 * 128 + 1), 0);
	assert_int_equal(layout.levels, 3);
	assert_int_equal(layout.tree_blocks, 1 + 2 + 129);
}

static void test_sizes_out_of_range(void **state)
{
	struct verity_layout layout;
	(void)state;

	assert_int_equal(verity_layout(&layout, 0), -EINVAL);
	assert_int_equal(verity_layout(&layout, (1ull << 40) + 1), -EINVAL);
	assert_int_equal(verity_layout(&layout, UINT64_MAX), -EINVAL);
	assert_int_equal(verity_layout(&layout, 1ull << 40), 0);
	assert_true(layout.levels <= VERITY_LEVELS_MAX);
}

struct sample {
	struct verity verity;
	uint8_t *data, *tree;
	uint64_t blocks;
};

static void sample_make(struct sample *s, uint64_t blocks)
{
	uint8_t(*hashes)[SHA256_BYTES] = calloc(blocks, SHA256_BYTES);

	memset(s, 0, sizeof(*s));
	s->blocks = blocks;
	s->data = malloc(blocks * VERITY_BLOCK);
	for (uint64_t i = 0; i < blocks; i++) {
		memset(s->data + i * VERITY_BLOCK, (int)i, VERITY_BLOCK);
		memcpy(s->data + i * VERITY_BLOCK, &i, sizeof(i));
		sha256(s->data + i * VERITY_BLOCK, VERITY_BLOCK, hashes[i]);
	}
	assert_int_equal(verity_layout(&s->verity.layout, blocks), 0);
	s->tree = malloc(s->verity.layout.tree_blocks * VERITY_BLOCK + 1);
	verity_build(&s->verity.layout, (const uint8_t(*)[SHA256_BYTES])hashes, s->tree, s->verity.root);
	s->verity.data = s->data;
	s->verity.tree = s->tree;
	s->verity.checked = calloc(1, verity_checked_bytes(&s->verity.layout));
	free(hashes);
}

static void sample_forget(struct sample *s) { memset(s->verity.checked, 0, verity_checked_bytes(&s->verity.layout)); }

static void sample_free(struct sample *s)
{
	free(s->data);
	free(s->tree);
	free(s->verity.checked);
}

static void test_good_blocks_pass(void **state)
{
	static const uint64_t sizes[] = {1, 2, 127, 128, 129, 300};
	(void)state;

	for (unsigned i = 0; i < countof(sizes); i++) {
		struct sample s;
		sample_make(&s, sizes[i]);
		for (uint64_t block = 0; block < s.blocks; block++)
			assert_int_equal(verity_check(&s.verity, block), 0);
		assert_int_equal(verity_check(&s.verity, s.blocks), -EINVAL);
		assert_int_equal(verity_check(&s.verity, UINT64_MAX), -EINVAL);
		sample_free(&s);
	}
}

static void test_changed_data_is_noticed(void **state)
{
	struct sample s;
	(void)state;

	sample_make(&s, 130);
	for (uint64_t block = 0; block < s.blocks; block++) {
		s.data[block * VERITY_BLOCK + block * 31] ^= 1;
		sample_forget(&s);
		for (uint64_t other = 0; other < s.blocks; other++)
			assert_int_equal(verity_check(&s.verity, other), other == block ? -EIO : 0);
		s.data[block * VERITY_BLOCK + block * 31] ^= 1;
		/* A failure is not remembered as a success. */
		assert_int_equal(verity_check(&s.verity, block), 0);
	}
	sample_free(&s);
}

static void test_changed_tree_is_noticed(void **state)
{
	struct sample s;
	(void)state;

	sample_make(&s, 130);
	for (uint64_t at = 0; at < s.verity.layout.tree_blocks * VERITY_BLOCK; at += 61) {
		uint64_t in_tree = at / VERITY_BLOCK, failed = 0;
		s.tree[at] ^= 0x80;
		sample_forget(&s);
		for (uint64_t block = 0; block < s.blocks; block++)
			failed += verity_check(&s.verity, block) == -EIO;
		/* Whoever is below that hash block. */
		assert_int_equal(failed, in_tree == 0 ? 130 : in_tree == 1 ? 128 : 2);
		s.tree[at] ^= 0x80;
	}
	sample_free(&s);
}

static void test_changed_root_is_noticed(void **state)
{
	struct sample s;
	(void)state;

	sample_make(&s, 1);
	s.verity.root[31] ^= 1;
	assert_int_equal(verity_check(&s.verity, 0), -EIO);
	sample_free(&s);
	sample_make(&s, 5);
	s.verity.root[0] ^= 1;
	for (uint64_t block = 0; block < 5; block++)
		assert_int_equal(verity_check(&s.verity, block), -EIO);
	sample_free(&s);
}

static void test_each_block_is_hashed_once(void **state)
{
	struct sample s;
	(void)state;

	sample_make(&s, 130);
	assert_int_equal(verity_check(&s.verity, 7), 0);
	/* Nobody looks again, neither at the block nor at the tree above it. */
	s.data[7 * VERITY_BLOCK] ^= 1;
	assert_int_equal(verity_check(&s.verity, 7), 0);
	s.tree[0] ^= 1;
	assert_int_equal(verity_check(&s.verity, 8), 0);
	assert_int_equal(verity_check(&s.verity, 129), 0);
	sample_free(&s);
}

static void test_some_are_as_one_by_one(void **state)
{
	struct sample s;
	(void)state;

	sample_make(&s, 200);
	for (uint64_t first = 0; first < 210; first += 23) {
		uint64_t want = 0;
		sample_forget(&s);
		for (uint64_t bad = 0; bad < 200; bad += 7)
			s.data[bad * VERITY_BLOCK + bad] ^= 1;
		for (unsigned i = 0; i < 64; i++)
			want |= (uint64_t)(verity_check(&s.verity, first + i) == 0) << i;
		sample_forget(&s);
		if (first % 2 != 0) /* some are known already */
			verity_check(&s.verity, first + 5);
		assert_true(verity_check_some(&s.verity, first, 64) == want);
		assert_true(verity_check_some(&s.verity, first, 64) == want);
		assert_true(verity_check_some(&s.verity, first, 3) == (want & 7));
		for (uint64_t bad = 0; bad < 200; bad += 7)
			s.data[bad * VERITY_BLOCK + bad] ^= 1;
	}
	sample_forget(&s);
	s.tree[VERITY_BLOCK] ^= 1; /* over the first 128 */
	assert_true(verity_check_some(&s.verity, 100, 64) == ~0ull << 28);
	s.tree[VERITY_BLOCK] ^= 1;
	sample_free(&s);
}

static void test_hashes_may_be_where_the_tree_comes(void **state)
{
	uint8_t hashes[300][SHA256_BYTES], apart[4 * VERITY_BLOCK], in_place[4 * VERITY_BLOCK];
	uint8_t root[SHA256_BYTES], again[SHA256_BYTES];
	struct verity_layout layout;
	(void)state;

	for (unsigned i = 0; i < countof(hashes); i++)
		memset(hashes[i], (int)i, SHA256_BYTES);
	assert_int_equal(verity_layout(&layout, countof(hashes)), 0);
	assert_int_equal(layout.tree_blocks, 4);
	memset(in_place, 0xee, sizeof(in_place));
	memcpy(in_place, hashes, sizeof(hashes));
	verity_build(&layout, (const uint8_t(*)[SHA256_BYTES])hashes, apart, root);
	verity_build(&layout, (const uint8_t(*)[SHA256_BYTES])in_place, in_place, again);
	assert_memory_equal(apart, in_place, sizeof(apart));
	assert_memory_equal(root, again, sizeof(root));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shape),
	    cmocka_unit_test(test_sizes_out_of_range),
	    cmocka_unit_test(test_good_blocks_pass),
	    cmocka_unit_test(test_changed_data_is_noticed),
	    cmocka_unit_test(test_changed_tree_is_noticed),
	    cmocka_unit_test(test_changed_root_is_noticed),
	    cmocka_unit_test(test_each_block_is_hashed_once),
	    cmocka_unit_test(test_hashes_may_be_where_the_tree_comes),
	    cmocka_unit_test(test_some_are_as_one_by_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
