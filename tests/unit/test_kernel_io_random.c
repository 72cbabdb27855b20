/* SPDX-License-Identifier: Apache-2.0 */
/* The generator is ChaCha20 as RFC 8439 has it, forgets its past, and is stirred by what the device gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/random.h"

static struct lampo_boot_info info;
struct lampo_boot_info *boot_info = &info;

static unsigned requests;
void rng_request(void)
{
	requests++;
	random_mix("fresh entropy", 13);
}

static void the_block_function_gives_the_test_vector(void **state)
{
	/* RFC 8439, 2.3.2 */
	static const uint8_t expected[64] = {
	    0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4,
	    0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e,
	    0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa, 0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2,
	    0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e,
	};
	const uint32_t nonce[3] = {0x09000000, 0x4a000000, 0};
	uint32_t key[8];
	uint8_t out[64];
	(void)state;
	for (unsigned i = 0; i < 32; i++)
		((uint8_t *)key)[i] = (uint8_t)i;
	chacha20_block(key, 1, nonce, out);
	assert_memory_equal(out, expected, sizeof(out));
}

static void the_seed_is_used_once_and_erased(void **state)
{
	static const uint8_t zero[64];
	uint8_t a[100], b[100];
	(void)state;
	memset(info.random, 0x5c, sizeof(info.random));
	arch_random(a, sizeof(a));
	assert_memory_equal(info.random, zero, sizeof(zero));
	arch_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

static void every_length_is_filled_and_no_more(void **state)
{
	uint8_t data[300];
	(void)state;
	for (size_t n = 0; n < 260; n++) {
		memset(data, 0xee, sizeof(data));
		arch_random(data, n);
		assert_int_equal(data[n], 0xee);
		unsigned same = 0;
		for (size_t i = 0; i < n; i++)
			same += data[i] == 0xee;
		assert_true(n < 16 || same < n / 2);
	}
}

static void bits_are_balanced(void **state)
{
	static uint8_t data[1 << 16];
	uint64_t ones = 0;
	(void)state;
	arch_random(data, sizeof(data));
	for (size_t i = 0; i < sizeof(data); i++)
		ones += (uint64_t)__builtin_popcount(data[i]);
	/* 524288 bits: six standard deviations are 2172 */
	assert_in_range(ones, 262144 - 2172, 262144 + 2172);
}

static void it_asks_for_entropy_after_a_mebibyte(void **state)
{
	static uint8_t data[1 << 16];
	(void)state;
	requests = 0;
	for (unsigned i = 0; i < 40; i++)
		arch_random(data, sizeof(data));
	assert_in_range(requests, 2, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_block_function_gives_the_test_vector),
	    cmocka_unit_test(the_seed_is_used_once_and_erased),
	    cmocka_unit_test(every_length_is_filled_and_no_more),
	    cmocka_unit_test(bits_are_balanced),
	    cmocka_unit_test(it_asks_for_entropy_after_a_mebibyte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
