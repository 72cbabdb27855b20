/* SPDX-License-Identifier: Apache-2.0 */
/* Overwrites the boot information and the vCPU's page again and again, and rings every doorbell that does
 * not end the VM with arguments of all kinds. The monitor must live: exit 0. */
#include "tests/guest/kernels/kernel.h"

#define ROUNDS 2000

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)cpu;
	static const uint32_t doorbells[] = {
	    LAMPO_PORT_NOTIFY,
	    LAMPO_PORT_KICK,
	    LAMPO_PORT_TIMER,
	    LAMPO_PORT_START_CPU,
	    LAMPO_PORT_POPULATE,
	    LAMPO_PORT_RELEASE,
	    LAMPO_PORT_YIELD,
	    LAMPO_PORT_LOG,
	    LAMPO_PORT_HALT,
	    0,
	    4,
	    0x50c,
	    0x53c,
	    0xffc,
	};
	static const uint64_t numbers[] = {0,
					   1,
					   4095,
					   4096,
					   4097,
					   0xffffffff,
					   0xfffffffffffff000,
					   0xffffffffffffffff,
					   LAMPO_GPA_MMIO,
					   LAMPO_GPA_KERNEL,
					   LAMPO_GPA_KERNEL - 1};
	uint64_t seed = 0x2545f4914f6cdd1dull, ram = boot->ram_bytes, far = boot->populated_gpa + (8 << 20);
	struct lampo_cpu_head *head = cpu_head();
	struct lampo_boot_info good = *boot;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t x = random_next(&seed);
		for (unsigned j = 0; j < 8; j++)
			((volatile uint64_t *)boot)[random_next(&seed) % (sizeof(*boot) / 8)] = random_next(&seed);
		head->irq_busy = (uint32_t)x & 3;
		head->index = (uint32_t)(x >> 8);
		/* RELEASE must not take the pages on which we run. */
		uint64_t gpa = x & 0x100 ? numbers[(x >> 16) % 11] : far + (x >> 20 & 0xfffff);
		uint64_t bytes = x & 0x200 ? numbers[(x >> 24) % 11] : x >> 28 & 0xfffff;
		if (gpa < far)
			bytes = 0;
		head->mailbox[0] = x & 0x400 ? ram - 4096 : gpa;
		head->mailbox[1] = bytes;
		uint32_t number = doorbells[(x >> 32) % (sizeof(doorbells) / sizeof(doorbells[0]))];
		head->deadline_ns = number == LAMPO_PORT_HALT ? 0 : x & 0x800 ? ~0ull : random_next(&seed);
		doorbell(number, x & 0x1000 ? (uint32_t)numbers[(x >> 40) % 11] : (uint32_t)(x >> 44));
	}
	*boot = good;
	kernel_exit(0);
}
