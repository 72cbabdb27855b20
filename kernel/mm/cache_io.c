/* SPDX-License-Identifier: Apache-2.0 */
/* read and write between a cache and memory. */
#include "kernel/mm/cache.h"
#include "kernel/mm/mm.h"

#define AHEAD_FIRST 15u
#define AHEAD_MAX 63u

/* Pages to read beyond those that this read needs: grows while reads are sequential. */
static unsigned ahead_for(struct cache *cache, uint64_t first, uint64_t count)
{
	if (first == cache->next_index || first + 1 == cache->next_index)
		cache->window = cache->window == 0 ? AHEAD_FIRST : (uint8_t)min_u64(cache->window * 4ull, AHEAD_MAX);
	else
		cache->window = 0;
	cache->next_index = (uint32_t)(first + count);
	return (unsigned)min_u64(count - 1 + cache->window, AHEAD_MAX);
}

int64_t cache_read(struct cache *cache, uint64_t offset, uint64_t to, uint64_t bytes, bool user)
{
	if (offset >= cache->size || bytes == 0)
		return 0;
	bytes = min_u64(bytes, cache->size - offset);
	uint64_t last = (offset + bytes - 1) >> PAGE_SHIFT;
	unsigned ahead = ahead_for(cache, offset >> PAGE_SHIFT, last - (offset >> PAGE_SHIFT) + 1);
	uint64_t done = 0;
	int r = 0;
	while (done < bytes && offset + done < cache->size) {
		uint64_t index = (offset + done) >> PAGE_SHIFT;
		uint64_t in_page = (offset + done) & (PAGE_SIZE - 1);
		uint64_t n = min_u64(min_u64(PAGE_SIZE - in_page, bytes - done), cache->size - offset - done);
		struct page *page;
		r = cache_get(cache, index, (unsigned)max_u64(min_u64(last - index, AHEAD_MAX), ahead), &page);
		if (r != 0)
			break;
		const char *from = (const char *)page_address(page) + in_page;
		if (user)
			r = user_write(to + done, from, n);
		else
			memcpy((void *)(to + done), from, n);
		page_put(page);
		if (r != 0)
			break;
		done += n;
	}
	return done > 0 ? (int64_t)done : r;
}

/* One page's part of a write. */
static int write_part(struct cache *cache, uint64_t offset, uint64_t from, uint64_t n, bool user)
{
	uint64_t index = offset >> PAGE_SHIFT;
	uint64_t in_page = offset & (PAGE_SIZE - 1);
	struct page *page;
	/* No page that is only half ours may come in unread: so the source must be there first. */
	int r = user ? user_prepare(from, n, false) : 0;
	if (r != 0)
		return r;
	bool whole = n == PAGE_SIZE || (in_page == 0 && offset + n >= cache->size);
	r = whole ? cache_get_for_overwrite(cache, index, &page) : cache_get_for_write(cache, index, &page);
	if (r == -ENOMEM && cache_reclaim_mapped(CACHE_BATCH) > 0)
		return -EAGAIN;
	if (r != 0)
		return r;
	char *to = (char *)page_address(page) + in_page;
	if (user)
		r = user_read(to, from, n);
	else
		memcpy(to, (const void *)from, n);
	if (r == 0) {
		/* Reading the page or the source may have slept: a truncation may have taken the page away. */
		struct page *now = cache_peek(cache, index);
		if (now != page)
			r = -EAGAIN;
		if (now != NULL)
			page_put(now);
	}
	page_put(page);
	if (r != 0)
		return r;
	cache_mark_dirty(cache, index);
	if (offset + n > cache->size)
		cache->size = offset + n;
	return 0;
}

int64_t cache_write(struct cache *cache, uint64_t offset, uint64_t from, uint64_t bytes, bool user)
{
	uint64_t done = 0;
	while (done < bytes) {
		uint64_t n = min_u64(PAGE_SIZE - ((offset + done) & (PAGE_SIZE - 1)), bytes - done);
		int r = write_part(cache, offset + done, from + done, n, user);
		if (r == -EAGAIN)
			continue;
		if (r != 0)
			return done > 0 ? (int64_t)done : r;
		done += n;
	}
	return (int64_t)done;
}
