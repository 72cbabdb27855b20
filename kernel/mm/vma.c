/* SPDX-License-Identifier: Apache-2.0 */
/* The sorted array of an address space's mappings, and taking pages away from mappings. */
#include "kernel/mm/vma.h"

bool vma_may_commit(unsigned flags, int prot, uint64_t bytes)
{
	struct page_statistics memory;
	bool own = (flags & MAP_TYPE) == MAP_PRIVATE ? (prot & PROT_WRITE) != 0 : (flags & MAP_ANONYMOUS) != 0;
	if (!own || (flags & MAP_NORESERVE) != 0)
		return true;
	page_statistics(&memory);
	return bytes >> PAGE_SHIFT <= memory.total;
}

unsigned vma_index_above(const struct mm *mm, uint64_t va)
{
	unsigned low = 0, high = mm->vma_count;
	while (low < high) {
		unsigned middle = (low + high) / 2;
		if (mm->vmas[middle]->end > va)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct vma *vma_above(const struct mm *mm, uint64_t va)
{
	unsigned i = vma_index_above(mm, va);
	return i < mm->vma_count ? mm->vmas[i] : NULL;
}

struct vma *vma_at(const struct mm *mm, uint64_t va)
{
	struct vma *vma = vma_above(mm, va);
	return vma != NULL && vma->start <= va ? vma : NULL;
}

bool vma_range_free(const struct mm *mm, uint64_t start, uint64_t end)
{
	const struct vma *vma = vma_above(mm, start);
	return vma == NULL || vma->start >= end;
}

bool vma_range_mapped(const struct mm *mm, uint64_t start, uint64_t end)
{
	for (unsigned i = vma_index_above(mm, start); start < end; i++) {
		if (i >= mm->vma_count || mm->vmas[i]->start > start)
			return false;
		start = mm->vmas[i]->end;
	}
	return true;
}

void vma_set_cache(struct vma *vma, struct cache *cache)
{
	vma->cache = cache;
	if (cache != NULL)
		list_add_tail(&cache->mappings, &vma->cache_node);
}

struct vma *vma_copy(const struct vma *like, uint64_t start, uint64_t end)
{
	struct vma *vma = kmalloc(sizeof(*vma));
	if (vma == NULL)
		return NULL;
	*vma = *like;
	list_init(&vma->cache_node);
	vma->start = start;
	vma->end = end;
	vma->offset = like->offset + (start - like->start);
	if (vma->file != NULL)
		file_get(vma->file);
	if (vma->shared != NULL)
		vma->shared->references++;
	vma_set_cache(vma, like->cache);
	return vma;
}

void vma_free(struct vma *vma)
{
	list_remove(&vma->cache_node);
	if (vma->shared != NULL && --vma->shared->references == 0) {
		cache_fini(&vma->shared->cache);
		kfree(vma->shared);
	}
	struct file *file = vma->file;
	kfree(vma);
	if (file != NULL)
		file_put(file);
}

int vma_insert(struct mm *mm, struct vma *vma)
{
	if (mm->vma_count >= MAP_COUNT_MAX)
		return -ENOMEM;
	if (mm->vma_count == mm->vma_room) {
		unsigned room = mm->vma_room == 0 ? 64 : mm->vma_room * 2;
		struct vma **vmas = krealloc(mm->vmas, room * sizeof(struct vma *));
		if (vmas == NULL)
			return -ENOMEM;
		mm->vmas = vmas;
		mm->vma_room = room;
	}
	unsigned index = vma_index_above(mm, vma->start);
	memmove(&mm->vmas[index + 1], &mm->vmas[index], (mm->vma_count - index) * sizeof(struct vma *));
	mm->vmas[index] = vma;
	mm->vma_count++;
	mm->mapped_pages += (vma->end - vma->start) >> PAGE_SHIFT;
	return 0;
}

void vma_remove(struct mm *mm, unsigned index)
{
	struct vma *vma = mm->vmas[index];
	mm->mapped_pages -= (vma->end - vma->start) >> PAGE_SHIFT;
	mm->vma_count--;
	memmove(&mm->vmas[index], &mm->vmas[index + 1], (mm->vma_count - index) * sizeof(struct vma *));
}

int vma_split_at(struct mm *mm, uint64_t addr)
{
	struct vma *vma = vma_at(mm, addr);
	if (vma == NULL || vma->start == addr)
		return 0;
	struct vma *upper = vma_copy(vma, addr, vma->end);
	if (upper == NULL)
		return -ENOMEM;
	uint64_t end = vma->end;
	vma->end = addr;
	mm->mapped_pages -= (end - addr) >> PAGE_SHIFT;
	int r = vma_insert(mm, upper);
	if (r != 0) {
		vma->end = end;
		mm->mapped_pages += (end - addr) >> PAGE_SHIFT;
		vma_free(upper);
	}
	return r;
}

static bool can_join(const struct vma *a, const struct vma *b)
{
	return a->end == b->start && a->prot == b->prot && a->max_prot == b->max_prot && a->flags == b->flags &&
	       a->file == b->file && a->cache == b->cache && a->shared == b->shared && a->name == b->name &&
	       (a->flags & VMA_KERNEL) == 0 && (a->cache == NULL || a->offset + (a->end - a->start) == b->offset);
}

void vma_merge(struct mm *mm, uint64_t start, uint64_t end)
{
	unsigned i = vma_index_above(mm, start);
	if (i > 0)
		i--;
	while (i + 1 < mm->vma_count && mm->vmas[i]->end <= end) {
		struct vma *a = mm->vmas[i], *b = mm->vmas[i + 1];
		if (!can_join(a, b)) {
			i++;
			continue;
		}
		vma_remove(mm, i + 1);
		mm->mapped_pages += (b->end - b->start) >> PAGE_SHIFT;
		a->end = b->end;
		vma_free(b);
	}
}

uint64_t vma_find_room(const struct mm *mm, uint64_t bytes, uint64_t align, uint64_t lowest, uint64_t below)
{
	unsigned i = vma_index_above(mm, below - 1);
	uint64_t top = below;
	for (;;) {
		/* The gap that ends at top, between mapping i - 1 and mapping i. */
		if (i < mm->vma_count && mm->vmas[i]->start < top) {
			top = mm->vmas[i]->start;
			if ((mm->vmas[i]->flags & MAP_GROWSDOWN) != 0)
				top -= min_u64(top, STACK_GUARD_BYTES);
		}
		uint64_t bottom = i > 0 ? mm->vmas[i - 1]->end : 0;
		if (bottom < lowest)
			bottom = lowest;
		if (top > bottom && top - bottom >= bytes) {
			uint64_t start = align_down(top - bytes, align);
			if (start >= bottom)
				return start;
		}
		if (i == 0 || bottom <= lowest)
			return 0;
		i--;
	}
}

bool mm_vma_info(struct mm *mm, uint64_t va, struct vma_info *info)
{
	const struct vma *vma = vma_above(mm, va);
	if (vma == NULL)
		return false;
	*info = (struct vma_info){
	    .start = vma->start,
	    .end = vma->end,
	    .offset = vma->cache != NULL ? vma->offset : 0,
	    .prot = vma->prot,
	    .flags = (int)(vma->flags & ~VMA_KERNEL),
	    .file = vma->file,
	    .name = vma->name,
	};
	if (vma->shared != NULL)
		info->name = "/dev/zero (deleted)";
	else if (vma_is_anonymous(vma) && vma->start < mm->brk && vma->end > mm->brk_start)
		info->name = "[heap]";
	else if (vma->start <= mm->stack_start && mm->stack_start < vma->end)
		info->name = "[stack]";
	for (uint64_t at = pt_next_table(mm, vma->start, vma->end); at < vma->end;
	     at = pt_next_table(mm, align_down(at, TABLE_BYTES) + TABLE_BYTES, vma->end)) {
		const uint64_t *table = pt_table(mm, at);
		uint64_t stop = min_u64(vma->end, align_down(at, TABLE_BYTES) + TABLE_BYTES);
		for (uint64_t p = at; p < stop; p += PAGE_SIZE)
			info->resident_pages += table[pt_slot(p)] != 0;
	}
	return true;
}

/* ---- taking pages away ---- */

void tlb_batch_init(struct tlb_batch *batch, struct mm *mm)
{
	*batch = (struct tlb_batch){.mm = mm, .start = UINT64_MAX};
}

void tlb_batch_note(struct tlb_batch *batch, uint64_t va, uint64_t bytes)
{
	batch->start = min_u64(batch->start, va);
	batch->end = max_u64(batch->end, va + bytes);
}

void tlb_batch_finish(struct tlb_batch *batch)
{
	if (batch->start < batch->end)
		arch_tlb_flush(batch->mm, batch->start, batch->end - batch->start);
	page_gather_free(&batch->gather);
}

void mm_zap(struct tlb_batch *batch, uint64_t start, uint64_t end)
{
	struct mm *mm = batch->mm;
	for (uint64_t at = pt_next_table(mm, start, end); at < end; at = pt_next_table(mm, at, end)) {
		uint64_t *table = pt_table(mm, at);
		uint64_t stop = min_u64(end, align_down(at, TABLE_BYTES) + TABLE_BYTES);
		for (; at < stop; at += PAGE_SIZE) {
			uint64_t pte = table[pt_slot(at)];
			if (pte == 0)
				continue;
			pte_write(&table[pt_slot(at)], 0);
			mm->resident_pages--;
			if ((pte & PTE_PRESENT) != 0)
				tlb_batch_note(batch, at, PAGE_SIZE);
			page_gather_add(&batch->gather, pte_page(pte));
		}
	}
}

void vma_unmap_cache(struct cache *cache, uint64_t from)
{
	list_for_each(pos, &cache->mappings)
	{
		struct vma *vma = list_entry(pos, struct vma, cache_node);
		uint64_t skip = from > vma->offset ? from - vma->offset : 0;
		if (skip >= vma->end - vma->start)
			continue;
		struct tlb_batch batch;
		tlb_batch_init(&batch, vma->mm);
		mm_zap(&batch, vma->start + skip, vma->end);
		tlb_batch_finish(&batch);
	}
}

void vma_unmap_image(struct cache *cache, uint64_t index)
{
	list_for_each(pos, &cache->mappings)
	{
		struct vma *vma = list_entry(pos, struct vma, cache_node);
		uint64_t skip = (index << PAGE_SHIFT) - vma->offset; /* huge if it begins behind the page */
		if (skip >= vma->end - vma->start)
			continue;
		uint64_t pte = pt_get(vma->mm, vma->start + skip);
		if (pte == 0 || !page_is_image(pte_page(pte)))
			continue; /* a private copy stays */
		struct tlb_batch batch;
		tlb_batch_init(&batch, vma->mm);
		mm_zap(&batch, vma->start + skip, vma->start + skip + PAGE_SIZE);
		tlb_batch_finish(&batch);
	}
}

static void clean_range(struct tlb_batch *batch, uint64_t start, uint64_t end)
{
	for (uint64_t at = pt_next_table(batch->mm, start, end); at < end; at = pt_next_table(batch->mm, at, end)) {
		uint64_t *table = pt_table(batch->mm, at);
		uint64_t stop = min_u64(end, align_down(at, TABLE_BYTES) + TABLE_BYTES);
		for (; at < stop; at += PAGE_SIZE) {
			uint64_t pte = table[pt_slot(at)];
			if ((pte & PTE_WRITE) == 0)
				continue;
			pte_write(&table[pt_slot(at)], pte & ~PTE_WRITE);
			tlb_batch_note(batch, at, PAGE_SIZE);
		}
	}
}

void vma_clean_mappings(struct cache *cache)
{
	list_for_each(pos, &cache->mappings)
	{
		struct vma *vma = list_entry(pos, struct vma, cache_node);
		if (!vma_is_shared(vma))
			continue;
		struct tlb_batch batch;
		tlb_batch_init(&batch, vma->mm);
		clean_range(&batch, vma->start, vma->end);
		tlb_batch_finish(&batch);
	}
}

static void zap_clean(struct tlb_batch *batch, const struct vma *vma)
{
	for (uint64_t at = pt_next_table(batch->mm, vma->start, vma->end); at < vma->end;
	     at = pt_next_table(batch->mm, at, vma->end)) {
		uint64_t *table = pt_table(batch->mm, at);
		uint64_t stop = min_u64(vma->end, align_down(at, TABLE_BYTES) + TABLE_BYTES);
		for (; at < stop; at += PAGE_SIZE) {
			uint64_t pte = table[pt_slot(at)];
			if (pte == 0 || page_kind(pte_page(pte)) != PAGE_CACHED ||
			    cache_is_dirty(vma->cache, vma_index(vma, at)))
				continue;
			pte_write(&table[pt_slot(at)], 0);
			batch->mm->resident_pages--;
			tlb_batch_note(batch, at, PAGE_SIZE);
			page_gather_add(&batch->gather, pte_page(pte));
		}
	}
}

void vma_unmap_clean(struct cache *cache)
{
	list_for_each(pos, &cache->mappings)
	{
		struct vma *vma = list_entry(pos, struct vma, cache_node);
		struct tlb_batch batch;
		tlb_batch_init(&batch, vma->mm);
		zap_clean(&batch, vma);
		tlb_batch_finish(&batch);
	}
}
