/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/fs/ring.h"
#include "kernel/mm/mm.h"

/* An empty ring gives the pages beyond these back. */
#define PAGES_KEPT 16u

int ring_init(struct ring *ring, unsigned slots)
{
	memset(ring, 0, sizeof(*ring));
	ring->slots = slots;
	ring->pages = slots <= RING_PAGES_INLINE ? ring->inline_pages : kzalloc(slots * sizeof(struct page *));
	return ring->pages == NULL ? -ENOMEM : 0;
}

void ring_fini(struct ring *ring)
{
	for (unsigned i = 0; ring->pages != NULL && i < ring->slots; i++)
		if (ring->pages[i] != NULL)
			page_put(ring->pages[i]);
	if (ring->pages != ring->inline_pages)
		kfree(ring->pages);
	ring->pages = NULL;
}

int ring_prepare(const struct io_buffer *buffer, uint64_t offset, uint64_t *bytes, bool write)
{
	uint64_t va = buffer->address + offset;
	if (!buffer->user || *bytes == 0 || user_prepare(va, *bytes, write) == 0)
		return 0;
	/* A buffer that ends in nowhere is used up to there. */
	uint64_t first = min_u64(*bytes, PAGE_SIZE - va % PAGE_SIZE);
	if (user_prepare(va, first, write) != 0)
		return -EFAULT;
	*bytes = first;
	return 0;
}

/* The place of byte `position` and how much of `bytes` lies in the same page; NULL: no page yet. */
static uint8_t *ring_place(struct ring *ring, uint64_t position, uint64_t *bytes, bool create)
{
	struct page **page = &ring->pages[position / PAGE_SIZE % ring->slots];
	uint64_t at = position % PAGE_SIZE;
	if (*page == NULL && create)
		*page = page_alloc_uninitialised();
	*bytes = min_u64(*bytes, PAGE_SIZE - at);
	return *page == NULL ? NULL : (uint8_t *)page_address(*page) + at;
}

uint64_t ring_put(struct ring *ring, const struct io_buffer *from, uint64_t offset, uint64_t bytes)
{
	const uint8_t *source = (const uint8_t *)(from->address + offset);
	uint64_t done = 0;

	bytes = min_u64(bytes, ring_room(ring));
	while (done < bytes) {
		uint64_t part = bytes - done;
		uint8_t *place = ring_place(ring, ring->head, &part, true);
		if (place == NULL)
			break;
		memcpy(place, source + done, part);
		ring->head += part;
		done += part;
	}
	return done;
}

uint64_t ring_peek(struct ring *ring, uint64_t skip, const struct io_buffer *to, uint64_t offset, uint64_t bytes)
{
	uint8_t *target = (uint8_t *)(to->address + offset);
	uint64_t done = 0;

	if (skip >= ring_bytes(ring))
		return 0;
	bytes = min_u64(bytes, ring_bytes(ring) - skip);
	while (done < bytes) {
		uint64_t part = bytes - done;
		const uint8_t *place = ring_place(ring, ring->tail + skip + done, &part, false);
		memcpy(target + done, place, part);
		done += part;
	}
	return done;
}

static void ring_rewind(struct ring *ring)
{
	if (ring->head != ring->tail)
		return;
	if (ring->slots > PAGES_KEPT && ring->head > PAGES_KEPT * PAGE_SIZE) {
		for (unsigned i = PAGES_KEPT; i < ring->slots; i++) {
			if (ring->pages[i] != NULL)
				page_put(ring->pages[i]);
			ring->pages[i] = NULL;
		}
	}
	ring->head = ring->tail = 0;
}

void ring_drop(struct ring *ring, uint64_t bytes)
{
	ring->tail += min_u64(bytes, ring_bytes(ring));
	ring_rewind(ring);
}

void ring_unput(struct ring *ring, uint64_t bytes)
{
	ring->head -= min_u64(bytes, ring_bytes(ring));
	ring_rewind(ring);
}

int ring_resize(struct ring *ring, unsigned slots)
{
	uint64_t bytes = ring_bytes(ring);
	if (bytes > slots * PAGE_SIZE)
		return -EBUSY;
	struct ring *new = kmalloc(sizeof(*new));
	if (new == NULL || ring_init(new, slots) != 0) {
		kfree(new);
		return -ENOMEM;
	}
	while (bytes > 0) {
		uint64_t part = bytes;
		struct io_buffer from = {.address = (uint64_t)ring_place(ring, ring->head - bytes, &part, false)};
		if (ring_put(new, &from, 0, part) != part) {
			ring_fini(new);
			kfree(new);
			return -ENOMEM;
		}
		bytes -= part;
	}
	ring_fini(ring);
	*ring = *new;
	if (slots <= RING_PAGES_INLINE)
		ring->pages = ring->inline_pages;
	kfree(new);
	return 0;
}
