/* SPDX-License-Identifier: Apache-2.0 */
/* Writes many numbered lines as fast as it can, and waits for each. */
#include "tests/guest/kernels/kernel.h"

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)cpu;
	for (uint64_t i = 0; i < 20000; i++)
		number_write(boot, "line", i);
	kernel_exit(0);
}
