/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/x86_64/page_table.h"

#include <errno.h>
#include <stddef.h>

#include "base/util.h"

#define ADDRESS_MASK 0x000ffffffffff000ull
/* Rights are decided by the leaves. */
#define INNER_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)

/* Entry for va in the table at `level` (4: PML4 ... 1: page table), with the tables on the way to it. */
static uint64_t *entry_find(struct memory *memory, uint64_t root_gpa, uint64_t va, unsigned level)
{
	uint64_t *table = memory_at(memory, root_gpa);
	for (unsigned at = 4; at > level; at--) {
		uint64_t *entry = &table[(va >> (12 + 9 * (at - 1))) & 511];
		if (!(*entry & PTE_PRESENT)) {
			uint64_t gpa = memory_take_table(memory);
			if (gpa == 0)
				return NULL;
			*entry = gpa | INNER_FLAGS;
		}
		if (*entry & PTE_LARGE)
			return entry; /* in the way; the caller sees that it is present */
		table = memory_at(memory, *entry & ADDRESS_MASK);
	}
	return &table[(va >> (12 + 9 * (level - 1))) & 511];
}

int page_table_map(struct memory *memory, uint64_t root_gpa, uint64_t va, uint64_t gpa, uint64_t bytes, uint64_t flags)
{
	unsigned level = flags & PTE_LARGE ? 2 : 1;
	uint64_t step = flags & PTE_LARGE ? PTE_LARGE_BYTES : PAGE_BYTES;
	for (uint64_t done = 0; done < bytes; done += step) {
		uint64_t *entry = entry_find(memory, root_gpa, va + done, level);
		if (entry == NULL)
			return -ENOMEM;
		if (*entry & PTE_PRESENT)
			return -EEXIST;
		*entry = (gpa + done) | flags | PTE_PRESENT;
	}
	return 0;
}
