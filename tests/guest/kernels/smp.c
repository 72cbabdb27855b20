/* SPDX-License-Identifier: Apache-2.0 */
/* Starts all vCPUs; they count in turns, each sleeping until the one before it kicks it. Then the first one
 * spins and must be interrupted by its timer and by a kick. Exit 0, or the number of the step that failed. */
#include "tests/guest/kernels/kernel.h"

#define TURNS 200u

static volatile uint32_t turn, running;

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	if (cpu == 0)
		for (uint32_t i = 1; i < boot->cpu_count; i++)
			doorbell(LAMPO_PORT_START_CPU, i);
	__atomic_fetch_add(&running, 1, __ATOMIC_SEQ_CST);
	uint32_t now;
	while ((now = __atomic_load_n(&turn, __ATOMIC_SEQ_CST)) < TURNS) {
		if (now % boot->cpu_count == cpu) {
			__atomic_store_n(&turn, now + 1, __ATOMIC_SEQ_CST);
			doorbell(LAMPO_PORT_KICK, (now + 1) % boot->cpu_count);
		} else {
			cpu_head()->deadline_ns = ~0ull;
			doorbell(LAMPO_PORT_HALT, 0);
		}
	}
	if (cpu != 0) {
		/* For those that sleep still; then, a little later, into the first one's spinning. */
		doorbell(LAMPO_PORT_KICK, (cpu + 1) % boot->cpu_count);
		cpu_head()->deadline_ns = now_ns(boot) + 50000000;
		while (now_ns(boot) < cpu_head()->deadline_ns)
			doorbell(LAMPO_PORT_HALT, 0);
		for (;;) {
			doorbell(LAMPO_PORT_KICK, 0);
			cpu_head()->deadline_ns = now_ns(boot) + 10000000;
			doorbell(LAMPO_PORT_HALT, 0);
		}
	}
	for (uint32_t i = 1; i < boot->cpu_count; i++)
		doorbell(LAMPO_PORT_KICK, i);
	uint64_t seen = interrupts, start = now_ns(boot);
	cpu_head()->deadline_ns = start + 2000000;
	doorbell(LAMPO_PORT_TIMER, 0);
	while (interrupts == seen)
		if (now_ns(boot) > start + 2000000000)
			kernel_exit(1);
	if (now_ns(boot) < start + 2000000)
		kernel_exit(boot->cpu_count == 1 ? 2 : 0); /* early: a kick then */
	if (boot->cpu_count > 1) {
		seen = interrupts;
		while (interrupts == seen)
			if (now_ns(boot) > start + 4000000000)
				kernel_exit(3);
	}
	kernel_exit(0);
}
