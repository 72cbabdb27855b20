/* SPDX-License-Identifier: Apache-2.0 */
/* The random number generator: ChaCha20 with fast key erasure. arch_random() is its output. */
#ifndef NUCLEO_LIB_RANDOM_H
#define NUCLEO_LIB_RANDOM_H

#include "kernel/arch.h"

/* Stirs fresh entropy into the key. */
void random_mix(const void *data, size_t bytes);
/* Asks virtio-rng for entropy; it comes to random_mix(), at once or later. Does not sleep. */
void rng_request(void);
/* One block of ChaCha20 (RFC 8439, 2.3); exported for the test vectors. */
void chacha20_block(const uint32_t key[8], uint32_t counter, const uint32_t nonce[3], uint8_t out[64]);

#endif
