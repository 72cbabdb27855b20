/* SPDX-License-Identifier: Apache-2.0 */
/* Says hello through the console's queue, sleeps a millisecond, and exits with 7. */
#include "tests/guest/kernels/kernel.h"

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)cpu;
	boot->timeline[LAMPO_T_ENTRY] = tsc();
	console_write(boot, "hello from ring 3\n");
	cpu_head()->deadline_ns = now_ns(boot) + 1000000;
	doorbell(LAMPO_PORT_HALT, 0);
	console_write(boot, "slept\n");
	boot->timeline[LAMPO_T_EXIT] = tsc();
	doorbell(LAMPO_PORT_EXIT, 7);
}
