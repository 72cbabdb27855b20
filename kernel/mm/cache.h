/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page cache of one inode: pages by index. All data of files, in memory or from the host, is in
 * one of these; mmap maps its pages directly.
 */
#ifndef NUCLEO_MM_CACHE_H
#define NUCLEO_MM_CACHE_H

#include "kernel/mm/page.h"

struct cache;

/* Consecutive pages of a file that lie one after another in the image (kernel/mm/image.h). */
struct cache_extent {
	uint64_t index, pages;
	uint64_t offset; /* in the image, a multiple of PAGE_SIZE */
};

struct cache_ops {
	/* Fill `count` new consecutive pages from `index` on; short or missing data is zero (the pages
	 * come zeroed). May sleep. NULL: memory only, new pages are zero. */
	int (*fill)(struct cache *cache, uint64_t index, struct page **pages, unsigned count);
	/* Where pages lie in the image: finds an extent that contains `index`; pages = 0 if that page is not whole
	 * there, and fill() has to make it. Pages found are used in place of what is not in the tree. NULL: nowhere.
	 * -errno as of fill(). Never sleeps. */
	int (*locate)(struct cache *cache, uint64_t index, struct cache_extent *extent);
	/* Write a dirty page back to where it came from. NULL: memory only, nothing is ever written
	 * back and dirty pages are never given up. May sleep. */
	int (*write_back)(struct cache *cache, uint64_t index, struct page *page, uint64_t bytes);
	/* The same for `count` consecutive pages, `bytes` in all; may be NULL. */
	int (*write_back_many)(struct cache *cache, uint64_t index, struct page **pages, unsigned count,
			       uint64_t bytes);
};

#define CACHE_BATCH 64u /* most pages in one fill or write_back_many */

struct cache {
	const struct cache_ops *ops;
	void *owner;               /* the inode */
	void *root;                /* radix tree */
	uint64_t pages;            /* number cached */
	uint64_t size;             /* of the file in bytes: the owner keeps it; pages beyond do not exist */
	struct cache_extent image; /* what locate() found last */
	struct list mappings;      /* shared and private mappings of the file, for truncation (mm's) */
	struct list node;          /* caches with pages, for reclaim */
	uint32_t generation;       /* counts removals: what was read before one may be stale */
	uint8_t height;            /* of the tree; 0: empty */
	uint8_t window;            /* pages to read ahead when reads are sequential */
	uint32_t next_index;       /* where a sequential read would go on */
};

void cache_init(struct cache *cache, const struct cache_ops *ops, void *owner);
void cache_fini(struct cache *cache); /* drops all pages */

/* The page at index with a reference, filled; `ahead` further pages may be read in the same request
 * if missing. -ENOMEM, or fill's error. May sleep. */
int cache_get(struct cache *cache, uint64_t index, unsigned ahead, struct page **page);
/* The same without I/O: NULL if not present. With a reference. */
struct page *cache_peek(struct cache *cache, uint64_t index);
/* The page at index for writing to it: as above, but the cache's own. One of the image is replaced by a copy, in all
 * mappings too, and marked dirty. May sleep. */
int cache_get_for_write(struct cache *cache, uint64_t index, struct page **page);
/* How many pages from `index` on lie one after another in the image, at most `limit`, and where: byte *offset. 0: none;
 * -errno of locate(). What the tree has in their place does not count. */
int cache_image_run(struct cache *cache, uint64_t index, unsigned limit, uint64_t *offset);
/* Before pages around `index` are asked for: has those of [first, last] that lie with it in the image verified at once.
 */
void cache_verify_around(struct cache *cache, uint64_t index, uint64_t first, uint64_t last);
/* The page as above, but the caller will overwrite it wholly: not read from the backing store. */
int cache_get_for_overwrite(struct cache *cache, uint64_t index, struct page **page);
void cache_mark_dirty(struct cache *cache, uint64_t index);
bool cache_is_dirty(struct cache *cache, uint64_t index);
int cache_write_back(struct cache *cache); /* all dirty pages; first error is returned */
/* Drop pages from byte `size` on, zero the tail of the last one, take away mappings beyond (their
 * access then raises SIGBUS). Sets cache->size. */
void cache_truncate(struct cache *cache, uint64_t size);
/* First index >= index that is present, or ~0. */
uint64_t cache_next(struct cache *cache, uint64_t index);
/* Gives up about `wanted` clean pages that only a cache refers to; the number freed. Never sleeps. */
uint64_t cache_reclaim(uint64_t wanted);
/* The same, but takes clean pages away from programs that have them mapped, too: they fault again. Whatever
 * user_prepare() has made present may be gone afterwards. */
uint64_t cache_reclaim_mapped(uint64_t wanted);
/* Pages may lie in the image. */
static inline bool cache_in_image(const struct cache *cache)
{
	return cache->ops != NULL && cache->ops->locate != NULL;
}
/* The pages are all there is, none is ever read or given up: a mapping may be writable without telling. */
bool cache_is_memory(const struct cache *cache);

/* Copy between a file's cache and a program's memory (user = true) or kernel memory. Reads stop at
 * cache->size; writes extend it. Bytes copied or -errno (-EFAULT, -ENOMEM, -EIO) if none were. */
int64_t cache_read(struct cache *cache, uint64_t offset, uint64_t to, uint64_t bytes, bool user);
int64_t cache_write(struct cache *cache, uint64_t offset, uint64_t from, uint64_t bytes, bool user);

#endif
