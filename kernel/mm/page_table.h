/* SPDX-License-Identifier: Apache-2.0 */
/* x86-64 page tables of programs (Intel SDM volume 3, 4.5). */
#ifndef NUCLEO_MM_PAGE_TABLE_H
#define NUCLEO_MM_PAGE_TABLE_H

#include "kernel/mm/mm.h"
#include "kernel/mm/page_internal.h"

#define PTE_PRESENT 1ull
#define PTE_WRITE 2ull
#define PTE_USER 4ull
#define PTE_ACCESSED 0x20ull
#define PTE_DIRTY 0x40ull
#define PTE_LARGE 0x80ull
#define PTE_NX (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull

#define TABLE_BYTES (512 * PAGE_SIZE) /* what one last-level table maps */

/* Entry bits for PROT_*; 0 if nothing may be accessed. Accessed and dirty are set from the start: the
 * processor then never writes to the tables, and a host that shadows them takes neighbours along. */
uint64_t pte_rights(int prot, bool writable);
static inline struct page *pte_page(uint64_t pte) { return page_of_gpa(pte & PTE_ADDRESS); }

int pt_new(struct mm *mm);
/* Frees all tables and the references of all entries. A vCPU that still has the top-level table loaded goes
 * on with the kernel's part of it. */
void pt_free(struct mm *mm);

/* The last-level table for va (512 entries), or NULL if there is none. */
uint64_t *pt_table(const struct mm *mm, uint64_t va);
/* The entry of va, 0 if there is no table. */
uint64_t pt_get(const struct mm *mm, uint64_t va);
/* To fill entries: the table for va, a new one if need be, which pt_commit() links once it is filled (a
 * host that shadows tables traps writes to linked ones). NULL: no memory. No other pt_* call in between. */
uint64_t *pt_begin(struct mm *mm, uint64_t va);
void pt_commit(struct mm *mm, uint64_t va, uint64_t *table);
static inline unsigned pt_slot(uint64_t va) { return (unsigned)(va >> PAGE_SHIFT) & 511u; }
/* Sets one entry (page's reference is consumed). The entry must be empty. -ENOMEM. */
int pt_set(struct mm *mm, uint64_t va, struct page *page, uint64_t rights);
/* First address >= va, < end whose last-level table exists; end if none. */
uint64_t pt_next_table(const struct mm *mm, uint64_t va, uint64_t end);
static inline void pte_write(uint64_t *pte, uint64_t value) { __atomic_store_n(pte, value, __ATOMIC_RELEASE); }

#endif
