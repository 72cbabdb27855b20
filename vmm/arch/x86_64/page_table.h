/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's first page tables (Intel SDM volume 3A, 4.5). */
#ifndef LAMPO_VMM_PAGE_TABLE_H
#define LAMPO_VMM_PAGE_TABLE_H

#include "vmm/memory.h"

#define PTE_PRESENT (1ull << 0)
#define PTE_WRITE (1ull << 1)
#define PTE_USER (1ull << 2)
#define PTE_UNCACHED (1ull << 4)
#define PTE_ACCESSED (1ull << 5)
#define PTE_DIRTY (1ull << 6)
#define PTE_LARGE (1ull << 7)
#define PTE_NO_EXECUTE (1ull << 63)

#define PTE_LARGE_BYTES (2ull << 20)

/* Maps [va, va + bytes) to [gpa, gpa + bytes) with the leaf flags given; tables come from
 * memory_take_table(). With PTE_LARGE all three must be multiples of 2 MiB, else of 4 KiB. The root is one
 * zeroed page. -ENOMEM: no RAM left for tables; -EEXIST: something is mapped there already. */
int page_table_map(struct memory *memory, uint64_t root_gpa, uint64_t va, uint64_t gpa, uint64_t bytes, uint64_t flags);

#endif
