/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/entry/lock.h"

#include "abi/doorbell.h"
#include "kernel/entry/machine.h"

/* The holder may be stopped by the host: after this many looks the waiter gives its own turn away. */
#define SPINS_BEFORE_YIELD 4000u

static uint32_t locked __attribute__((section(".data.hot")));

void kernel_lock(void)
{
	unsigned spins = 0;

	/* Acquire: nothing of the critical section may be read before the lock is ours. */
	while (unlikely(__atomic_exchange_n(&locked, 1, __ATOMIC_ACQUIRE) != 0)) {
		while (__atomic_load_n(&locked, __ATOMIC_RELAXED) != 0) {
			machine_serve_flush();
			__builtin_ia32_pause();
			if (++spins == SPINS_BEFORE_YIELD) {
				machine_ring(LAMPO_PORT_YIELD, 0);
				spins = 0;
			}
		}
	}
	machine_serve_flush();
	cpu_self()->spurious = 0;
}

void kernel_unlock(void)
{
	/* Release: what the critical section wrote is visible before the lock is free. */
	__atomic_store_n(&locked, 0, __ATOMIC_RELEASE);
}
