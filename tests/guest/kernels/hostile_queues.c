/* SPDX-License-Identifier: Apache-2.0 */
/* Fills every virtqueue with nonsense (loops, wild addresses, huge lengths, indices that jump) and notifies,
 * while a second vCPU, if there is one, writes to the same rings. The monitor must live: exit 0. */
#include "tests/guest/kernels/kernel.h"

#define ROUNDS 3000

static volatile uint32_t stop;

static uint64_t address_choose(const struct lampo_boot_info *boot, uint64_t *seed)
{
	uint64_t x = random_next(seed);
	switch (x >> 60) {
	case 0:
		return 0;
	case 1:
		return boot->ram_bytes - (x & 0xff);
	case 2:
		return boot->ram_bytes;
	case 3:
		return UINT64_MAX - (x & 0xfff);
	case 4:
		return LAMPO_GPA_MMIO + (x & 0xfff);
	case 5:
		return LAMPO_GPA_KERNEL + (x & 0x3fff);
	case 6:
		return LAMPO_GPA_DOORBELL;
	case 7:
		return boot->devices[x & 1].queues[0].desc_gpa; /* onto a ring itself */
	case 8:
		return x;
	default:
		return boot->free_gpa + (x & 0xfffff);
	}
}

static void scribble(const struct lampo_boot_info *boot, const struct lampo_boot_queue *queue, uint64_t *seed)
{
	struct descriptor *descriptors = direct(queue->desc_gpa);
	struct ring *available = direct(queue->avail_gpa);
	uint64_t x = random_next(seed);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t y = random_next(seed);
		descriptors[y % queue->size] = (struct descriptor){
		    .gpa = address_choose(boot, seed),
		    .bytes = y & 0x100 ? (uint32_t)(y >> 32) : (uint32_t)(y >> 32) & 0xfff,
		    .flags = y & 0x200 ? (uint16_t)(y >> 16) & 7 : (uint16_t)(y >> 16) & 3,
		    .next = y & 0x400 ? (uint16_t)(y >> 20) : (uint16_t)((y >> 20) % queue->size),
		};
	}
	available->flags = (uint16_t)(x & 1);
	available->entries[x % queue->size] = x & 0x300 ? (uint16_t)((x >> 16) % queue->size) : (uint16_t)(x >> 16);
	__asm__ volatile("" ::: "memory");
	available->index = x & 0x7c00 ? available->index + 1 : (uint16_t)(x >> 32);
	if (!(x & 0xf0000)) /* the device's side as well */
		*(volatile uint64_t *)direct(queue->used_gpa) = x;
}

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	uint64_t seed = 0x9e3779b97f4a7c15ull + cpu;
	if (cpu == 0 && boot->cpu_count > 1)
		doorbell(LAMPO_PORT_START_CPU, 1);
	for (unsigned i = 0; cpu != 0 || i < ROUNDS; i++) {
		uint64_t x = random_next(&seed);
		uint32_t device = (uint32_t)(x % boot->device_count), q = (uint32_t)(x >> 8) % LAMPO_QUEUES_MAX;
		const struct lampo_boot_queue *queue = &boot->devices[device].queues[q];
		if (queue->size != 0)
			scribble(boot, queue, &seed);
		if (cpu == 0)
			doorbell(LAMPO_PORT_NOTIFY, x & 0xf00000 ? device << 16 | q : (uint32_t)(x >> 24));
		/* Back to life after NEEDS_RESET, with rings where they were or anywhere. */
		if (cpu == 0 && i % 64 == 63) {
			volatile uint32_t *registers = (void *)(LAMPO_VA_MMIO + device * LAMPO_MMIO_STRIDE);
			registers[0x70 / 4] = 0;
			registers[0x70 / 4] = 3;
			registers[0x24 / 4] = 1;
			registers[0x20 / 4] = 1;
			registers[0x70 / 4] = 11;
			for (q = 0; q < 3; q++) {
				queue = &boot->devices[device].queues[q];
				registers[0x30 / 4] = q;
				registers[0x38 / 4] = queue->size;
				uint64_t gpas[3] = {queue->desc_gpa, queue->avail_gpa, queue->used_gpa};
				for (unsigned g = 0; g < 3; g++) {
					uint64_t gpa = x >> 44 & 7 ? gpas[g] : address_choose(boot, &seed);
					registers[0x80 / 4 + 4 * g] = (uint32_t)gpa;
					registers[0x84 / 4 + 4 * g] = (uint32_t)(gpa >> 32);
				}
				registers[0x44 / 4] = 1;
			}
			registers[0x70 / 4] = 15;
			registers[0x38 / 4] = 0x8000; /* after activation: to be ignored */
		}
	}
	kernel_exit(0);
}
