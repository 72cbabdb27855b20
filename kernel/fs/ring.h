/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of bytes in pages: what pipes and sockets hold. Pages are taken when first needed. An empty
 * ring starts again at its first page, so that small messages always use the same warm one.
 */
#ifndef NUCLEO_FS_RING_H
#define NUCLEO_FS_RING_H

#include "kernel/fs/file.h"

#define RING_PAGES_INLINE 16u

struct ring {
	struct page **pages;
	unsigned slots;      /* pages it may have */
	uint64_t head, tail; /* bytes put and taken since it was last empty */
	struct page *inline_pages[RING_PAGES_INLINE];
};

int ring_init(struct ring *ring, unsigned slots); /* -ENOMEM */
void ring_fini(struct ring *ring);
static inline uint64_t ring_bytes(const struct ring *ring) { return ring->head - ring->tail; }
static inline uint64_t ring_size(const struct ring *ring) { return ring->slots * PAGE_SIZE; }
static inline uint64_t ring_room(const struct ring *ring) { return ring_size(ring) - ring_bytes(ring); }

/* What must be done, and may sleep, before ring_put() (write = false) or ring_take() (true) with a
 * program's buffer: 0 or -EFAULT. *bytes is cut to what is there, if that is only its beginning. */
int ring_prepare(const struct io_buffer *buffer, uint64_t offset, uint64_t *bytes, bool write);
/* Copies as much as there is room for; the buffer is prepared. Does not sleep. Less than that: out of memory. */
uint64_t ring_put(struct ring *ring, const struct io_buffer *from, uint64_t offset, uint64_t bytes);
/* Copies as much as there is, from `skip` bytes behind the tail. ring_drop() takes it away. */
uint64_t ring_peek(struct ring *ring, uint64_t skip, const struct io_buffer *to, uint64_t offset, uint64_t bytes);
void ring_drop(struct ring *ring, uint64_t bytes);
/* Takes back the last `bytes` put. */
void ring_unput(struct ring *ring, uint64_t bytes);
/* Another size; the content is kept. -EBUSY if it does not fit, -ENOMEM. */
int ring_resize(struct ring *ring, unsigned slots);

#endif
