/* SPDX-License-Identifier: Apache-2.0 */
/* Halts for ever, whatever happens. */
#include "tests/guest/kernels/kernel.h"

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)boot;
	(void)cpu;
	for (;;) {
		cpu_head()->deadline_ns = UINT64_MAX;
		doorbell(LAMPO_PORT_HALT, 0);
	}
}
