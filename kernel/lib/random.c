/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers: ChaCha20 (RFC 8439) keyed by the monitor's seed. Each request first makes a new key out
 * of the old one (fast key erasure), so that what was given out cannot be computed from the memory
 * afterwards. Fresh entropy comes from virtio-rng after every RESEED_BYTES.
 */
#include "kernel/lib/random.h"

#define RESEED_BYTES (1ull << 20)

static struct {
	uint32_t key[8];
	bool seeded, reseeding;
	uint64_t bytes; /* given out since the last reseeding */
} generator;

static inline uint32_t rotate(uint32_t x, unsigned n) { return x << n | x >> (32 - n); }

static inline void quarter_round(uint32_t *s, unsigned a, unsigned b, unsigned c, unsigned d)
{
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotate(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 7);
}

void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3], uint8_t out[64])
{
	uint32_t start[16] = {
	    0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, key[0],  key[1],   key[2],   key[3],
	    key[4],     key[5],     key[6],     key[7],     counter, nonce[0], nonce[1], nonce[2],
	};
	uint32_t s[16];

	memcpy(s, start, sizeof(s));
	for (unsigned round = 0; round < 10; round++) {
		quarter_round(s, 0, 4, 8, 12);
		quarter_round(s, 1, 5, 9, 13);
		quarter_round(s, 2, 6, 10, 14);
		quarter_round(s, 3, 7, 11, 15);
		quarter_round(s, 0, 5, 10, 15);
		quarter_round(s, 1, 6, 11, 12);
		quarter_round(s, 2, 7, 8, 13);
		quarter_round(s, 3, 4, 9, 14);
	}
	for (unsigned i = 0; i < 16; i++)
		s[i] += start[i];
	memcpy(out, s, sizeof(s)); /* little-endian, as the machine is */
}

static const uint32_t no_nonce[3];

void random_mix(const void *data, size_t bytes)
{
	const uint8_t *from = data;
	uint8_t block[64], *key = (uint8_t *)generator.key;

	/* Absorbs 32 bytes at a time; the block function in between makes each bit count everywhere. */
	for (size_t at = 0; at < bytes; at += sizeof(generator.key)) {
		for (size_t i = 0; i < sizeof(generator.key) && at + i < bytes; i++)
			key[i] ^= from[at + i];
		chacha20_block(generator.key, 0, no_nonce, block);
		memcpy(generator.key, block, sizeof(generator.key));
	}
	memset(block, 0, sizeof(block));
	__asm__ volatile("" : : "r"(block) : "memory"); /* the compiler must not drop the erasure */
}

void arch_random(void *to, size_t n)
{
	uint32_t key[8];
	uint8_t block[64], *at = to;

	if (!generator.seeded) {
		generator.seeded = true;
		random_mix(boot_info->random, sizeof(boot_info->random));
		memset(boot_info->random, 0, sizeof(boot_info->random));
	}
	if (generator.bytes >= RESEED_BYTES && !generator.reseeding) {
		generator.reseeding = true;
		rng_request();
		generator.reseeding = false;
		generator.bytes = 0;
	}
	generator.bytes += n;

	memcpy(key, generator.key, sizeof(key));
	chacha20_block(key, 0, no_nonce, block);
	memcpy(generator.key, block, sizeof(generator.key));
	size_t first = min_u64(n, sizeof(block) - sizeof(generator.key));
	memcpy(at, block + sizeof(generator.key), first);
	for (uint32_t counter = 1; first < n; counter++) {
		chacha20_block(key, counter, no_nonce, block);
		size_t part = min_u64(n - first, sizeof(block));
		memcpy(at + first, block, part);
		first += part;
	}
	memset(key, 0, sizeof(key));
	memset(block, 0, sizeof(block));
	__asm__ volatile("" : : "r"(key), "r"(block) : "memory");
}
