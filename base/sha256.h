/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4), for monitor, command line and nucleo alike: uses the SHA instructions where the CPU has
 * them (and then keeps all vector registers as they were: nucleo runs with the program's in place).
 */
#ifndef LAMPO_BASE_SHA256_H
#define LAMPO_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32u

struct sha256 {
	uint32_t state[8];
	uint64_t bytes;
	uint8_t block[64];
};

void sha256_init(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const void *data, size_t bytes);
void sha256_final(struct sha256 *hash, uint8_t digest[SHA256_BYTES]);
/* All at once. */
void sha256(const void *data, size_t bytes, uint8_t digest[SHA256_BYTES]);
/* Each of `count` messages of `bytes` bytes (a multiple of 64) that lie behind each other: faster than one by one. */
void sha256_each(const void *data, size_t bytes, size_t count, uint8_t (*digests)[SHA256_BYTES]);

#endif
