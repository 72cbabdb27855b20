/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, FIPS 180-4. */
#include "base/sha256.h"

#include <string.h>

#include "base/sha256_blocks.h"

__attribute__((aligned(16))) const uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static uint32_t load_be32(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	return __builtin_bswap32(x);
}

/* 6.2.2: the schedule is kept as the last 16 words. */
static void block_portable(uint32_t state[8], const uint8_t *data)
{
	uint32_t w[16];
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
	uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

	for (unsigned t = 0; t < 64; t++) {
		if (t < 16) {
			w[t] = load_be32(data + 4 * t);
		} else {
			uint32_t x = w[(t + 1) % 16], y = w[(t + 14) % 16];
			w[t % 16] += (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + w[(t + 9) % 16] +
				     (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
		}
		uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) +
			      sha256_constants[t] + w[t % 16];
		uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
		h = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
	state[5] += f;
	state[6] += g;
	state[7] += h;
}

void sha256_blocks_portable(uint32_t state[8], const uint8_t *data, size_t blocks)
{
	for (; blocks > 0; blocks--, data += 64)
		block_portable(state, data);
}

static bool use_ni(void)
{
	/* CPUID leaves a virtual machine, which takes longer than hashing a block: asked once. Threads that
	 * ask at the same time get the same answer. */
	static int present = -1;
	int use = __atomic_load_n(&present, __ATOMIC_RELAXED);

	if (use < 0) {
		use = sha256_ni_present();
		__atomic_store_n(&present, use, __ATOMIC_RELAXED);
	}
	return use;
}

static void sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks)
{
	if (use_ni())
		sha256_blocks_ni(state, data, blocks);
	else
		sha256_blocks_portable(state, data, blocks);
}

static const uint32_t initial[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

void sha256_init(struct sha256 *hash)
{
	memcpy(hash->state, initial, sizeof(initial));
	hash->bytes = 0;
}

void sha256_update(struct sha256 *hash, const void *data, size_t bytes)
{
	const uint8_t *p = data;
	size_t have = hash->bytes % 64;

	if (bytes == 0)
		return;
	hash->bytes += bytes;
	if (have > 0) {
		size_t take = bytes < 64 - have ? bytes : 64 - have;
		memcpy(hash->block + have, p, take);
		if (have + take < 64)
			return;
		sha256_blocks(hash->state, hash->block, 1);
		p += take;
		bytes -= take;
	}
	if (bytes >= 64)
		sha256_blocks(hash->state, p, bytes / 64);
	memcpy(hash->block, p + bytes / 64 * 64, bytes % 64);
}

static void store_state(const uint32_t state[8], uint8_t digest[SHA256_BYTES])
{
	for (unsigned i = 0; i < 8; i++) {
		uint32_t word = __builtin_bswap32(state[i]);
		memcpy(digest + 4 * i, &word, sizeof(word));
	}
}

/* 5.1.1: a one bit, zeros, and the length in bits fill up the last block. */
void sha256_final(struct sha256 *hash, uint8_t digest[SHA256_BYTES])
{
	size_t have = hash->bytes % 64;
	uint64_t bits = __builtin_bswap64(hash->bytes * 8);

	hash->block[have++] = 0x80;
	if (have > 56) {
		memset(hash->block + have, 0, 64 - have);
		sha256_blocks(hash->state, hash->block, 1);
		have = 0;
	}
	memset(hash->block + have, 0, 56 - have);
	memcpy(hash->block + 56, &bits, sizeof(bits));
	sha256_blocks(hash->state, hash->block, 1);
	store_state(hash->state, digest);
}

void sha256(const void *data, size_t bytes, uint8_t digest[SHA256_BYTES])
{
	struct sha256 hash;

	sha256_init(&hash);
	sha256_update(&hash, data, bytes);
	sha256_final(&hash, digest);
}

void sha256_each(const void *data, size_t bytes, size_t count, uint8_t (*digests)[SHA256_BYTES])
{
	const uint8_t *p = data;
	uint8_t last[64] = {0x80};
	uint64_t bits = __builtin_bswap64((uint64_t)bytes * 8);

	memcpy(last + 56, &bits, sizeof(bits));
	for (; count >= 2 && use_ni(); count -= 2, p += 2 * bytes, digests += 2) {
		uint32_t state[2][8];
		memcpy(state[0], initial, sizeof(initial));
		memcpy(state[1], initial, sizeof(initial));
		sha256_pair_ni(state, p, p + bytes, bytes / 64);
		sha256_pair_ni(state, last, last, 1);
		store_state(state[0], digests[0]);
		store_state(state[1], digests[1]);
	}
	for (; count > 0; count--, p += bytes, digests++)
		sha256(p, bytes, digests[0]);
}
