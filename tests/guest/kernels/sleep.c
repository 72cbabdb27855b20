/* SPDX-License-Identifier: Apache-2.0 */
/* Halts until a signal for the program arrives, then exits as killed by it. */
#include "tests/guest/kernels/kernel.h"

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)cpu;
	console_write(boot, "sleeping\n");
	uint64_t signals;
	while ((signals = __atomic_load_n(&boot->signals, __ATOMIC_SEQ_CST)) == 0) {
		cpu_head()->deadline_ns = UINT64_MAX;
		doorbell(LAMPO_PORT_HALT, 0);
	}
	doorbell(LAMPO_PORT_EXIT, LAMPO_EXIT_SIGNAL | ((uint32_t)__builtin_ctzll(signals) + 1));
}
