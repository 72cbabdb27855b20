/* SPDX-License-Identifier: Apache-2.0 */
/* Uses memory everywhere without announcing it, with instructions of all kinds, then the same announced. Exit
 * 0 if it keeps what is written to it. */
#include "tests/guest/kernels/kernel.h"

static void vector_write(void *to, uint64_t value)
{
	__asm__ volatile("movq %1, %%xmm0\n punpcklqdq %%xmm0, %%xmm0\n movdqa %%xmm0, (%0)"
			 :
			 : "r"(to), "r"(value)
			 : "xmm0", "memory");
}

static uint64_t vector_read(const void *from)
{
	uint64_t value;
	__asm__ volatile("movdqa (%1), %%xmm0\n movhlps %%xmm0, %%xmm0\n movq %%xmm0, %0"
			 : "=r"(value)
			 : "r"(from)
			 : "xmm0", "memory");
	return value;
}

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)cpu;
	uint64_t start = 32 << 20, step = (8 << 20) - 4096;
	for (unsigned pass = 0; pass < 2; pass++) {
		if (pass == 1) {
			cpu_head()->mailbox[0] = boot->ram_bytes - (4 << 20);
			cpu_head()->mailbox[1] = 4 << 20;
			doorbell(LAMPO_PORT_POPULATE, 0);
		}
		for (uint64_t gpa = start; gpa + 64 <= boot->ram_bytes; gpa += step) {
			uint64_t *at = direct(gpa);
			if (at[0] != (pass == 0 ? 0 : gpa))
				kernel_exit(1);
			at[0] = gpa;
			__atomic_fetch_add(&at[1], 5, __ATOMIC_SEQ_CST);
			vector_write(&at[2], gpa + pass);
		}
		for (uint64_t gpa = start; gpa + 64 <= boot->ram_bytes; gpa += step) {
			uint64_t *at = direct(gpa);
			if (at[0] != gpa || at[1] != 5 * (pass + 1) || vector_read(&at[2]) != gpa + pass)
				kernel_exit(2);
		}
	}
	*(volatile uint64_t *)direct(boot->ram_bytes - 8) = 1;
	kernel_exit(*(volatile uint64_t *)direct(boot->ram_bytes - 8) == 1 ? 0 : 3);
}
