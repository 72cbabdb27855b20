/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page faults. One fault costs as much as copying a hundred pages, so each maps as many pages around as
 * can be had cheaply: fresh pages, whose memory the host provides only when they are touched, and
 * pages of files that are cached or come with the same read request.
 */
#include "kernel/mm/vma.h"

#include <asm/siginfo.h>
#include <asm/signal.h>

#include "kernel/proc/elf.h"

#define ERROR_WRITE 2u
#define ERROR_FETCH 16u

#define ANONYMOUS_PAGES 16u /* mapped at the first fault; doubles while faults are sequential */
#define FILE_PAGES 32u
/* Of the image, pages that are verified cost nothing, and those that are not some 2 us each of waiting for the monitor.
 */
#define IMAGE_PAGES 64u
#define VERIFY_PAGES 16u
#define COPY_PAGES 32u
#define WINDOW_MAX 512u
#define RECLAIM_PAGES 256u        /* taken from programs when nothing else is left */
#define AHEAD_ANONYMOUS_PAGES 64u /* mapped at once by mmap and brk if the whole area is no larger */
#define AHEAD_DATA_PAGES 512u
#define AHEAD_CODE_PAGES 128u
/* Private writable file mappings up to this size are copied even when read: they are data segments, and
 * will be written to. */
#define DATA_SEGMENT_PAGES 4096u

struct range {
	uint64_t start, end;
};

/* The pages to map around va: an aligned window, within the mapping and one page table. */
static struct range window_around(struct vma *vma, uint64_t va, unsigned first)
{
	/* Where many faults came already, most of the mapping will be wanted. */
	unsigned pages = vma->cache == NULL || vma->fault_count < 8 ? first
			 : vma->fault_count < 32                    ? 2 * first
								    : 4 * first;
	uint64_t last = vma->window;
	vma->fault_count++;
	if (last != 0 &&
	    (va == vma->next_fault || align_down(va, last * PAGE_SIZE) + last * PAGE_SIZE == vma->last_fault))
		pages = (unsigned)min_u64(max_u64(last * 2, pages), WINDOW_MAX);
	if (!page_plenty(pages))
		pages = 1;
	struct range range = {align_down(va, pages * PAGE_SIZE), 0};
	range.end = min_u64(range.start + pages * PAGE_SIZE, vma->end);
	range.start = max_u64(range.start, vma->start);
	vma->window = pages;
	vma->last_fault = range.start;
	vma->next_fault = range.end;
	return range;
}

/* ---- anonymous memory ---- */

/* Maps fresh pages where the range, which lies in one table, has none. -ENOMEM only if va gets none. */
static int map_fresh(struct mm *mm, const struct vma *vma, struct range range, uint64_t va)
{
	uint64_t *table = pt_begin(mm, va);
	if (table == NULL)
		return -ENOMEM;
	uint64_t rights = pte_rights(vma->prot, (vma->prot & PROT_WRITE) != 0);
	for (uint64_t at = range.start; at < range.end; at += PAGE_SIZE) {
		if (table[pt_slot(at)] != 0)
			continue;
		struct page *page = page_alloc_program(true);
		if (page == NULL)
			break;
		pte_write(&table[pt_slot(at)], page_gpa(page) | rights);
		mm->resident_pages++;
	}
	int r = 0;
	if (table[pt_slot(va)] == 0) {
		struct page *page = page_alloc_program(true);
		if (page != NULL) {
			pte_write(&table[pt_slot(va)], page_gpa(page) | rights);
			mm->resident_pages++;
		} else
			r = -ENOMEM;
	}
	pt_commit(mm, va, table);
	return r;
}

/* ---- private copies ---- */

/* Replaces the entry's page by a private copy, or takes over a page that nobody else has. */
static int copy_entry(struct tlb_batch *batch, uint64_t *entry, uint64_t va, struct page *source, uint64_t rights)
{
	uint64_t old = *entry;
	struct page *old_page = old != 0 ? pte_page(old) : NULL;
	if (old_page != NULL && page_is_own(old_page)) {
		pte_write(entry, page_gpa(old_page) | rights);
		return 0;
	}
	if (old_page != NULL)
		source = old_page;
	struct page *page = page_alloc_program(false);
	if (page == NULL)
		return -ENOMEM;
	memcpy(page_address(page), page_address(source), PAGE_SIZE);
	pte_write(entry, page_gpa(page) | rights);
	if (old_page != NULL) {
		if ((old & PTE_PRESENT) != 0)
			tlb_batch_note(batch, va, PAGE_SIZE);
		page_gather_add(&batch->gather, old_page);
	} else
		batch->mm->resident_pages++;
	return 0;
}

/* What is still the case when somebody slept since vma was looked up? */
static bool same_mapping(const struct mm *mm, const struct vma *vma, const struct cache *cache, struct range range,
			 uint64_t index)
{
	const struct vma *now = vma_at(mm, range.start);
	return now == vma && now->cache == cache && now->end >= range.end && vma_index(now, range.start) == index;
}

/* Maps the pages that were read, where there are still none. */
static int map_read(struct mm *mm, const struct vma *vma, uint64_t va, struct page **pages, unsigned count)
{
	uint64_t *table = pt_begin(mm, va);
	if (table == NULL)
		return -ENOMEM;
	uint64_t rights = pte_rights(vma->prot, (vma->prot & PROT_WRITE) != 0);
	for (unsigned i = 0; i < count; i++) {
		uint64_t *entry = &table[pt_slot(va + i * PAGE_SIZE)];
		if (*entry != 0)
			continue;
		pte_write(entry, page_gpa(pages[i]) | rights);
		pages[i] = NULL;
		mm->resident_pages++;
	}
	pt_commit(mm, va, table);
	return 0;
}

/* Reads `count` pages at va, of which neither cache nor page table has any, as private pages, past the
 * cache: nobody else wants a data segment's original. 1: the mapping has changed meanwhile. Sleeps. */
static int read_private(struct mm *mm, struct vma *vma, uint64_t va, unsigned count)
{
	struct page *pages[CACHE_BATCH];
	struct cache *cache = vma->cache;
	uint64_t index = vma_index(vma, va);
	struct range range = {va, va};
	unsigned have = 0;
	for (; have < count && (have == 0 || page_plenty(1)); have++) {
		pages[have] = page_alloc_program(true);
		if (pages[have] == NULL)
			break;
	}
	if (have == 0)
		return -ENOMEM;
	range.end += have * PAGE_SIZE;
	struct file *file = vma->file != NULL ? file_get(vma->file) : NULL;
	uint32_t generation = cache->generation;
	mm->faults_major++;
	int r = cache->ops->fill(cache, index, pages, have);
	if (r == 0 && (!same_mapping(mm, vma, cache, range, index) || generation != cache->generation))
		r = 1;
	if (r == 0)
		r = map_read(mm, vma, va, pages, have);
	for (unsigned i = 0; i < have; i++)
		if (pages[i] != NULL)
			page_put(pages[i]);
	if (file != NULL)
		file_put(file);
	return r;
}

static bool is_cached(struct cache *cache, uint64_t index)
{
	struct page *page = cache_peek(cache, index);
	if (page != NULL)
		page_put(page);
	return page != NULL;
}

/* read_private() for those pages of the range that lie around va in one run. 0 also if va's is cached. */
static int read_private_around(struct mm *mm, struct vma *vma, struct range range, uint64_t va)
{
	uint64_t end = vma->start + align_up(vma->cache->size, PAGE_SIZE) - vma->offset;
	uint64_t start = va;
	unsigned count = 1;
	if (is_cached(vma->cache, vma_index(vma, va)))
		return 0;
	while (start > range.start && count < CACHE_BATCH && pt_get(mm, start - PAGE_SIZE) == 0 &&
	       !is_cached(vma->cache, vma_index(vma, start - PAGE_SIZE))) {
		start -= PAGE_SIZE;
		count++;
	}
	while (start + count * PAGE_SIZE < min_u64(range.end, end) && count < CACHE_BATCH &&
	       pt_get(mm, start + count * PAGE_SIZE) == 0 &&
	       !is_cached(vma->cache, vma_index(vma, start + count * PAGE_SIZE)))
		count++;
	return read_private(mm, vma, start, count);
}

/* Gives va and those neighbours that are cached private copies. `source` is va's cache page, NULL if the
 * page in the table is to be copied. */
static int map_copies(struct mm *mm, struct vma *vma, struct range range, uint64_t va, struct page *source)
{
	uint64_t *table = pt_begin(mm, va);
	if (table == NULL)
		return -ENOMEM;
	struct tlb_batch batch;
	tlb_batch_init(&batch, mm);
	uint64_t rights = pte_rights(vma->prot, (vma->prot & PROT_WRITE) != 0);
	int r = copy_entry(&batch, &table[pt_slot(va)], va, source, rights);
	for (uint64_t at = range.start; r == 0 && at < range.end; at += PAGE_SIZE) {
		if (at == va || table[pt_slot(at)] != 0)
			continue;
		struct page *page = cache_peek(vma->cache, vma_index(vma, at));
		if (page == NULL)
			continue;
		int failed = copy_entry(&batch, &table[pt_slot(at)], at, page, rights);
		page_put(page);
		if (failed != 0)
			break;
	}
	pt_commit(mm, va, table);
	tlb_batch_finish(&batch);
	return r;
}

/* ---- pages of files ---- */

static bool map_writable(const struct vma *vma, uint64_t index)
{
	return vma_is_shared(vma) && (vma->prot & PROT_WRITE) != 0 &&
	       (cache_is_memory(vma->cache) || cache_is_dirty(vma->cache, index));
}

/* Maps the cached pages of the range where there are none yet; va's page is `page`. */
static int map_cached(struct mm *mm, struct vma *vma, struct range range, uint64_t va, struct page *page)
{
	uint64_t *table = pt_begin(mm, va);
	if (table == NULL)
		return -ENOMEM;
	uint64_t *entry = &table[pt_slot(va)];
	uint64_t rights = pte_rights(vma->prot, map_writable(vma, vma_index(vma, va)));
	if (*entry == 0) {
		page_get(page);
		mm->resident_pages++;
		pte_write(entry, page_gpa(page) | rights);
	} else if (pte_page(*entry) == page)
		pte_write(entry, page_gpa(page) | rights);
	for (uint64_t at = range.start; at < range.end; at += PAGE_SIZE) {
		uint64_t index = vma_index(vma, at);
		if (table[pt_slot(at)] != 0)
			continue;
		struct page *neighbour = cache_peek(vma->cache, index);
		if (neighbour == NULL)
			continue;
		mm->resident_pages++;
		pte_write(&table[pt_slot(at)], page_gpa(neighbour) | pte_rights(vma->prot, map_writable(vma, index)));
	}
	pt_commit(mm, va, table);
	return 0;
}

/* The page at index, read with the missing ones around it. Sleeps if it is not cached. */
static int read_around(struct cache *cache, uint64_t index, uint64_t first, uint64_t last, struct page **page)
{
	uint64_t start = index;
	if (cache_in_image(cache)) {
		uint64_t near = align_down(index, VERIFY_PAGES);
		cache_verify_around(cache, index, max_u64(first, near), min_u64(last, near + VERIFY_PAGES - 1));
		return cache_get(cache, index, 0, page);
	}
	while (start > first) {
		struct page *before = cache_peek(cache, start - 1);
		if (before != NULL) {
			page_put(before);
			break;
		}
		start--;
	}
	if (start < index) {
		int r = cache_get(cache, start, (unsigned)(last - start), page);
		if (r != 0)
			return r;
		page_put(*page);
	}
	return cache_get(cache, index, (unsigned)(last - index), page);
}

/* Finds or reads the page behind va. 1: the mapping has changed meanwhile, fault again. */
static int file_page(struct mm *mm, struct vma *vma, uint64_t va, struct range range, struct page **page)
{
	struct cache *cache = vma->cache;
	uint64_t index = vma_index(vma, va);
	*page = cache_peek(cache, index);
	if (*page != NULL)
		return 0;
	uint64_t first = vma_index(vma, range.start), last = vma_index(vma, range.end) - 1;
	struct file *file = vma->file != NULL ? file_get(vma->file) : NULL;
	mm->faults_major++;
	int r = read_around(cache, index, first, last, page);
	if (r == 0) {
		if (!same_mapping(mm, vma, cache, range, first)) {
			page_put(*page);
			r = 1;
		}
	}
	if (file != NULL)
		file_put(file);
	return r;
}

static int bus_error(int *si_code)
{
	*si_code = BUS_ADRERR;
	return SIGBUS;
}

static int read_error(int error, int *si_code) { return error == -ENOMEM ? SIGKILL : bus_error(si_code); }

/* A private mapping's page that is written to, or soon will be. */
static int fault_copy(struct mm *mm, struct vma *vma, uint64_t va, int *si_code)
{
	uint64_t old = pt_get(mm, va);
	if (old != 0 && page_kind(pte_page(old)) != PAGE_CACHED) {
		struct range one = {va, va + PAGE_SIZE};
		return map_copies(mm, vma, one, va, NULL) == 0 ? 0 : SIGKILL;
	}
	struct range around = window_around(vma, va, COPY_PAGES);
	if (old == 0 && !cache_is_memory(vma->cache)) {
		int r = read_private_around(mm, vma, around, va);
		if (r < 0)
			return read_error(r, si_code);
		if (r == 1 || pt_get(mm, va) != 0)
			return 0; /* the access is made again */
	}
	struct page *page;
	int r = file_page(mm, vma, va, around, &page);
	if (r == 1)
		return 0;
	if (r != 0)
		return read_error(r, si_code);
	r = map_copies(mm, vma, around, va, page);
	page_put(page);
	return r == 0 ? 0 : SIGKILL;
}

static int fault_file(struct mm *mm, struct vma *vma, uint64_t va, bool write, int *si_code)
{
	uint64_t index = vma_index(vma, va);
	if (index >= align_up(vma->cache->size, PAGE_SIZE) >> PAGE_SHIFT)
		return bus_error(si_code);
	bool data = (vma->prot & PROT_WRITE) != 0 && (vma->end - vma->start) <= DATA_SEGMENT_PAGES * PAGE_SIZE;
	if (!vma_is_shared(vma) && (write || data))
		return fault_copy(mm, vma, va, si_code);
	struct range around = window_around(vma, va, cache_in_image(vma->cache) ? IMAGE_PAGES : FILE_PAGES);
	struct page *page;
	int r = file_page(mm, vma, va, around, &page);
	if (r == 1)
		return 0;
	if (r != 0)
		return read_error(r, si_code);
	if (write) {
		page_put(page);
		r = cache_get_for_write(vma->cache, index, &page); /* it is there: no sleep */
		if (r != 0)
			return read_error(r, si_code);
		cache_mark_dirty(vma->cache, index);
	}
	r = map_cached(mm, vma, around, va, page);
	page_put(page);
	return r == 0 ? 0 : SIGKILL;
}

/* ---- the fault ---- */

/* May the stack's mapping begin at start? */
static bool may_grow_to(const struct mm *mm, unsigned index, uint64_t start)
{
	const struct vma *vma = mm->vmas[index];
	if (vma->end - start > mm->stack_limit || start < USER_MIN)
		return false;
	if (index == 0)
		return true;
	const struct vma *below = mm->vmas[index - 1];
	return start >= below->end + (below->prot != 0 ? STACK_GUARD_BYTES : 0);
}

/* The mapping that va belongs to; a stack grows to it if it may. */
static struct vma *find_or_grow(struct mm *mm, uint64_t va)
{
	unsigned index = vma_index_above(mm, va);
	if (index >= mm->vma_count)
		return NULL;
	struct vma *vma = mm->vmas[index];
	if (va >= vma->start)
		return vma;
	if ((vma->flags & MAP_GROWSDOWN) == 0 || !may_grow_to(mm, index, va))
		return NULL;
	/* By a whole window if it can be. */
	uint64_t start = align_down(va, ANONYMOUS_PAGES * PAGE_SIZE);
	if (!may_grow_to(mm, index, start))
		start = va;
	mm->mapped_pages += (vma->start - start) >> PAGE_SHIFT;
	if (vma->cache != NULL)
		vma->offset -= vma->start - start;
	vma->start = start;
	return vma;
}

static bool allowed(const struct vma *vma, uint32_t error)
{
	if ((error & ERROR_WRITE) != 0)
		return (vma->prot & PROT_WRITE) != 0;
	if ((error & ERROR_FETCH) != 0)
		return (vma->prot & PROT_EXEC) != 0;
	return vma->prot != 0;
}

static bool entry_allows(uint64_t pte, uint32_t error)
{
	return (pte & PTE_PRESENT) != 0 && ((error & ERROR_WRITE) == 0 || (pte & PTE_WRITE) != 0) &&
	       ((error & ERROR_FETCH) == 0 || (pte & PTE_NX) == 0);
}

static int fault_once(struct mm *mm, uint64_t va, uint32_t error, int *si_code)
{
	struct vma *vma = va < USER_MAX ? find_or_grow(mm, va) : NULL;
	if (vma == NULL) {
		*si_code = SEGV_MAPERR;
		return SIGSEGV;
	}
	if (!allowed(vma, error)) {
		*si_code = SEGV_ACCERR;
		return SIGSEGV;
	}
	uint64_t pte = pt_get(mm, va);
	if (entry_allows(pte, error))
		return 0; /* another thread was faster */
	if ((vma->flags & VMA_KERNEL) != 0)
		return bus_error(si_code);
	if (vma->cache != NULL)
		return fault_file(mm, vma, va, (error & ERROR_WRITE) != 0, si_code);
	struct range one = {va, va + PAGE_SIZE};
	if (pte != 0)
		return map_copies(mm, vma, one, va, NULL) == 0 ? 0 : SIGKILL;
	return map_fresh(mm, vma, window_around(vma, va, ANONYMOUS_PAGES), va) == 0 ? 0 : SIGKILL;
}

int mm_fault(struct mm *mm, uint64_t va, uint32_t error, int *si_code)
{
	mm->faults++;
	for (;;) {
		int signal = fault_once(mm, align_down(va, PAGE_SIZE), error, si_code);
		if (likely(signal != SIGKILL) || cache_reclaim_mapped(RECLAIM_PAGES) == 0)
			return signal;
	}
}

/* ---- ahead of faults ---- */

int mm_populate(struct mm *mm, uint64_t start, uint64_t end, bool write)
{
	uint32_t error = write ? ERROR_WRITE : 0;
	for (uint64_t at = start; at < end; at += PAGE_SIZE) {
		int si_code;
		while (!entry_allows(pt_get(mm, at), error))
			if (mm_fault(mm, at, error, &si_code) != 0)
				return -EFAULT;
	}
	return 0;
}

/* If the file is an ELF library being mapped as a whole: bytes of its first segment, with the symbols, which
 * the program interpreter looks at next (the others it will map over). */
static uint64_t first_segment(struct cache *cache)
{
	struct page *page = cache_peek(cache, 0);
	if (page == NULL)
		return 0;
	struct elf_header header;
	uint64_t bytes = 0;
	if (elf_parse_header(page_address(page), PAGE_SIZE, cache->size, &header) == 0 && header.phdr_count <= 32 &&
	    header.phdr_offset <= PAGE_SIZE - 32ull * ELF_SEGMENT_BYTES)
		bytes = elf_first_load((const char *)page_address(page) + header.phdr_offset, header.phdr_count);
	page_put(page);
	return min_u64(bytes, FILE_PAGES * PAGE_SIZE);
}

void fault_ahead(struct mm *mm, uint64_t start, uint64_t end, bool fixed)
{
	struct vma *vma = vma_at(mm, start);
	uint64_t pages = (end - start) >> PAGE_SHIFT;
	if (vma == NULL || vma->end < end || (vma->flags & (VMA_KERNEL | MAP_GROWSDOWN)) != 0)
		return;
	if (vma_is_anonymous(vma) && (vma->prot & PROT_WRITE) != 0 && pages <= AHEAD_ANONYMOUS_PAGES &&
	    page_plenty(256)) {
		while (start < end) {
			uint64_t stop = min_u64(end, align_down(start, TABLE_BYTES) + TABLE_BYTES);
			if (map_fresh(mm, vma, (struct range){start, stop}, start) != 0)
				return;
			start = stop;
		}
		return;
	}
	if (vma->file == NULL || vma_is_shared(vma) || !page_plenty(1024))
		return;
	uint64_t size = align_up(vma->cache->size, PAGE_SIZE);
	end = min_u64(end, vma->start + size - min_u64(vma->offset, size));
	/* A library's segment: its data will be relocated, its code run. */
	if (fixed && (vma->prot & PROT_WRITE) != 0 && pages <= AHEAD_DATA_PAGES)
		mm_populate(mm, start, end, true);
	else if (fixed && (vma->prot & PROT_EXEC) != 0 && pages <= AHEAD_CODE_PAGES)
		mm_populate(mm, start, end, false);
	else if (!fixed && vma->offset == 0)
		mm_populate(mm, start, min_u64(end, start + first_segment(vma->cache)), false);
}
