/* SPDX-License-Identifier: Apache-2.0 */
/* A fault that has no handler, and no handler for that: the VM ends with 125 and one line. */
#define KERNEL_NO_FAULT_GATES
#include "tests/guest/kernels/kernel.h"

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)boot;
	(void)cpu;
	__asm__ volatile("ud2");
}
