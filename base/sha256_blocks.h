/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways to run SHA-256's compression function over whole 64-byte blocks; base/sha256.c chooses. */
#ifndef LAMPO_BASE_SHA256_BLOCKS_H
#define LAMPO_BASE_SHA256_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* FIPS 180-4, 4.2.2 */
extern const uint32_t sha256_constants[64];

void sha256_blocks_portable(uint32_t state[8], const uint8_t *data, size_t blocks);

/* CPUID says that the CPU has what sha256_blocks_ni() needs. */
bool sha256_ni_present(void);
/* With the SHA instructions. All vector registers are afterwards as they were, upper halves included. */
void sha256_blocks_ni(uint32_t state[8], const uint8_t *data, size_t blocks);
/* Two messages at once, which takes little longer than one. */
void sha256_pair_ni(uint32_t state[2][8], const uint8_t *a, const uint8_t *b, size_t blocks);

#endif
