/* SPDX-License-Identifier: Apache-2.0 */
/* Small things that monitor and kernel both use. Portable: no libc beyond the freestanding headers. */
#ifndef LAMPO_BASE_UTIL_H
#define LAMPO_BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* align must be a power of two; the caller makes sure that x + align does not wrap. */
static inline uint64_t align_up(uint64_t x, uint64_t align) { return (x + align - 1) & ~(align - 1); }
static inline uint64_t align_down(uint64_t x, uint64_t align) { return x & ~(align - 1); }
static inline bool is_power_of_two(uint64_t x) { return x != 0 && (x & (x - 1)) == 0; }

static inline uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* True if the sum wrapped; *sum is then not to be used. */
static inline bool add_overflows(uint64_t a, uint64_t b, uint64_t *sum) { return __builtin_add_overflow(a, b, sum); }

#endif
