/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page cache's tree: leaves of 64 frame numbers under inner nodes of 64 pointers. Filling,
 * writing back, truncating and reclaiming. Nodes stay until the cache is emptied, so that reclaim,
 * which can happen in any allocation, never takes a node away from under somebody.
 */
#include "kernel/mm/cache.h"
#include "kernel/mm/page_internal.h"
#include "kernel/mm/vma.h"

#define FANOUT_BITS 6u
#define FANOUT (1u << FANOUT_BITS)

/* Pages of a file behind those that are wanted that the monitor may verify in the meantime. */
#define VERIFY_AHEAD 256u

struct cache_leaf {
	uint64_t dirty; /* bit per page */
	uint32_t frames[FANOUT];
};

struct cache_inner {
	void *slots[FANOUT];
};

uint64_t cache_page_count;
static struct list caches = LIST_INIT(caches); /* those with pages; reclaim goes round */

void cache_init_list(void)
{
	list_init(&caches);
	cache_page_count = 0;
}

void cache_init(struct cache *cache, const struct cache_ops *ops, void *owner)
{
	*cache = (struct cache){.ops = ops, .owner = owner};
	list_init(&cache->mappings);
	list_init(&cache->node);
}

static bool cache_can_refill(const struct cache *cache) { return cache->ops != NULL && cache->ops->fill != NULL; }

bool cache_is_memory(const struct cache *cache) { return !cache_can_refill(cache); }

/* ---- the tree ---- */

static bool beyond_height(const struct cache *cache, uint64_t index)
{
	return cache->height == 0 || (cache->height * FANOUT_BITS < 64 && index >> (cache->height * FANOUT_BITS) != 0);
}

static struct cache_leaf *leaf_find(const struct cache *cache, uint64_t index)
{
	if (beyond_height(cache, index))
		return NULL;
	void *node = cache->root;
	for (unsigned level = cache->height - 1u; level > 0 && node != NULL; level--)
		node = ((struct cache_inner *)node)->slots[(index >> (level * FANOUT_BITS)) & (FANOUT - 1)];
	return node;
}

static struct cache_leaf *leaf_make(struct cache *cache, uint64_t index)
{
	if (cache->height == 0) {
		cache->root = kzalloc(sizeof(struct cache_leaf));
		if (cache->root == NULL)
			return NULL;
		cache->height = 1;
	}
	while (beyond_height(cache, index)) {
		struct cache_inner *inner = kzalloc(sizeof(*inner));
		if (inner == NULL)
			return NULL;
		inner->slots[0] = cache->root;
		cache->root = inner;
		cache->height++;
	}
	void **slot = &cache->root;
	for (unsigned level = cache->height - 1u; level > 0; level--) {
		slot = &((struct cache_inner *)*slot)->slots[(index >> (level * FANOUT_BITS)) & (FANOUT - 1)];
		if (*slot == NULL)
			*slot = kzalloc(level > 1 ? sizeof(struct cache_inner) : sizeof(struct cache_leaf));
		if (*slot == NULL)
			return NULL;
	}
	return *slot;
}

static void node_free(void *node, unsigned level)
{
	if (node == NULL)
		return;
	for (unsigned i = 0; level > 0 && i < FANOUT; i++)
		node_free(((struct cache_inner *)node)->slots[i], level - 1);
	kfree(node);
}

static struct page *leaf_page(const struct cache_leaf *leaf, uint64_t index)
{
	uint32_t frame = leaf != NULL ? leaf->frames[index & (FANOUT - 1)] : 0;
	return frame != 0 ? page_of_frame(frame) : NULL;
}

static struct page *page_find(const struct cache *cache, uint64_t index)
{
	return leaf_page(leaf_find(cache, index), index);
}

/* Consumes the caller's reference. */
static int page_insert(struct cache *cache, uint64_t index, struct page *page)
{
	struct cache_leaf *leaf = leaf_make(cache, index);
	if (leaf == NULL)
		return -ENOMEM;
	kassert(leaf->frames[index & (FANOUT - 1)] == 0);
	leaf->frames[index & (FANOUT - 1)] = page_frame(page);
	page->kind = PAGE_CACHED;
	cache_page_count++;
	if (cache->pages++ == 0)
		list_add_tail(&caches, &cache->node);
	return 0;
}

/* The cache's reference passes to the caller. */
static struct page *leaf_take(struct cache *cache, struct cache_leaf *leaf, unsigned slot)
{
	struct page *page = page_of_frame(leaf->frames[slot]);
	leaf->frames[slot] = 0;
	leaf->dirty &= ~(1ull << slot);
	page->kind = PAGE_USED;
	cache->generation++;
	cache_page_count--;
	if (--cache->pages == 0)
		list_remove(&cache->node);
	return page;
}

/* First leaf at or after *index that has a page at or after it; *index becomes that page's. */
static struct cache_leaf *leaf_next(struct cache *cache, void *node, unsigned level, uint64_t base, uint64_t *index)
{
	if (node == NULL)
		return NULL;
	unsigned shift = level * FANOUT_BITS;
	unsigned first = *index > base ? (unsigned)((*index - base) >> shift) : 0;
	for (unsigned i = first; i < FANOUT; i++) {
		uint64_t start = base + ((uint64_t)i << shift);
		if (level > 0) {
			struct cache_leaf *leaf =
			    leaf_next(cache, ((struct cache_inner *)node)->slots[i], level - 1, start, index);
			if (leaf != NULL)
				return leaf;
		} else if (((struct cache_leaf *)node)->frames[i] != 0) {
			*index = start;
			return node;
		}
	}
	return NULL;
}

static struct cache_leaf *cache_next_leaf(struct cache *cache, uint64_t *index)
{
	if (cache->pages == 0 || beyond_height(cache, *index))
		return NULL;
	return leaf_next(cache, cache->root, cache->height - 1u, 0, index);
}

uint64_t cache_next(struct cache *cache, uint64_t index)
{
	return cache_next_leaf(cache, &index) != NULL ? index : UINT64_MAX;
}

/* ---- pages of the image ---- */

/* The page of the image that is in place of `index`, which is not in the tree; verified or not. NULL: none. */
static int image_find(struct cache *cache, uint64_t index, struct page **page)
{
	struct cache_extent *extent = &cache->image;
	*page = NULL;
	if (!cache_in_image(cache) || index << PAGE_SHIFT >= cache->size)
		return 0;
	if (index - extent->index >= extent->pages) {
		int r = cache->ops->locate(cache, index, extent);
		if (r != 0)
			extent->pages = 0;
		if (extent->pages == 0)
			return r;
	}
	*page = image_page(extent->offset + ((index - extent->index) << PAGE_SHIFT));
	return 0;
}

/* The same, verified, together with those of [first, last] that lie in one extent with it. */
static int image_get(struct cache *cache, uint64_t index, uint64_t first, uint64_t last, struct page **page)
{
	int r = image_find(cache, index, page);
	if (r != 0 || *page == NULL)
		return r;
	const struct cache_extent *extent = &cache->image;
	uint64_t from = max_u64(first, extent->index), to = min_u64(last + 1, extent->index + extent->pages);
	return image_verify(extent->offset + ((index - extent->index) << PAGE_SHIFT), PAGE_SIZE,
			    extent->offset + ((from - extent->index) << PAGE_SHIFT),
			    extent->offset + ((to - extent->index) << PAGE_SHIFT),
			    extent->offset + (min_u64(extent->pages, to + VERIFY_AHEAD - extent->index) << PAGE_SHIFT));
}

int cache_image_run(struct cache *cache, uint64_t index, unsigned limit, uint64_t *offset)
{
	const struct cache_extent *extent = &cache->image;
	struct page *page;
	int r = image_find(cache, index, &page);
	if (r != 0 || page == NULL)
		return r;
	*offset = extent->offset + ((index - extent->index) << PAGE_SHIFT);
	return (int)min_u64(limit, extent->index + extent->pages - index);
}

void cache_verify_around(struct cache *cache, uint64_t index, uint64_t first, uint64_t last)
{
	struct page *page;
	(void)image_get(cache, index, first, last, &page); /* who asks for the page hears of the error */
}

/* ---- pages ---- */

struct page *cache_peek(struct cache *cache, uint64_t index)
{
	struct page *page = page_find(cache, index);
	if (page != NULL)
		page_get(page);
	else if (image_find(cache, index, &page) != 0 || (page != NULL && !image_is_verified(page)))
		page = NULL;
	return page;
}

/* Inserts a new zero page if there is none yet. */
static int page_make(struct cache *cache, uint64_t index, struct page **page)
{
	*page = page_find(cache, index);
	if (*page != NULL) {
		page_get(*page);
		return 0;
	}
	*page = page_alloc_program(true);
	if (*page == NULL)
		return -ENOMEM;
	int r = page_insert(cache, index, *page);
	if (r != 0) {
		page_put(*page);
		return r;
	}
	page_get(*page);
	if (cache_in_image(cache))
		vma_unmap_image(cache, index);
	return 0;
}

int cache_get_for_overwrite(struct cache *cache, uint64_t index, struct page **page)
{
	return page_make(cache, index, page);
}

/* How many pages from index on are missing, within the file and at most `limit`. */
static unsigned missing_run(struct cache *cache, uint64_t index, unsigned limit)
{
	uint64_t end = align_up(cache->size, PAGE_SIZE) >> PAGE_SHIFT;
	unsigned n = 1;
	while (n < limit && index + n < end && page_find(cache, index + n) == NULL)
		n++;
	return n;
}

/* Reads up to `limit` pages at index, which is missing, and inserts them. Sleeps. */
static int cache_fill(struct cache *cache, uint64_t index, unsigned limit)
{
	struct page *pages[CACHE_BATCH];
	unsigned wanted = missing_run(cache, index, limit < CACHE_BATCH ? limit : CACHE_BATCH);
	unsigned count = 0;
	while (count < wanted && (count == 0 || page_plenty(1))) {
		pages[count] = page_alloc_program(true);
		if (pages[count] == NULL)
			break;
		count++;
	}
	if (count == 0)
		return -ENOMEM;
	uint32_t generation = cache->generation;
	int r = cache->ops->fill(cache, index, pages, count);
	/* Others may have read, written or removed the same pages meanwhile: theirs count. */
	for (unsigned i = 0; i < count; i++) {
		if (r != 0 || generation != cache->generation || page_find(cache, index + i) != NULL)
			page_put(pages[i]);
		else if (page_insert(cache, index + i, pages[i]) != 0) {
			page_put(pages[i]);
			r = i == 0 ? -ENOMEM : 0;
		}
	}
	return r;
}

int cache_get(struct cache *cache, uint64_t index, unsigned ahead, struct page **page)
{
	for (;;) {
		*page = cache_peek(cache, index);
		if (*page != NULL)
			return 0;
		if (!cache_can_refill(cache) || index << PAGE_SHIFT >= cache->size)
			return page_make(cache, index, page);
		int r = image_get(cache, index, index, index + ahead, page);
		if (r != 0 || *page != NULL)
			return r;
		/* A request costs more than the bytes in it: a small file comes whole. */
		bool whole = cache->pages == 0 && cache->size <= CACHE_BATCH << PAGE_SHIFT && page_plenty(CACHE_BATCH);
		if (cache_in_image(cache)) /* what is left are holes and ends of files */
			r = cache_fill(cache, index, 1);
		else if (whole)
			r = cache_fill(cache, 0, CACHE_BATCH);
		else
			r = cache_fill(cache, index, ahead < CACHE_BATCH ? ahead + 1 : CACHE_BATCH);
		if (r != 0 && (r != -ENOMEM || cache_reclaim_mapped(CACHE_BATCH) == 0))
			return r;
	}
}

int cache_get_for_write(struct cache *cache, uint64_t index, struct page **page)
{
	int r = cache_get(cache, index, 0, page);
	if (r != 0 || !page_is_image(*page))
		return r;
	struct page *copy = page_alloc_program(false);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(page_address(copy), page_address(*page), PAGE_SIZE);
	r = page_insert(cache, index, copy);
	if (r != 0) {
		page_put(copy);
		return r;
	}
	page_get(copy);
	cache_mark_dirty(cache, index);
	vma_unmap_image(cache, index);
	*page = copy;
	return 0;
}

void cache_mark_dirty(struct cache *cache, uint64_t index)
{
	struct cache_leaf *leaf = leaf_find(cache, index);
	if (leaf != NULL && leaf->frames[index & (FANOUT - 1)] != 0)
		leaf->dirty |= 1ull << (index & (FANOUT - 1));
}

bool cache_is_dirty(struct cache *cache, uint64_t index)
{
	struct cache_leaf *leaf = leaf_find(cache, index);
	return leaf != NULL && (leaf->dirty >> (index & (FANOUT - 1)) & 1) != 0;
}

/* ---- writing back ---- */

/* Takes up to CACHE_BATCH consecutive dirty pages from *index on, cleans them and takes references. */
static unsigned dirty_run(struct cache *cache, uint64_t *index, struct page **pages)
{
	struct cache_leaf *leaf;
	while ((leaf = cache_next_leaf(cache, index)) != NULL && (leaf->dirty >> (*index & (FANOUT - 1)) & 1) == 0)
		++*index;
	if (leaf == NULL)
		return 0;
	unsigned limit = cache->ops->write_back_many != NULL ? CACHE_BATCH : 1;
	unsigned n = 0;
	for (; n < limit; n++) {
		uint64_t i = *index + n;
		leaf = leaf_find(cache, i);
		struct page *page = leaf_page(leaf, i);
		if (page == NULL || (leaf->dirty >> (i & (FANOUT - 1)) & 1) == 0)
			break;
		leaf->dirty &= ~(1ull << (i & (FANOUT - 1)));
		page_get(page);
		pages[n] = page;
	}
	return n;
}

static int write_back_run(struct cache *cache, uint64_t index, struct page **pages, unsigned count)
{
	uint64_t offset = index << PAGE_SHIFT;
	int r = 0;
	if (offset < cache->size) { /* else it was truncated meanwhile */
		uint64_t bytes = min_u64(cache->size - offset, count * PAGE_SIZE);
		r = count > 1 ? cache->ops->write_back_many(cache, index, pages, count, bytes)
			      : cache->ops->write_back(cache, index, pages[0], bytes);
	}
	for (unsigned i = 0; i < count; i++) {
		if (r != 0 && page_find(cache, index + i) == pages[i])
			cache_mark_dirty(cache, index + i);
		page_put(pages[i]);
	}
	return r;
}

int cache_write_back(struct cache *cache)
{
	if (cache->ops == NULL || cache->ops->write_back == NULL || cache->pages == 0)
		return 0;
	/* Later writes through mappings must be noticed again. */
	vma_clean_mappings(cache);
	struct page *pages[CACHE_BATCH];
	int first_error = 0;
	uint64_t index = 0;
	unsigned count;
	while ((count = dirty_run(cache, &index, pages)) > 0) {
		int r = write_back_run(cache, index, pages, count);
		if (r != 0 && first_error == 0)
			first_error = r;
		index += count;
	}
	return first_error;
}

/* ---- removing ---- */

void cache_truncate(struct cache *cache, uint64_t size)
{
	uint64_t keep = align_up(size, PAGE_SIZE);
	bool shrinks = size < cache->size;
	/* What mappings wrote behind the end must not show up when the file grows, either. */
	uint64_t end = min_u64(size, cache->size);
	uint64_t tail = end & (PAGE_SIZE - 1);
	cache->size = size;
	cache->image.pages = 0;
	cache->generation++; /* a fill that is under way has the old tail */
	if (shrinks && !list_empty(&cache->mappings))
		vma_unmap_cache(cache, keep);
	uint64_t index = keep >> PAGE_SHIFT;
	struct cache_leaf *leaf;
	while ((leaf = cache_next_leaf(cache, &index)) != NULL) {
		page_put(leaf_take(cache, leaf, (unsigned)(index & (FANOUT - 1))));
		index++;
	}
	struct page *last = tail != 0 ? page_find(cache, end >> PAGE_SHIFT) : NULL;
	if (last != NULL)
		memset((char *)page_address(last) + tail, 0, PAGE_SIZE - tail);
	else if (tail != 0) /* will be a copy with the tail cleared */
		vma_unmap_image(cache, end >> PAGE_SHIFT);
	if (cache->pages == 0 && cache->height > 0) {
		node_free(cache->root, cache->height - 1u);
		cache->root = NULL;
		cache->height = 0;
	}
}

void cache_fini(struct cache *cache)
{
	cache_truncate(cache, 0);
	if (cache->height > 0) { /* nodes without pages */
		node_free(cache->root, cache->height - 1u);
		cache->root = NULL;
		cache->height = 0;
	}
	list_remove(&cache->node);
}

static uint64_t leaf_reclaim(struct cache *cache, struct cache_leaf *leaf, uint64_t wanted)
{
	uint64_t freed = 0;
	for (unsigned i = 0; i < FANOUT && freed < wanted; i++) {
		if (leaf->frames[i] == 0 || (leaf->dirty >> i & 1) != 0)
			continue;
		if (page_of_frame(leaf->frames[i])->references > 1)
			continue; /* mapped or in use */
		page_put(leaf_take(cache, leaf, i));
		freed++;
	}
	return freed;
}

static uint64_t reclaim_from(struct cache *cache, uint64_t wanted)
{
	uint64_t freed = 0, index = 0;
	struct cache_leaf *leaf;
	while (freed < wanted && (leaf = cache_next_leaf(cache, &index)) != NULL) {
		freed += leaf_reclaim(cache, leaf, wanted - freed);
		index = (index | (FANOUT - 1)) + 1;
	}
	return freed;
}

/* Once round all caches; each goes to the end of the line, so that the next time another one gives. */
static uint64_t reclaim(uint64_t wanted, bool mapped)
{
	uint64_t freed = 0;
	struct list *last = caches.prev;
	bool done = list_empty(&caches);
	while (!done && freed < wanted) {
		struct list *pos = caches.next;
		struct cache *cache = list_entry(pos, struct cache, node);
		done = pos == last;
		list_remove(pos);
		list_add_tail(&caches, pos);
		if (!cache_can_refill(cache))
			continue;
		if (mapped && !list_empty(&cache->mappings))
			vma_unmap_clean(cache);
		freed += reclaim_from(cache, wanted - freed);
	}
	return freed;
}

uint64_t cache_reclaim(uint64_t wanted) { return reclaim(wanted, false); }

uint64_t cache_reclaim_mapped(uint64_t wanted) { return reclaim(wanted, true); }
