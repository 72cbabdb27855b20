/* SPDX-License-Identifier: Apache-2.0 */
/* Takes all signals and does nothing about them. */
#include "tests/guest/kernels/kernel.h"

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)cpu;
	console_write(boot, "deaf\n");
	for (;;) {
		cpu_head()->deadline_ns = UINT64_MAX;
		doorbell(LAMPO_PORT_HALT, 0);
		__atomic_store_n(&boot->signals, 0, __ATOMIC_SEQ_CST);
	}
}
