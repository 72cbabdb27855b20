/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 with the SHA instructions (Intel SDM volume 2, SHA256RNDS2 and its neighbours), as one assembly statement:
 * nucleo is compiled without vector registers and runs with the program's in place, so every register is saved and
 * restored here, and only legacy encodings are used, which leave the upper halves alone.
 */
#include <cpuid.h>

#include "base/sha256_blocks.h"

#define CPUID_7_EBX_SHA (1u << 29)
#define CPUID_1_ECX_SSSE3 (1u << 9)

bool sha256_ni_present(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & CPUID_1_ECX_SSSE3))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & CPUID_7_EBX_SHA);
}

/* xmm0: words plus constants (implied by sha256rnds2). xmm1: the state's ABEF, xmm2: CDGH, highest first. xmm3 to xmm6:
 * the last 16 words of the message schedule. xmm7: scratch. xmm8: byte order. xmm9, xmm10: the state before the block.
 */
/* clang-format off */
#define SAVE(n) "movdqu %%xmm" #n ", 16*" #n "(%[saved])\n\t"
#define RESTORE(n) "movdqu 16*" #n "(%[saved]), %%xmm" #n "\n\t"
#define ALL(what) what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7) what(8) what(9) what(10)

/* Four rounds, number 4 * group and on, with the words in m. */
#define ROUNDS(group, m) \
	"movdqa 16*" #group "(%[constants]), %%xmm0\n\t" \
	"paddd %%xmm" #m ", %%xmm0\n\t" \
	"sha256rnds2 %%xmm1, %%xmm2\n\t" \
	"pshufd $0x0e, %%xmm0, %%xmm0\n\t" \
	"sha256rnds2 %%xmm2, %%xmm1\n\t"

/* The first 16 words come from the message. */
#define LOAD(group, m) \
	"movdqu 16*" #group "(%[data]), %%xmm" #m "\n\t" \
	"pshufb %%xmm8, %%xmm" #m "\n\t"

/* m becomes the next four words; m1, m2, m3: the ones after its present, oldest first. */
#define SCHEDULE(m, m1, m2, m3) \
	"sha256msg1 %%xmm" #m1 ", %%xmm" #m "\n\t" \
	"movdqa %%xmm" #m3 ", %%xmm7\n\t" \
	"palignr $4, %%xmm" #m2 ", %%xmm7\n\t" \
	"paddd %%xmm7, %%xmm" #m "\n\t" \
	"sha256msg2 %%xmm" #m3 ", %%xmm" #m "\n\t"

#define SIXTEEN(g0, g1, g2, g3) \
	SCHEDULE(3, 4, 5, 6) ROUNDS(g0, 3) \
	SCHEDULE(4, 5, 6, 3) ROUNDS(g1, 4) \
	SCHEDULE(5, 6, 3, 4) ROUNDS(g2, 5) \
	SCHEDULE(6, 3, 4, 5) ROUNDS(g3, 6)

static const uint8_t swap_bytes[16] __attribute__((aligned(16))) = {
	3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12,
};

void sha256_blocks_ni(uint32_t state[8], const uint8_t *data, size_t blocks)
{
	uint8_t saved[11 * 16];

	if (blocks == 0)
		return;
	/* No clobbered vector registers: all are restored. */
	__asm__ volatile(
		ALL(SAVE)
		"movdqa (%[swap]), %%xmm8\n\t"
		/* DCBA and HGFE become ABEF and CDGH. */
		"movdqu (%[state]), %%xmm3\n\t"
		"movdqu 16(%[state]), %%xmm2\n\t"
		"pshufd $0xb1, %%xmm3, %%xmm3\n\t"
		"pshufd $0x1b, %%xmm2, %%xmm2\n\t"
		"movdqa %%xmm3, %%xmm1\n\t"
		"palignr $8, %%xmm2, %%xmm1\n\t"
		"shufpd $2, %%xmm3, %%xmm2\n\t"
		"1:\n\t"
		"movdqa %%xmm1, %%xmm9\n\t"
		"movdqa %%xmm2, %%xmm10\n\t"
		LOAD(0, 3) ROUNDS(0, 3)
		LOAD(1, 4) ROUNDS(1, 4)
		LOAD(2, 5) ROUNDS(2, 5)
		LOAD(3, 6) ROUNDS(3, 6)
		SIXTEEN(4, 5, 6, 7)
		SIXTEEN(8, 9, 10, 11)
		SIXTEEN(12, 13, 14, 15)
		"paddd %%xmm9, %%xmm1\n\t"
		"paddd %%xmm10, %%xmm2\n\t"
		"addq $64, %[data]\n\t"
		"decq %[blocks]\n\t"
		"jnz 1b\n\t"
		/* And back. */
		"pshufd $0x1b, %%xmm1, %%xmm1\n\t"
		"pshufd $0xb1, %%xmm2, %%xmm2\n\t"
		"movdqa %%xmm1, %%xmm3\n\t"
		"shufpd $2, %%xmm2, %%xmm1\n\t"
		"palignr $8, %%xmm3, %%xmm2\n\t"
		"movdqu %%xmm1, (%[state])\n\t"
		"movdqu %%xmm2, 16(%[state])\n\t"
		ALL(RESTORE)
		: [data] "+r"(data), [blocks] "+r"(blocks)
		: [state] "r"(state), [constants] "r"(sha256_constants), [swap] "r"(swap_bytes), [saved] "r"(saved)
		: "cc", "memory");
}

/* The same for two messages: the rounds of one use the time that those of the other wait for their results. xmm1, xmm2: the first
 * one's state, xmm3, xmm4: the other's; xmm5 to xmm8 and xmm9 to xmm12: their words; xmm13: scratch; xmm14: byte order. */
#define ALL_OF_PAIR(what) ALL(what) what(11) what(12) what(13) what(14)

#define PAIR_ROUNDS(group, a, b) \
	"movdqa 16*" #group "(%[constants]), %%xmm0\n\t" \
	"paddd %%xmm" #a ", %%xmm0\n\t" \
	"sha256rnds2 %%xmm1, %%xmm2\n\t" \
	"pshufd $0x0e, %%xmm0, %%xmm0\n\t" \
	"sha256rnds2 %%xmm2, %%xmm1\n\t" \
	"movdqa 16*" #group "(%[constants]), %%xmm0\n\t" \
	"paddd %%xmm" #b ", %%xmm0\n\t" \
	"sha256rnds2 %%xmm3, %%xmm4\n\t" \
	"pshufd $0x0e, %%xmm0, %%xmm0\n\t" \
	"sha256rnds2 %%xmm4, %%xmm3\n\t"

#define PAIR_LOAD(group, a, b) \
	"movdqu 16*" #group "(%[a]), %%xmm" #a "\n\t" \
	"movdqu 16*" #group "(%[b]), %%xmm" #b "\n\t" \
	"pshufb %%xmm14, %%xmm" #a "\n\t" \
	"pshufb %%xmm14, %%xmm" #b "\n\t" \
	PAIR_ROUNDS(group, a, b)

#define PAIR_SCHEDULE(m, m1, m2, m3) \
	"sha256msg1 %%xmm" #m1 ", %%xmm" #m "\n\t" \
	"movdqa %%xmm" #m3 ", %%xmm13\n\t" \
	"palignr $4, %%xmm" #m2 ", %%xmm13\n\t" \
	"paddd %%xmm13, %%xmm" #m "\n\t" \
	"sha256msg2 %%xmm" #m3 ", %%xmm" #m "\n\t"

#define PAIR_SIXTEEN(g0, g1, g2, g3) \
	PAIR_SCHEDULE(5, 6, 7, 8) PAIR_SCHEDULE(9, 10, 11, 12) PAIR_ROUNDS(g0, 5, 9) \
	PAIR_SCHEDULE(6, 7, 8, 5) PAIR_SCHEDULE(10, 11, 12, 9) PAIR_ROUNDS(g1, 6, 10) \
	PAIR_SCHEDULE(7, 8, 5, 6) PAIR_SCHEDULE(11, 12, 9, 10) PAIR_ROUNDS(g2, 7, 11) \
	PAIR_SCHEDULE(8, 5, 6, 7) PAIR_SCHEDULE(12, 9, 10, 11) PAIR_ROUNDS(g3, 8, 12)

/* abcd and efgh (highest last) in memory to ABEF and CDGH, and back. */
#define PAIR_STATE_IN(state, abef, cdgh) \
	"movdqu (%[" state "]), %%xmm13\n\t" \
	"movdqu 16(%[" state "]), %%xmm" #cdgh "\n\t" \
	"pshufd $0xb1, %%xmm13, %%xmm13\n\t" \
	"pshufd $0x1b, %%xmm" #cdgh ", %%xmm" #cdgh "\n\t" \
	"movdqa %%xmm13, %%xmm" #abef "\n\t" \
	"palignr $8, %%xmm" #cdgh ", %%xmm" #abef "\n\t" \
	"shufpd $2, %%xmm13, %%xmm" #cdgh "\n\t"
#define PAIR_STATE_OUT(state, abef, cdgh) \
	"pshufd $0x1b, %%xmm" #abef ", %%xmm" #abef "\n\t" \
	"pshufd $0xb1, %%xmm" #cdgh ", %%xmm" #cdgh "\n\t" \
	"movdqa %%xmm" #abef ", %%xmm13\n\t" \
	"shufpd $2, %%xmm" #cdgh ", %%xmm" #abef "\n\t" \
	"palignr $8, %%xmm13, %%xmm" #cdgh "\n\t" \
	"movdqu %%xmm" #abef ", (%[" state "])\n\t" \
	"movdqu %%xmm" #cdgh ", 16(%[" state "])\n\t"

void sha256_pair_ni(uint32_t state[2][8], const uint8_t *a, const uint8_t *b, size_t blocks)
{
	uint8_t saved[15 * 16];
	uint8_t before[4 * 16] __attribute__((aligned(16)));

	if (blocks == 0)
		return;
	__asm__ volatile(
		ALL_OF_PAIR(SAVE)
		"movdqa (%[swap]), %%xmm14\n\t"
		PAIR_STATE_IN("state_a", 1, 2)
		PAIR_STATE_IN("state_b", 3, 4)
		"1:\n\t"
		"movdqa %%xmm1, (%[before])\n\t"
		"movdqa %%xmm2, 16(%[before])\n\t"
		"movdqa %%xmm3, 32(%[before])\n\t"
		"movdqa %%xmm4, 48(%[before])\n\t"
		PAIR_LOAD(0, 5, 9) PAIR_LOAD(1, 6, 10) PAIR_LOAD(2, 7, 11) PAIR_LOAD(3, 8, 12)
		PAIR_SIXTEEN(4, 5, 6, 7)
		PAIR_SIXTEEN(8, 9, 10, 11)
		PAIR_SIXTEEN(12, 13, 14, 15)
		"paddd (%[before]), %%xmm1\n\t"
		"paddd 16(%[before]), %%xmm2\n\t"
		"paddd 32(%[before]), %%xmm3\n\t"
		"paddd 48(%[before]), %%xmm4\n\t"
		"addq $64, %[a]\n\t"
		"addq $64, %[b]\n\t"
		"decq %[blocks]\n\t"
		"jnz 1b\n\t"
		PAIR_STATE_OUT("state_a", 1, 2)
		PAIR_STATE_OUT("state_b", 3, 4)
		ALL_OF_PAIR(RESTORE)
		: [a] "+r"(a), [b] "+r"(b), [blocks] "+r"(blocks)
		: [state_a] "r"(state[0]), [state_b] "r"(state[1]), [constants] "r"(sha256_constants), [swap] "r"(swap_bytes),
		  [saved] "r"(saved), [before] "r"(before)
		: "cc", "memory");
}
/* clang-format on */
