/* SPDX-License-Identifier: Apache-2.0 */
/* Makes its text writable in its own page tables and writes to it: all VMs share that memory, so nothing
 * must change. Exits with 0 if so. */
#include "tests/guest/kernels/kernel.h"

static uint64_t *entry_of(const struct lampo_boot_info *boot, uint64_t va)
{
	uint64_t *table = direct(boot->pml4_gpa), *entry = NULL;
	for (int shift = 39; shift >= 12; shift -= 9) {
		entry = &table[va >> shift & 511];
		table = direct(*entry & 0x000ffffffffff000ull);
	}
	return entry;
}

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)cpu;
	volatile uint64_t *text = (volatile uint64_t *)LAMPO_VA_KERNEL;
	uint64_t before = *text;
	*entry_of(boot, LAMPO_VA_KERNEL) |= 2;
	/* Another address space's worth of nothing: flushes what was cached. */
	for (uint64_t gpa = boot->free_gpa; gpa < boot->free_gpa + (4 << 20); gpa += 4096)
		*(volatile uint8_t *)direct(gpa) = 1;
	*text = ~before;
	kernel_exit(*text == before ? 0 : 1);
}
