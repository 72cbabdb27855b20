/* SPDX-License-Identifier: Apache-2.0 */
/* Exits with more output under way than a pipe takes. */
#include "tests/guest/kernels/kernel.h"

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)cpu;
	const struct lampo_boot_queue *queue = &boot->devices[0].queues[1];
	struct descriptor *descriptors = direct(queue->desc_gpa);
	struct ring *available = direct(queue->avail_gpa);
	descriptors[0] = (struct descriptor){.gpa = boot->free_gpa, .bytes = 4 << 20};
	available->entries[0] = 0;
	__asm__ volatile("" ::: "memory");
	available->index = 1;
	doorbell(LAMPO_PORT_NOTIFY, 0 << 16 | 1);
	kernel_exit(0);
}
