/* SPDX-License-Identifier: Apache-2.0 */
/* Writes and reads everything everywhere in the device pages and in the doorbell page, in every width, but
 * for the doorbells that end the VM. The monitor must live: exit 0. */
#include "tests/guest/kernels/kernel.h"

#define ROUNDS 6000

static void access(uint64_t va, unsigned width, bool write, uint64_t value)
{
	switch (width << 1 | write) {
	case 0:
		(void)*(volatile uint8_t *)va;
		break;
	case 1:
		*(volatile uint8_t *)va = (uint8_t)value;
		break;
	case 2:
		(void)*(volatile uint16_t *)va;
		break;
	case 3:
		*(volatile uint16_t *)va = (uint16_t)value;
		break;
	case 4:
		(void)*(volatile uint32_t *)va;
		break;
	case 5:
		*(volatile uint32_t *)va = (uint32_t)value;
		break;
	case 6:
		(void)*(volatile uint64_t *)va;
		break;
	case 7:
		*(volatile uint64_t *)va = value;
		break;
	}
}

static bool ends_vm(uint64_t offset) { return offset > LAMPO_PORT_TIMER && offset < LAMPO_PORT_START_CPU; }

static uint64_t value_choose(uint64_t *seed)
{
	static const uint64_t edges[] = {0,
					 1,
					 2,
					 4,
					 8,
					 15,
					 0x7f,
					 0x80,
					 0xff,
					 0xffff,
					 0x10000,
					 0x7fffffff,
					 0x80000000,
					 0xffffffff,
					 0x100000000,
					 0x7fffffffffffffff,
					 0x8000000000000000,
					 0xffffffffffffffff,
					 LAMPO_GPA_MMIO,
					 LAMPO_GPA_KERNEL,
					 LAMPO_GPA_DOORBELL};
	uint64_t x = random_next(seed);
	return x & 3 ? edges[(x >> 8) % (sizeof(edges) / sizeof(edges[0]))] : random_next(seed);
}

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)cpu;
	uint64_t seed = 88172645463325252ull;
	unsigned devices = boot->device_count;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t x = random_next(&seed), page = x % (devices + 1);
		uint64_t offset = x >> 8 & (x & 0x10000000 ? 0x1ff : 0xfff); /* most registers are low */
		unsigned width = x >> 32 & 3;
		offset = offset + 8 > 4096 ? 4088 : offset;
		cpu_head()->deadline_ns = now_ns(boot) + 1000; /* so that a HALT ends */
		if (page < devices)
			access(LAMPO_VA_MMIO + page * LAMPO_MMIO_STRIDE + offset, width, x >> 40 & 1,
			       value_choose(&seed));
		else if (!ends_vm(offset) && !ends_vm(offset + 4))
			access(LAMPO_VA_MMIO + (LAMPO_GPA_DOORBELL - LAMPO_GPA_MMIO) + offset, width, x >> 40 & 1,
			       value_choose(&seed));
	}
	kernel_exit(0);
}
