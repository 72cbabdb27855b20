/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256: the vectors of FIPS 180-4 and of NIST's CAVP, any split into pieces, both implementations, and the vector
 * registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/sha256.h"
#include "base/sha256_blocks.h"
#include "base/util.h"

static void expect(const void *data, size_t bytes, const char *hex)
{
	uint8_t digest[SHA256_BYTES];
	char text[2 * SHA256_BYTES + 1];

	sha256(data, bytes, digest);
	for (unsigned i = 0; i < SHA256_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(text, hex);
}

static void test_known_messages(void **state)
{
	static const uint8_t one = 0xd3, two[] = {0x11, 0xaf};
	const char *long_text = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	const char *longer_text =
	    "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
	    "mnopqrstnopqrstu";
	(void)state;

	expect("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	expect(long_text, strlen(long_text), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	expect(longer_text, strlen(longer_text), "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
	/* SHA256ShortMsg.rsp, 8 and 16 bits */
	expect(&one, 1, "28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1");
	expect(two, 2, "5ca7133fa735326081558ac312c620eeca9970d1e70a4b95533d956f072d1f98");
}

static void test_a_million_letters(void **state)
{
	char *text = malloc(1000000);
	(void)state;

	memset(text, 'a', 1000000);
	expect(text, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(text);
}

static void fill(uint8_t *data, size_t bytes)
{
	uint32_t x = 12345;

	for (size_t i = 0; i < bytes; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (uint8_t)(x >> 24);
	}
}

static void test_pieces_give_the_same_as_the_whole(void **state)
{
	uint8_t data[300], whole[SHA256_BYTES], pieces[SHA256_BYTES];
	(void)state;

	fill(data, sizeof(data));
	for (size_t bytes = 0; bytes <= sizeof(data); bytes++) {
		sha256(data, bytes, whole);
		for (size_t step = 1; step <= 130; step += 3) {
			struct sha256 hash;
			sha256_init(&hash);
			for (size_t at = 0; at < bytes; at += step)
				sha256_update(&hash, data + at, min_u64(step, bytes - at));
			sha256_final(&hash, pieces);
			assert_memory_equal(whole, pieces, SHA256_BYTES);
		}
	}
}

static void need_instructions(void)
{
	if (!sha256_ni_present()) {
		print_message("skipped: this CPU has no SHA instructions\n");
		skip();
	}
}

static void test_both_implementations_agree(void **state)
{
	uint8_t data[64 * 33];
	(void)state;

	need_instructions();
	fill(data, sizeof(data));
	for (size_t blocks = 0; blocks <= 32; blocks++) {
		/* Any alignment. */
		for (size_t shift = 0; shift < 16; shift += 5) {
			uint32_t a[8] = {1, 2, 3, 4, 5, 6, 7, (uint32_t)blocks}, b[8];
			memcpy(b, a, sizeof(b));
			sha256_blocks_ni(a, data + shift, blocks);
			sha256_blocks_portable(b, data + shift, blocks);
			assert_memory_equal(a, b, sizeof(a));
		}
	}
}

/* Fills all vector registers, calls, and stores them: one statement, so that the compiler uses none in between. */
#define LOAD(n) "vmovdqu 32*" #n "(%[in]), %%ymm" #n "\n\t"
#define STORE(n) "vmovdqu %%ymm" #n ", 32*" #n "(%[out])\n\t"
#define ALL(what)                                                                                                      \
	what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7) what(8) what(9) what(10) what(11) what(12)     \
	    what(13) what(14) what(15)
/* The arguments go where the calling convention wants them: rdi, rsi, rdx, rcx. */
static void call_with_registers(void (*function)(void), const uint8_t *in, uint8_t *out, void *first,
				const uint8_t *data, uint64_t third, uint64_t fourth)
{
	register const uint8_t *in_kept __asm__("r12") = in;
	register uint8_t *out_kept __asm__("r13") = out;
	register uint64_t stack __asm__("rbx") = 0;

	__asm__ volatile("movq %%rsp, %%rbx\n\t"
			 "subq $128, %%rsp\n\t"
			 "andq $-16, %%rsp\n\t" ALL(LOAD) "call *%[function]\n\t" ALL(STORE) "vzeroupper\n\t"
											     "movq %%rbx, %%rsp\n\t"
			 : "+D"(first), "+S"(data), "+d"(third), "+c"(fourth), "+r"(stack)
			 : [in] "r"(in_kept), [out] "r"(out_kept), [function] "a"(function)
			 : "r8", "r9", "r10", "r11", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
			   "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static void test_vector_registers_survive(void **state)
{
	uint8_t in[16 * 32], out[16 * 32], data[64 * 4];
	uint32_t a[2][8] = {{9, 8, 7}, {6, 5, 4}}, b[2][8] = {{9, 8, 7}, {6, 5, 4}};
	(void)state;

	need_instructions();
	if (!__builtin_cpu_supports("avx")) {
		print_message("skipped: this CPU has no AVX\n");
		skip();
	}
	fill(in, sizeof(in));
	fill(data, sizeof(data));
	memset(out, 0, sizeof(out));
	call_with_registers((void (*)(void))sha256_blocks_ni, in, out, a[0], data, 4, 0);
	assert_memory_equal(in, out, sizeof(in));
	sha256_blocks_portable(b[0], data, 4);
	assert_memory_equal(a, b, sizeof(a));
	memset(out, 0, sizeof(out));
	call_with_registers((void (*)(void))sha256_pair_ni, in, out, a, data, (uint64_t)(data + 64), 3);
	assert_memory_equal(in, out, sizeof(in));
	sha256_blocks_portable(b[0], data, 3);
	sha256_blocks_portable(b[1], data + 64, 3);
	assert_memory_equal(a, b, sizeof(a));
}

static void test_each_is_one_by_one(void **state)
{
	static uint8_t data[7 * 4096];
	uint8_t one[SHA256_BYTES], each[8][SHA256_BYTES];
	(void)state;

	fill(data, sizeof(data));
	for (size_t bytes = 64; bytes <= 4096; bytes *= 4) {
		for (size_t count = 0; count <= 7; count++) {
			memset(each, 0xee, sizeof(each));
			sha256_each(data, bytes, count, each);
			for (size_t i = 0; i < count; i++) {
				sha256(data + i * bytes, bytes, one);
				assert_memory_equal(each[i], one, SHA256_BYTES);
			}
			assert_int_equal(each[count][0], 0xee);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_known_messages),
	    cmocka_unit_test(test_a_million_letters),
	    cmocka_unit_test(test_pieces_give_the_same_as_the_whole),
	    cmocka_unit_test(test_both_implementations_agree),
	    cmocka_unit_test(test_vector_registers_survive),
	    cmocka_unit_test(test_each_is_one_by_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
