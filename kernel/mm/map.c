/* SPDX-License-Identifier: Apache-2.0 */
/* Address spaces and their mappings: mmap, munmap, mprotect, brk (POSIX and the Linux man pages). */
#include "kernel/mm/vma.h"

#include <linux/fcntl.h>

#define NEAR_BYTES (1ull << 30)

int mm_new(struct mm **mm)
{
	*mm = kzalloc(sizeof(**mm));
	if (*mm == NULL)
		return -ENOMEM;
	(*mm)->references = 1;
	(*mm)->mmap_top = STACK_TOP - (128ull << 20);
	int r = pt_new(*mm);
	if (r != 0) {
		kfree(*mm);
		*mm = NULL;
	}
	return r;
}

struct mm *mm_get(struct mm *mm)
{
	mm->references++;
	return mm;
}

void mm_put(struct mm *mm)
{
	if (mm == NULL || --mm->references > 0)
		return;
	patch_mm_free(mm);
	pt_free(mm);
	for (unsigned i = 0; i < mm->vma_count; i++)
		vma_free(mm->vmas[i]);
	kfree(mm->vmas);
	kfree(mm);
}

/* ---- unmapping ---- */

/* Takes the mappings of [start, end) out, into `removed`; their pages into the batch. */
static int take_out(struct mm *mm, uint64_t start, uint64_t end, struct list *removed, struct tlb_batch *batch)
{
	int r = vma_split_at(mm, start);
	if (r == 0)
		r = vma_split_at(mm, end);
	if (r != 0)
		return r;
	unsigned first = vma_index_above(mm, start), last = first;
	for (; last < mm->vma_count && mm->vmas[last]->start < end; last++) {
		struct vma *vma = mm->vmas[last];
		if ((vma->prot & PROT_EXEC) != 0)
			patch_code_changed(mm, vma->start, vma->end - vma->start);
		mm_zap(batch, vma->start, vma->end);
		mm->mapped_pages -= (vma->end - vma->start) >> PAGE_SHIFT;
		list_remove(&vma->cache_node);
		list_add_tail(removed, &vma->cache_node);
	}
	if (last > first)
		memmove(&mm->vmas[first], &mm->vmas[last], (mm->vma_count - last) * sizeof(struct vma *));
	mm->vma_count -= last - first;
	return 0;
}

/* After everything is consistent again, for this may sleep. */
static void free_removed(struct list *removed)
{
	while (!list_empty(removed))
		vma_free(list_first(removed, struct vma, cache_node));
}

static bool range_valid(uint64_t addr, uint64_t bytes)
{
	return (addr & ~PAGE_MASK) == 0 && bytes <= USER_MAX && addr <= USER_MAX - bytes;
}

int mm_unmap(struct mm *mm, uint64_t addr, uint64_t bytes)
{
	if (bytes == 0 || bytes > USER_MAX)
		return -EINVAL;
	bytes = align_up(bytes, PAGE_SIZE);
	if (!range_valid(addr, bytes))
		return -EINVAL;
	struct list removed = LIST_INIT(removed);
	struct tlb_batch batch;
	tlb_batch_init(&batch, mm);
	int r = take_out(mm, addr, addr + bytes, &removed, &batch);
	tlb_batch_finish(&batch);
	free_removed(&removed);
	return r;
}

/* ---- mapping ---- */

/* What a file may be mapped for, and its cache. */
static int map_file(struct vma *vma, struct file *file, uint64_t bytes, int flags)
{
	bool readable = (file->flags & O_ACCMODE) != O_WRONLY, writable = (file->flags & O_ACCMODE) != O_RDONLY;
	if (!readable || (file->flags & O_PATH) != 0)
		return (file->flags & O_PATH) != 0 ? -EBADF : -EACCES;
	if (vma_is_shared(vma) && !writable) {
		if ((vma->prot & PROT_WRITE) != 0)
			return -EACCES;
		vma->max_prot &= (uint8_t)~PROT_WRITE;
	}
	struct cache *cache = NULL;
	if (file->ops->mmap != NULL) {
		int r = file->ops->mmap(file, &cache, vma->offset, bytes, vma->prot, flags);
		if (r != 0)
			return r;
	} else if (file->inode != NULL) {
		struct statx stat;
		inode_get_stat(file->inode, &stat);
		if ((stat.stx_mode & S_IFMT) == S_IFREG)
			cache = inode_cache(file->inode);
	}
	if (cache == NULL && file->ops->mmap == NULL)
		return -ENODEV;
	if (cache != NULL) /* else like /dev/zero: anonymous */
		vma->file = file_get(file);
	vma_set_cache(vma, cache);
	return 0;
}

static int map_shared_anonymous(struct vma *vma, uint64_t bytes)
{
	struct shared_memory *shared = kzalloc(sizeof(*shared));
	if (shared == NULL)
		return -ENOMEM;
	shared->references = 1;
	cache_init(&shared->cache, NULL, NULL);
	shared->cache.size = bytes;
	vma->shared = shared;
	vma->offset = 0;
	vma_set_cache(vma, &shared->cache);
	return 0;
}

static int map_new(struct mm *mm, struct vma **vma, uint64_t bytes, int prot, int flags, struct file *file,
		   uint64_t offset)
{
	unsigned type = (unsigned)flags & MAP_TYPE;
	if (type == MAP_SHARED_VALIDATE)
		type = MAP_SHARED;
	if (type != MAP_SHARED && type != MAP_PRIVATE)
		return -EINVAL;
	*vma = kzalloc(sizeof(**vma));
	if (*vma == NULL)
		return -ENOMEM;
	list_init(&(*vma)->cache_node);
	(*vma)->mm = mm;
	(*vma)->prot = (uint8_t)(prot & (PROT_READ | PROT_WRITE | PROT_EXEC));
	(*vma)->max_prot = PROT_READ | PROT_WRITE | PROT_EXEC;
	(*vma)->flags = ((unsigned)flags & VMA_KEPT_FLAGS & ~(unsigned)MAP_TYPE & ~VMA_KERNEL) | type;
	(*vma)->offset = offset;
	int r = 0;
	if (file != NULL && (flags & MAP_ANONYMOUS) == 0)
		r = map_file(*vma, file, bytes, flags);
	else
		(*vma)->flags |= MAP_ANONYMOUS;
	if (r == 0 && (*vma)->cache == NULL && type == MAP_SHARED)
		r = map_shared_anonymous(*vma, bytes);
	if (r != 0) {
		vma_free(*vma);
		*vma = NULL;
	}
	return r;
}

/* Where the mapping goes. */
static int place(struct mm *mm, uint64_t *addr, uint64_t bytes, int flags)
{
	if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0) {
		if ((*addr & ~PAGE_MASK) != 0)
			return -EINVAL;
		if (!range_valid(*addr, bytes))
			return -ENOMEM;
		if (*addr < USER_MIN)
			return -EPERM;
		if ((flags & MAP_FIXED_NOREPLACE) != 0 && !vma_range_free(mm, *addr, *addr + bytes))
			return -EEXIST;
		return 0;
	}
	uint64_t hint = align_down(*addr, PAGE_SIZE);
	if (hint >= USER_MIN && range_valid(hint, bytes) && vma_range_free(mm, hint, hint + bytes)) {
		const struct vma *next = vma_above(mm, hint);
		if (next == NULL || (next->flags & MAP_GROWSDOWN) == 0 ||
		    next->start - (hint + bytes) >= STACK_GUARD_BYTES) {
			*addr = hint;
			return 0;
		}
	}
	uint64_t start = 0;
	if ((flags & MAP_32BIT) != 0)
		start = vma_find_room(mm, bytes, PAGE_SIZE, 0x40000000, 0x80000000);
	else {
		start = vma_find_room(mm, bytes, PAGE_SIZE, USER_MIN, mm->mmap_top);
		if (start == 0)
			start = vma_find_room(mm, bytes, PAGE_SIZE, mm->mmap_top, USER_MAX - PAGE_SIZE);
	}
	*addr = start;
	return start != 0 ? 0 : -ENOMEM;
}

/* Puts the mapping in, in place of what is there. */
static int put_in(struct mm *mm, struct vma *vma, uint64_t start, uint64_t bytes)
{
	struct list removed = LIST_INIT(removed);
	struct tlb_batch batch;
	tlb_batch_init(&batch, mm);
	vma->start = start;
	vma->end = start + bytes;
	int r = 0;
	if (!vma_range_free(mm, start, start + bytes))
		r = take_out(mm, start, start + bytes, &removed, &batch);
	if (r == 0)
		r = vma_insert(mm, vma);
	if (r == 0)
		vma_merge(mm, start, start + bytes);
	else
		vma_free(vma);
	tlb_batch_finish(&batch);
	free_removed(&removed);
	return r;
}

int mm_map(struct mm *mm, uint64_t *addr, uint64_t bytes, int prot, int flags, struct file *file, uint64_t offset)
{
	if (bytes == 0 || (offset & ~PAGE_MASK) != 0)
		return -EINVAL;
	if (bytes > USER_MAX)
		return -ENOMEM;
	bytes = align_up(bytes, PAGE_SIZE);
	if (offset + bytes < offset || offset + bytes > INT64_MAX)
		return -EOVERFLOW;
	if (!vma_may_commit((unsigned)flags, prot, bytes))
		return -ENOMEM;
	struct vma *vma;
	int r = map_new(mm, &vma, bytes, prot, flags, file, offset);
	if (r != 0)
		return r;
	r = place(mm, addr, bytes, flags);
	if (r != 0) {
		vma_free(vma);
		return r;
	}
	r = put_in(mm, vma, *addr, bytes);
	if (r != 0)
		return r;
	if ((flags & (MAP_POPULATE | MAP_LOCKED)) != 0 && (flags & MAP_NONBLOCK) == 0)
		mm_populate(mm, *addr, *addr + bytes, (prot & PROT_WRITE) != 0);
	else
		fault_ahead(mm, *addr, *addr + bytes, (flags & MAP_FIXED) != 0);
	return 0;
}

/* ---- the kernel's pages ---- */

/* Room as near to `want` as may be. */
static uint64_t room_near(struct mm *mm, uint64_t want, uint64_t bytes)
{
	if (vma_range_free(mm, want, want + bytes))
		return want;
	uint64_t lowest = want > NEAR_BYTES + USER_MIN ? want - NEAR_BYTES : USER_MIN;
	uint64_t below = vma_find_room(mm, bytes, PAGE_SIZE, lowest, want);
	uint64_t highest = min_u64(want + NEAR_BYTES, USER_MAX - PAGE_SIZE);
	for (unsigned i = vma_index_above(mm, want); i < mm->vma_count; i++) {
		uint64_t start = mm->vmas[i]->end;
		if (start + bytes > highest || (below != 0 && start - want > want - below))
			break;
		if (vma_range_free(mm, start, start + bytes))
			return start;
	}
	return below;
}

int mm_map_kernel_pages(struct mm *mm, uint64_t *addr, struct page **pages, unsigned count, int prot, const char *name)
{
	uint64_t bytes = count * PAGE_SIZE;
	uint64_t start = *addr != 0 ? room_near(mm, align_down(*addr, PAGE_SIZE), bytes)
				    : vma_find_room(mm, bytes, PAGE_SIZE, USER_MIN, mm->mmap_top);
	if (start == 0)
		return -ENOMEM;
	struct vma *vma = kzalloc(sizeof(*vma));
	if (vma == NULL)
		return -ENOMEM;
	list_init(&vma->cache_node);
	vma->mm = mm;
	vma->prot = (uint8_t)prot;
	vma->max_prot = PROT_READ | PROT_EXEC;
	vma->flags = MAP_PRIVATE | VMA_KERNEL;
	vma->name = name;
	int r = put_in(mm, vma, start, bytes);
	if (r != 0)
		return r;
	for (unsigned i = 0; i < count; i++) {
		page_get(pages[i]);
		r = pt_set(mm, start + i * PAGE_SIZE, pages[i], pte_rights(prot, false));
		if (r != 0) {
			page_put(pages[i]);
			mm_unmap(mm, start, bytes);
			return r;
		}
	}
	*addr = start;
	return 0;
}

/* ---- rights ---- */

/* May the page be written to at once, without mm_fault()'s help? */
static bool write_needs_no_fault(const struct vma *vma, const struct page *page, uint64_t old)
{
	if ((vma->flags & VMA_KERNEL) != 0)
		return false;
	if (vma_is_shared(vma))
		return (old & PTE_WRITE) != 0 || cache_is_memory(vma->cache);
	return page_is_own(page);
}

static void protect_entries(struct tlb_batch *batch, const struct vma *vma)
{
	struct mm *mm = batch->mm;
	for (uint64_t at = pt_next_table(mm, vma->start, vma->end); at < vma->end;
	     at = pt_next_table(mm, at, vma->end)) {
		uint64_t *table = pt_table(mm, at);
		uint64_t stop = min_u64(vma->end, align_down(at, TABLE_BYTES) + TABLE_BYTES);
		for (; at < stop; at += PAGE_SIZE) {
			uint64_t old = table[pt_slot(at)];
			if (old == 0)
				continue;
			bool write = (vma->prot & PROT_WRITE) != 0 && write_needs_no_fault(vma, pte_page(old), old);
			uint64_t new = (old & PTE_ADDRESS) | pte_rights(vma->prot, write);
			if (new == old)
				continue;
			pte_write(&table[pt_slot(at)], new);
			if ((old & PTE_PRESENT) != 0 &&
			    ((old & ~new &(PTE_PRESENT | PTE_WRITE)) != 0 || (new & ~old &PTE_NX) != 0))
				tlb_batch_note(batch, at, PAGE_SIZE);
		}
	}
}

static int protect_vma(struct tlb_batch *batch, uint64_t start, uint64_t end, uint8_t prot)
{
	struct mm *mm = batch->mm;
	struct vma *vma = vma_at(mm, start);
	if (vma->prot == prot)
		return 0;
	if ((prot & ~vma->max_prot) != 0)
		return -EACCES;
	if ((vma->prot & PROT_WRITE) == 0 && !vma_may_commit(vma->flags, prot, end - start))
		return -ENOMEM;
	int r = vma_split_at(mm, start);
	if (r == 0)
		r = vma_split_at(mm, end);
	if (r != 0)
		return r;
	vma = vma_at(mm, start);
	if ((vma->prot & PROT_EXEC) != 0 && ((prot & PROT_EXEC) == 0 || (prot & PROT_WRITE) != 0))
		patch_code_changed(mm, start, end - start);
	vma->prot = prot;
	protect_entries(batch, vma);
	return 0;
}

int mm_protect(struct mm *mm, uint64_t addr, uint64_t bytes, int prot)
{
	int grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	prot &= ~grows;
	if ((addr & ~PAGE_MASK) != 0 || grows == (PROT_GROWSDOWN | PROT_GROWSUP) ||
	    (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM)) != 0)
		return -EINVAL;
	if (bytes == 0)
		return 0;
	if (bytes > USER_MAX || !range_valid(addr, align_up(bytes, PAGE_SIZE)))
		return -ENOMEM;
	uint64_t end = addr + align_up(bytes, PAGE_SIZE);
	if ((grows & PROT_GROWSDOWN) != 0) {
		struct vma *vma = vma_at(mm, addr);
		if (vma == NULL || (vma->flags & MAP_GROWSDOWN) == 0)
			return -EINVAL;
		addr = vma->start;
	}
	struct tlb_batch batch;
	tlb_batch_init(&batch, mm);
	int r = 0;
	for (uint64_t at = addr; at < end && r == 0;) {
		struct vma *vma = vma_at(mm, at);
		if (vma == NULL) {
			r = -ENOMEM;
			break;
		}
		uint64_t stop = min_u64(vma->end, end);
		r = protect_vma(&batch, at, stop, (uint8_t)(prot & (PROT_READ | PROT_WRITE | PROT_EXEC)));
		at = stop;
	}
	vma_merge(mm, addr, end);
	tlb_batch_finish(&batch);
	if (r == 0)
		fault_ahead(mm, addr, end, false);
	return r;
}

/* ---- brk ---- */

uint64_t mm_set_brk(struct mm *mm, uint64_t brk)
{
	if (brk < mm->brk_start || brk > USER_MAX - PAGE_SIZE)
		return mm->brk;
	uint64_t old_end = align_up(mm->brk, PAGE_SIZE), new_end = align_up(brk, PAGE_SIZE);
	if (new_end < old_end) {
		if (mm_unmap(mm, new_end, old_end - new_end) != 0)
			return mm->brk;
	} else if (new_end > old_end) {
		if (!vma_range_free(mm, old_end, new_end + PAGE_SIZE))
			return mm->brk;
		uint64_t at = old_end;
		if (mm_map(mm, &at, new_end - old_end, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, NULL, 0) != 0)
			return mm->brk;
	}
	mm->brk = brk;
	return brk;
}
