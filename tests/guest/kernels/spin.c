/* SPDX-License-Identifier: Apache-2.0 */
/* Never gives the processor back. */
#include "tests/guest/kernels/kernel.h"

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)cpu;
	console_write(boot, "spinning\n");
	for (;;)
		__asm__ volatile("pause");
}
