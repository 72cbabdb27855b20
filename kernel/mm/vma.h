/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings of an address space, inside kernel/mm/. */
#ifndef NUCLEO_MM_VMA_H
#define NUCLEO_MM_VMA_H

#include <linux/mman.h>

#include "kernel/fs/file.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page_table.h"

#define MAP_COUNT_MAX 65530u
#define STACK_GUARD_BYTES (256 * PAGE_SIZE)

/* A cache of its own for MAP_SHARED | MAP_ANONYMOUS. */
struct shared_memory {
	uint32_t references;
	struct cache cache;
};

/* One mapping: [start, end) with equal properties. Anonymous private memory has neither cache nor
 * VMA_KERNEL. */
struct vma {
	uint64_t start, end;
	uint64_t offset; /* of start in the cache, bytes */
	uint32_t flags;  /* MAP_* that matter, VMA_* */
	uint8_t prot, max_prot;
	struct mm *mm;
	struct file *file;            /* reference, or NULL */
	struct cache *cache;          /* of the file or of `shared` */
	struct shared_memory *shared; /* reference, or NULL */
	const char *name;
	struct list cache_node;          /* in cache->mappings */
	uint64_t next_fault, last_fault; /* the window mapped last: sequential faults widen it */
	uint32_t window;                 /* pages */
	uint32_t fault_count;
};
#define VMA_KERNEL 0x80000000u /* the kernel's pages, all present from the start */
#define VMA_KEPT_FLAGS                                                                                                 \
	(MAP_SHARED | MAP_PRIVATE | MAP_GROWSDOWN | MAP_NORESERVE | MAP_ANONYMOUS | MAP_STACK | VMA_KERNEL)

/* Linux's heuristic overcommit: false if so much writable memory of its own can never be there. */
bool vma_may_commit(unsigned flags, int prot, uint64_t bytes);
static inline bool vma_is_shared(const struct vma *vma) { return (vma->flags & MAP_SHARED) != 0; }
static inline bool vma_is_anonymous(const struct vma *vma)
{
	return vma->cache == NULL && (vma->flags & VMA_KERNEL) == 0;
}
static inline uint64_t vma_index(const struct vma *vma, uint64_t va)
{
	return (va - vma->start + vma->offset) >> PAGE_SHIFT;
}

/* Index of the first mapping that ends above va (vma_count if none). */
unsigned vma_index_above(const struct mm *mm, uint64_t va);
struct vma *vma_above(const struct mm *mm, uint64_t va); /* NULL: none */
struct vma *vma_at(const struct mm *mm, uint64_t va);    /* the one that contains va */
bool vma_range_free(const struct mm *mm, uint64_t start, uint64_t end);
/* True if all of [start, end) is mapped. */
bool vma_range_mapped(const struct mm *mm, uint64_t start, uint64_t end);

/* A copy of `like` (references taken) for another range, not inserted; NULL: no memory. */
struct vma *vma_copy(const struct vma *like, uint64_t start, uint64_t end);
void vma_free(struct vma *vma); /* not inserted any more; drops its references */
int vma_insert(struct mm *mm, struct vma *vma);
void vma_remove(struct mm *mm, unsigned index); /* takes it out of the array; does not free it */
/* Makes addr a border between mappings. */
int vma_split_at(struct mm *mm, uint64_t addr);
/* Joins neighbours with equal properties from the one before `start` to the one after `end`. */
void vma_merge(struct mm *mm, uint64_t start, uint64_t end);
void vma_set_cache(struct vma *vma, struct cache *cache);
/* A free range: near below the top of the mmap area, or below `below`. 0: none. */
uint64_t vma_find_room(const struct mm *mm, uint64_t bytes, uint64_t align, uint64_t lowest, uint64_t below);

/* For the cache: mappings of it lose their pages from byte `from` on. */
void vma_unmap_cache(struct cache *cache, uint64_t from);
/* Mappings of it lose the image's page at `index`: the cache has another now. */
void vma_unmap_image(struct cache *cache, uint64_t index);
/* Mappings of it lose their clean pages (memory is short). */
void vma_unmap_clean(struct cache *cache);
/* Shared writable mappings of it become read-only, so that the next write marks pages dirty again. */
void vma_clean_mappings(struct cache *cache);

/* What one call has to flush at its end. */
struct tlb_batch {
	struct mm *mm;
	uint64_t start, end; /* of entries that lost rights; start >= end: none */
	struct page_gather gather;
};
void tlb_batch_init(struct tlb_batch *batch, struct mm *mm);
void tlb_batch_note(struct tlb_batch *batch, uint64_t va, uint64_t bytes);
void tlb_batch_finish(struct tlb_batch *batch); /* flushes, then frees */
/* Clears all entries of the range. */
void mm_zap(struct tlb_batch *batch, uint64_t start, uint64_t end);

/* Maps what the program is about to touch, when it is little (fault.c). fixed: the mapping was placed over
 * another, as program interpreters do with the segments of a library. May sleep. */
void fault_ahead(struct mm *mm, uint64_t start, uint64_t end, bool fixed);
/* Like a fault of every page of the range; for MAP_POPULATE and MADV_POPULATE_*. May sleep. */
int mm_populate(struct mm *mm, uint64_t start, uint64_t end, bool write);

/* Bigger operations behind system calls (remap.c, advise.c). */
int64_t mm_remap(struct mm *mm, uint64_t old, uint64_t old_bytes, uint64_t new_bytes, uint64_t flags,
		 uint64_t new_addr);
int mm_advise(struct mm *mm, uint64_t start, uint64_t bytes, int advice);
uint64_t mm_set_brk(struct mm *mm, uint64_t brk);
/* Page of `va` for the kernel to write to, whatever the program's rights; of any address space. With the
 * page's rights as mapped unchanged. NULL: no memory or not mapped. May sleep. */
struct page *mm_private_page(struct mm *mm, uint64_t va);
/* Copies into an address space that need not be current; rights do not matter. */
int mm_write(struct mm *mm, uint64_t to, const void *from, uint64_t bytes);
int mm_zero(struct mm *mm, uint64_t to, uint64_t bytes);

/* kernel/entry/patch.c */
void patch_mm_free(struct mm *mm);
void patch_code_changed(struct mm *mm, uint64_t va, uint64_t bytes);

#endif
