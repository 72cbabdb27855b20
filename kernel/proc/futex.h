/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes, below the system calls (kernel/sys/futex.c). */
#ifndef NUCLEO_PROC_FUTEX_H
#define NUCLEO_PROC_FUTEX_H

#include "kernel/proc/wait.h"

struct futex_key {
	const void *object; /* struct mm, or struct page if shared */
	uint64_t offset;
	bool shared;
};

struct futex_waiter {
	struct list node;
	struct futex_key key;
	uint32_t bits;
	bool woken;
	struct waiter *waiter; /* on no wait queue: only its `woken` counts */
};

/* All may sleep and return what the system call does. deadline_ns is of CLOCK_MONOTONIC. absolute: the
 * program gave it so, and the call can be made again with the same arguments. */
int64_t futex_wait(uint64_t va, bool is_private, uint32_t expected, uint32_t bits, uint64_t deadline_ns, bool absolute);
int64_t futex_requeue(uint64_t va, bool private1, uint64_t va2, bool private2, int wake, int move,
		      const uint32_t *expected);
int64_t futex_wake_op(uint64_t va, uint64_t va2, bool is_private, unsigned wake, unsigned wake2, uint32_t encoded);
unsigned futex_wake_key(const struct futex_key *key, unsigned count, uint32_t bits);
/* For futex_waitv(2): queues one of several waiters that share a struct waiter; off the queue again. */
int futex_waiter_queue(struct futex_waiter *waiter, struct waiter *sleeper, uint64_t va, bool is_private,
		       uint32_t expected);
void futex_waiter_unqueue(struct futex_waiter *waiter);
int futex_key_get(uint64_t va, bool is_private, struct futex_key *key);

#endif
