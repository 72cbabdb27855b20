/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a fuzzer's input apart. Past its end everything is zero. */
#ifndef LAMPO_TESTS_FUZZ_INPUT_H
#define LAMPO_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct input {
	const uint8_t *at;
	size_t left;
};

static inline void input_bytes(struct input *in, void *to, size_t bytes)
{
	size_t have = bytes < in->left ? bytes : in->left;
	memset(to, 0, bytes);
	if (have > 0)
		memcpy(to, in->at, have);
	in->at += have;
	in->left -= have;
}
static inline uint8_t input_u8(struct input *in)
{
	uint8_t x;
	input_bytes(in, &x, sizeof(x));
	return x;
}
static inline uint16_t input_u16(struct input *in)
{
	uint16_t x;
	input_bytes(in, &x, sizeof(x));
	return x;
}
static inline uint32_t input_u32(struct input *in)
{
	uint32_t x;
	input_bytes(in, &x, sizeof(x));
	return x;
}
static inline uint64_t input_u64(struct input *in)
{
	uint64_t x;
	input_bytes(in, &x, sizeof(x));
	return x;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
