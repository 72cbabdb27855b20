/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tables. Tables come from blocks of their own and go back only there: a host that shadows them
 * watches the pages that once were tables, and maps the 2 MiB block around them page by page. Last-level
 * tables stay linked until the address space goes.
 */
#include "kernel/mm/page_table.h"

#include "abi/doorbell.h"
#include "kernel/arch.h"

#define POOL_ORDER 6u /* of further blocks, once the monitor's is used up */
#define ANNOUNCE_BYTES (64u << 10)
#define KERNEL_SLOT 255u

static struct {
	uint64_t *free; /* returned tables; zero but for the first word, which links them */
	unsigned free_count;
	uint64_t next, end;  /* never used tables, gpa */
	uint64_t announced;  /* the host has been told to have memory up to here */
	uint64_t *free_tops; /* top-level tables. They keep the kernel's slot: an idle vCPU may have one loaded still */
} pool;

void page_table_init(void)
{
	memset(&pool, 0, sizeof(pool));
	pool.next = boot_info->tables_gpa;
	pool.end = boot_info->tables_gpa + (boot_info->tables_bytes & PAGE_MASK);
	pool.announced = align_up(pool.next + 1, ANNOUNCE_BYTES); /* the monitor's own were made present so far */
}

uint64_t pte_rights(int prot, bool writable)
{
	if (prot == 0)
		return 0;
	uint64_t rights = PTE_PRESENT | PTE_USER | PTE_ACCESSED;
	if (writable)
		rights |= PTE_WRITE | PTE_DIRTY;
	if ((prot & 4) == 0) /* PROT_EXEC */
		rights |= PTE_NX;
	return rights;
}

/* The table is zero. */
static void table_put(uint64_t *table)
{
	table[0] = (uint64_t)pool.free;
	pool.free = table;
	pool.free_count++;
}

/* So that the next `count` tables are there. */
static bool pool_reserve(unsigned count)
{
	while (pool.free_count + ((pool.end - pool.next) >> PAGE_SHIFT) < count) {
		for (; pool.next < pool.end; pool.next += PAGE_SIZE)
			table_put(arch_phys_to_virt(pool.next));
		unsigned order = POOL_ORDER;
		void *block = pages_alloc(order);
		if (block == NULL) {
			order = 0;
			block = pages_alloc(order);
		}
		if (block == NULL)
			return false;
		pool.next = arch_virt_to_phys(block);
		pool.end = pool.announced = pool.next + (PAGE_SIZE << order);
	}
	return true;
}

static uint64_t *table_take(void)
{
	uint64_t *table = pool.free;
	if (table != NULL) {
		pool.free = (uint64_t *)table[0];
		pool.free_count--;
		table[0] = 0;
		return table;
	}
	if (pool.next >= pool.announced) {
		uint64_t to = min_u64(pool.announced + ANNOUNCE_BYTES, pool.end);
		arch_doorbell_mailbox(LAMPO_PORT_POPULATE, pool.announced, to - pool.announced);
		pool.announced = to;
	}
	table = arch_phys_to_virt(pool.next);
	pool.next += PAGE_SIZE;
	return table;
}

static uint64_t link_to(const uint64_t *table)
{
	return arch_virt_to_phys(table) | PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED;
}

static uint64_t *table_of(uint64_t entry) { return arch_phys_to_virt(entry & PTE_ADDRESS); }

int pt_new(struct mm *mm)
{
	if (pool.free_tops != NULL) {
		mm->pml4_gpa = arch_virt_to_phys(pool.free_tops);
		uint64_t next = pool.free_tops[0];
		pool.free_tops[0] = 0;
		pool.free_tops = (uint64_t *)next;
		return 0;
	}
	if (!pool_reserve(1))
		return -ENOMEM;
	uint64_t *top = table_take();
	const uint64_t *boot = arch_phys_to_virt(boot_info->pml4_gpa);
	top[KERNEL_SLOT] = boot[KERNEL_SLOT];
	mm->pml4_gpa = arch_virt_to_phys(top);
	return 0;
}

static void table_free(uint64_t *table, unsigned level)
{
	for (unsigned i = 0; i < 512; i++) {
		uint64_t entry = table[i];
		if (entry == 0)
			continue;
		table[i] = 0;
		if (level == 0) /* without rights, but with a page, under PROT_NONE */
			page_put(pte_page(entry));
		else
			table_free(table_of(entry), level - 1);
	}
	table_put(table);
}

void pt_free(struct mm *mm)
{
	if (mm->pml4_gpa == 0)
		return;
	uint64_t *top = arch_phys_to_virt(mm->pml4_gpa);
	uint64_t below[4]; /* few slots are in use: the program, libraries and stack */
	for (unsigned i = 0; i < KERNEL_SLOT;) {
		unsigned count = 0;
		for (; i < KERNEL_SLOT && count < countof(below); i++) {
			if (top[i] == 0)
				continue;
			below[count++] = top[i];
			pte_write(&top[i], 0);
		}
		if (count > 0)
			arch_tlb_flush(mm, 0, UINT64_MAX);
		while (count > 0)
			table_free(table_of(below[--count]), 2);
	}
	top[0] = (uint64_t)pool.free_tops;
	pool.free_tops = top;
	mm->pml4_gpa = 0;
}

static unsigned slot_at(uint64_t va, unsigned level) { return (unsigned)(va >> (PAGE_SHIFT + 9 * level)) & 511u; }

uint64_t *pt_table(const struct mm *mm, uint64_t va)
{
	uint64_t *table = arch_phys_to_virt(mm->pml4_gpa);
	for (unsigned level = 3; level > 0; level--) {
		uint64_t entry = table[slot_at(va, level)];
		if ((entry & PTE_PRESENT) == 0)
			return NULL;
		table = table_of(entry);
	}
	return table;
}

uint64_t pt_get(const struct mm *mm, uint64_t va)
{
	const uint64_t *table = pt_table(mm, va);
	return table != NULL ? table[pt_slot(va)] : 0;
}

uint64_t *pt_begin(struct mm *mm, uint64_t va)
{
	uint64_t *table = pt_table(mm, va);
	if (table != NULL)
		return table;
	return pool_reserve(3) ? table_take() : NULL; /* pt_commit() may need two more */
}

void pt_commit(struct mm *mm, uint64_t va, uint64_t *table)
{
	uint64_t *upper[4];
	upper[3] = arch_phys_to_virt(mm->pml4_gpa);
	unsigned level = 3;
	while (level > 1 && (upper[level][slot_at(va, level)] & PTE_PRESENT) != 0) {
		upper[level - 1] = table_of(upper[level][slot_at(va, level)]);
		level--;
	}
	if (level == 1 && (upper[1][slot_at(va, 1)] & PTE_PRESENT) != 0)
		return;
	/* From below upwards, so that only one write goes to a table that is in use. */
	uint64_t *below = table;
	for (unsigned l = 1; l < level; l++) {
		uint64_t *fresh = table_take();
		fresh[slot_at(va, l)] = link_to(below);
		below = fresh;
	}
	pte_write(&upper[level][slot_at(va, level)], link_to(below));
}

int pt_set(struct mm *mm, uint64_t va, struct page *page, uint64_t rights)
{
	uint64_t *table = pt_begin(mm, va);
	if (table == NULL)
		return -ENOMEM;
	kassert(table[pt_slot(va)] == 0);
	pte_write(&table[pt_slot(va)], page_gpa(page) | rights);
	pt_commit(mm, va, table);
	mm->resident_pages++;
	return 0;
}

uint64_t pt_next_table(const struct mm *mm, uint64_t va, uint64_t end)
{
	while (va < end) {
		const uint64_t *table = arch_phys_to_virt(mm->pml4_gpa);
		unsigned level = 3;
		while (level > 0 && (table[slot_at(va, level)] & PTE_PRESENT) != 0) {
			table = table_of(table[slot_at(va, level)]);
			level--;
		}
		if (level == 0)
			return va;
		uint64_t span = PAGE_SIZE << (9 * level);
		va = align_down(va, span) + span;
	}
	return end;
}
