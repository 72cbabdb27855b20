/* SPDX-License-Identifier: Apache-2.0 */
/* mremap(2) and madvise(2). */
#include "kernel/mm/vma.h"

/* Makes sure that moving the entries cannot fail half-way. */
static int make_tables(struct mm *mm, uint64_t from, uint64_t to, uint64_t bytes)
{
	uint64_t end = from + bytes;
	for (uint64_t at = pt_next_table(mm, from, end); at < end;) {
		uint64_t stop = min_u64(end, align_down(at, TABLE_BYTES) + TABLE_BYTES);
		uint64_t ends[2] = {to + (at - from), to + (stop - from) - PAGE_SIZE};
		for (unsigned i = 0; i < 2; i++) {
			uint64_t *table = pt_begin(mm, ends[i]);
			if (table == NULL)
				return -ENOMEM;
			pt_commit(mm, ends[i], table);
		}
		at = pt_next_table(mm, stop, end);
	}
	return 0;
}

static void move_entries(struct tlb_batch *batch, uint64_t from, uint64_t to, uint64_t bytes)
{
	struct mm *mm = batch->mm;
	uint64_t end = from + bytes;
	for (uint64_t at = pt_next_table(mm, from, end); at < end; at = pt_next_table(mm, at, end)) {
		uint64_t *table = pt_table(mm, at);
		uint64_t stop = min_u64(end, align_down(at, TABLE_BYTES) + TABLE_BYTES);
		for (; at < stop; at += PAGE_SIZE) {
			uint64_t pte = table[pt_slot(at)];
			if (pte == 0)
				continue;
			uint64_t target = to + (at - from);
			pte_write(&table[pt_slot(at)], 0);
			if ((pte & PTE_PRESENT) != 0)
				tlb_batch_note(batch, at, PAGE_SIZE);
			pte_write(&pt_table(mm, target)[pt_slot(target)], pte);
		}
	}
}

/* Moves [old, old + old_bytes), which lies in one mapping, to new, where nothing is. */
static int64_t move(struct mm *mm, uint64_t old, uint64_t old_bytes, uint64_t new, uint64_t new_bytes, bool keep)
{
	struct vma *vma = vma_at(mm, old);
	struct vma *target = vma_copy(vma, old, old + old_bytes);
	if (target == NULL)
		return -ENOMEM;
	if ((vma->prot & PROT_EXEC) != 0)
		patch_code_changed(mm, old, old_bytes);
	target->start = new;
	target->end = new + new_bytes;
	uint64_t moved = min_u64(old_bytes, new_bytes);
	int r = make_tables(mm, old, new, moved);
	if (r == 0)
		r = vma_insert(mm, target);
	if (r != 0) {
		vma_free(target);
		return r;
	}
	struct tlb_batch batch;
	tlb_batch_init(&batch, mm);
	move_entries(&batch, old, new, moved);
	tlb_batch_finish(&batch);
	vma_merge(mm, new, new + new_bytes);
	if (!keep)
		r = mm_unmap(mm, old, old_bytes);
	return r != 0 ? r : (int64_t) new;
}

static bool grow_in_place(struct mm *mm, struct vma *vma, uint64_t end, uint64_t new_end)
{
	if (vma->end != end || new_end > USER_MAX - PAGE_SIZE || !vma_range_free(mm, end, new_end))
		return false;
	const struct vma *next = vma_above(mm, end);
	if (next != NULL && (next->flags & MAP_GROWSDOWN) != 0 && next->start - new_end < STACK_GUARD_BYTES)
		return false;
	mm->mapped_pages += (new_end - end) >> PAGE_SHIFT;
	vma->end = new_end;
	if (vma->shared != NULL)
		vma->shared->cache.size = max_u64(vma->shared->cache.size, vma->offset + (new_end - vma->start));
	vma_merge(mm, end, new_end);
	return true;
}

static int64_t remap_fixed(struct mm *mm, uint64_t old, uint64_t old_bytes, uint64_t new_bytes, uint64_t flags,
			   uint64_t new)
{
	if ((new & ~PAGE_MASK) != 0 || new < USER_MIN || new > USER_MAX - PAGE_SIZE ||
	    new_bytes > USER_MAX - PAGE_SIZE - new)
		return -EINVAL;
	if (new < old + old_bytes && old < new + new_bytes)
		return -EINVAL;
	int r = mm_unmap(mm, new, new_bytes);
	if (r != 0)
		return r;
	if (new_bytes < old_bytes) {
		r = mm_unmap(mm, old + new_bytes, old_bytes - new_bytes);
		old_bytes = new_bytes;
	}
	const struct vma *vma = vma_at(mm, old); /* unmapping may have slept */
	if (r != 0 || vma == NULL || vma->end < old + old_bytes)
		return r != 0 ? r : -EFAULT;
	return move(mm, old, old_bytes, new, new_bytes, (flags & MREMAP_DONTUNMAP) != 0);
}

int64_t mm_remap(struct mm *mm, uint64_t old, uint64_t old_bytes, uint64_t new_bytes, uint64_t flags, uint64_t new)
{
	if ((flags & ~(uint64_t)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0 || (old & ~PAGE_MASK) != 0 ||
	    ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0 && (flags & MREMAP_MAYMOVE) == 0) || new_bytes == 0 ||
	    old_bytes > USER_MAX || new_bytes > USER_MAX)
		return -EINVAL;
	old_bytes = align_up(old_bytes, PAGE_SIZE);
	new_bytes = align_up(new_bytes, PAGE_SIZE);
	if (old_bytes == 0 || ((flags & MREMAP_DONTUNMAP) != 0 && old_bytes != new_bytes))
		return -EINVAL;
	struct vma *vma = vma_at(mm, old);
	if (vma == NULL || old_bytes > vma->end - old)
		return -EFAULT;
	if ((vma->flags & VMA_KERNEL) != 0)
		return -EINVAL;
	if (new_bytes > old_bytes && !vma_may_commit(vma->flags, vma->prot, new_bytes - old_bytes))
		return -ENOMEM;
	if ((flags & MREMAP_FIXED) != 0)
		return remap_fixed(mm, old, old_bytes, new_bytes, flags, new);
	if ((flags & MREMAP_DONTUNMAP) == 0) {
		if (new_bytes <= old_bytes) {
			int r = new_bytes < old_bytes ? mm_unmap(mm, old + new_bytes, old_bytes - new_bytes) : 0;
			return r != 0 ? r : (int64_t)old;
		}
		if (grow_in_place(mm, vma, old + old_bytes, old + new_bytes)) {
			fault_ahead(mm, old + old_bytes, old + new_bytes, false);
			return (int64_t)old;
		}
	}
	if ((flags & MREMAP_MAYMOVE) == 0)
		return -ENOMEM;
	uint64_t room = vma_find_room(mm, new_bytes, PAGE_SIZE, USER_MIN, mm->mmap_top);
	if (room == 0)
		return -ENOMEM;
	if (vma->shared != NULL)
		vma->shared->cache.size = max_u64(vma->shared->cache.size, vma_index(vma, old) * PAGE_SIZE + new_bytes);
	return move(mm, old, old_bytes, room, new_bytes, (flags & MREMAP_DONTUNMAP) != 0);
}

/* ---- advice ---- */

/* Does it mean something here? -EINVAL: no such advice, or not for such a mapping. */
static int advice_check(const struct vma *vma, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
		return (vma->flags & VMA_KERNEL) != 0 ? -EINVAL : 1;
	case MADV_FREE:
		return vma_is_anonymous(vma) ? 1 : -EINVAL;
	default:
		return 0;
	}
}

static bool advice_known(int advice)
{
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
	case MADV_DONTNEED_LOCKED:
		return true;
	default:
		return false;
	}
}

int mm_advise(struct mm *mm, uint64_t start, uint64_t bytes, int advice)
{
	if (!advice_known(advice) || (start & ~PAGE_MASK) != 0 || bytes > USER_MAX ||
	    start > USER_MAX - align_up(bytes, PAGE_SIZE))
		return -EINVAL;
	uint64_t end = start + align_up(bytes, PAGE_SIZE);
	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE) {
		if (!vma_range_mapped(mm, start, end))
			return -ENOMEM;
		return mm_populate(mm, start, end, advice == MADV_POPULATE_WRITE);
	}
	/* MADV_FREE allows to keep the pages as long as there is enough memory: that saves faults. */
	bool keep = advice == MADV_FREE && page_plenty((unsigned)(page_free_count() / 2));
	struct tlb_batch batch;
	tlb_batch_init(&batch, mm);
	int r = 0;
	for (uint64_t at = start; at < end;) {
		struct vma *vma = vma_above(mm, at);
		if (vma == NULL || vma->start >= end) {
			r = -ENOMEM;
			break;
		}
		if (vma->start > at) {
			r = -ENOMEM; /* but the rest is done */
			at = vma->start;
		}
		uint64_t stop = min_u64(vma->end, end);
		int what = advice_check(vma, advice);
		if (what < 0) {
			r = what;
			break;
		}
		if (what > 0 && !keep)
			mm_zap(&batch, at, stop);
		at = stop;
	}
	tlb_batch_finish(&batch);
	return r;
}
