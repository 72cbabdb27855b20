/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues, device side. Section numbers are those of virtio 1.2. */
#include "dev/virtqueue.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/util.h"

#define DESC_F_NEXT 1u
#define DESC_F_WRITE 2u
#define DESC_F_INDIRECT 4u
#define AVAIL_F_NO_INTERRUPT 1u

/* 2.7.5 */
struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* 2.7.6; after the ring comes used_event. */
struct virtq_avail {
	uint16_t flags, idx;
	uint16_t ring[];
};

/* 2.7.8; after the ring comes avail_event. */
struct virtq_used_elem {
	uint32_t id, len;
};
struct virtq_used {
	uint16_t flags, idx;
	struct virtq_used_elem ring[];
};

#define DESC_ALIGN 16u
#define AVAIL_ALIGN 2u
#define USED_ALIGN 4u

static uint64_t avail_bytes(uint16_t size) { return sizeof(struct virtq_avail) + 2u * (uint64_t)size + 2u; }
static uint64_t used_bytes(uint16_t size)
{
	return sizeof(struct virtq_used) + sizeof(struct virtq_used_elem) * (uint64_t)size + 2u;
}

static bool overlap(const void *a, uint64_t a_bytes, const void *b, uint64_t b_bytes)
{
	uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
	return x < y + b_bytes && y < x + a_bytes;
}

/* The whole ring as a host pointer, or NULL. */
static void *ring_at(const struct guest_memory *memory, struct guest_addr addr, uint64_t bytes, unsigned align)
{
	if (addr.value % align != 0)
		return NULL;
	void *host = guest_memory_at(memory, addr, bytes, true);
	return (uintptr_t)host % align == 0 ? host : NULL;
}

int virtqueue_activate(struct virtqueue *queue, const struct guest_memory *memory, uint16_t size,
		       struct guest_addr desc, struct guest_addr avail, struct guest_addr used)
{
	if (size > VIRTQUEUE_SIZE_MAX || !is_power_of_two(size))
		return -EINVAL;
	uint64_t desc_bytes = sizeof(struct virtq_desc) * (uint64_t)size;
	void *d = ring_at(memory, desc, desc_bytes, DESC_ALIGN);
	void *a = ring_at(memory, avail, avail_bytes(size), AVAIL_ALIGN);
	void *u = ring_at(memory, used, used_bytes(size), USED_ALIGN);
	if (d == NULL || a == NULL || u == NULL)
		return -EINVAL;
	/* Also catches addresses that were never written: all three are 0 then. */
	if (overlap(d, desc_bytes, a, avail_bytes(size)) || overlap(d, desc_bytes, u, used_bytes(size)) ||
	    overlap(a, avail_bytes(size), u, used_bytes(size)))
		return -EINVAL;
	*queue = (struct virtqueue){
	    .memory = memory,
	    .size = size,
	    .enabled = true,
	    .desc = d,
	    .avail = a,
	    .used = u,
	};
	return 0;
}

void virtqueue_reset(struct virtqueue *queue) { *queue = (struct virtqueue){0}; }

/* A descriptor, read exactly once: what is checked is what is used. */
static struct virtq_desc desc_copy(const struct virtq_desc *table, unsigned index)
{
	struct virtq_desc copy;
	memcpy(&copy, &table[index], sizeof(copy));
	/* The compiler must take the copy for changed, so it cannot read the guest's memory again. */
	__asm__ volatile("" : "+m"(copy));
	return copy;
}

static bool chain_add(const struct virtqueue *queue, struct virtqueue_chain *chain, const struct virtq_desc *desc)
{
	bool writable = (desc->flags & DESC_F_WRITE) != 0;
	unsigned count = chain->readable + chain->writable;
	if (count == VIRTQUEUE_SEGMENTS_MAX || (!writable && chain->writable != 0))
		return false;
	void *host = guest_memory_at(queue->memory, (struct guest_addr){desc->addr}, desc->len, writable);
	if (host == NULL)
		return false;
	if (chain->readable_bytes + chain->writable_bytes + desc->len > VIRTQUEUE_CHAIN_BYTES_MAX)
		return false;
	chain->segments[count] = (struct iovec){.iov_base = host, .iov_len = desc->len};
	if (writable) {
		chain->writable++;
		chain->writable_bytes += desc->len;
	} else {
		chain->readable++;
		chain->readable_bytes += desc->len;
	}
	return true;
}

/* Walks a chain (2.7.5, 2.7.5.3). False: it is malformed. */
static bool chain_build(const struct virtqueue *queue, uint16_t head, struct virtqueue_chain *chain)
{
	const struct virtq_desc *table = queue->desc;
	unsigned table_size = queue->size, index = head, steps = 0;
	bool in_indirect = false;

	chain->head = head;
	chain->readable = chain->writable = 0;
	chain->readable_bytes = chain->writable_bytes = 0;
	for (;;) {
		/* More steps than the table has entries: a loop. */
		if (index >= table_size || steps++ >= table_size)
			return false;
		struct virtq_desc desc = desc_copy(table, index);
		if (desc.flags & DESC_F_INDIRECT) {
			/* 2.7.5.3.1: not nested, not together with NEXT. */
			if (!queue->indirect || in_indirect || (desc.flags & DESC_F_NEXT) ||
			    desc.len % sizeof(struct virtq_desc) != 0 ||
			    desc.len / sizeof(struct virtq_desc) > VIRTQUEUE_SEGMENTS_MAX)
				return false;
			table = guest_memory_at(queue->memory, (struct guest_addr){desc.addr}, desc.len, false);
			if (table == NULL)
				return false;
			table_size = desc.len / sizeof(struct virtq_desc);
			in_indirect = true;
			index = steps = 0;
			continue;
		}
		if (!chain_add(queue, chain, &desc))
			return false;
		if (!(desc.flags & DESC_F_NEXT))
			return true;
		index = desc.next;
	}
}

/* Heads published and not yet taken. With EVENT_IDX an empty ring asks for a notification first. */
static uint16_t avail_waiting(struct virtqueue *queue)
{
	const struct virtq_avail *avail = queue->avail;
	/* Acquire: the ring entries and descriptors must not be read before the index that covers them. */
	uint16_t waiting = (uint16_t)(__atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) - queue->last_avail);
	if (waiting != 0 || !queue->event_idx)
		return waiting;
	struct virtq_used *used = queue->used;
	uint16_t *avail_event = (uint16_t *)&used->ring[queue->size];
	__atomic_store_n(avail_event, queue->last_avail, __ATOMIC_RELAXED);
	/* Full barrier: the second look at idx must not pass the store of avail_event, or a head that is
	 * published between the two would be neither seen nor notified (2.7.10). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (uint16_t)(__atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) - queue->last_avail);
}

int virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain, unsigned *bad)
{
	if (!queue->enabled)
		return 0;
	const struct virtq_avail *avail = queue->avail;
	for (unsigned tries = 0; tries < queue->size; tries++) {
		uint16_t waiting = avail_waiting(queue);
		if (waiting == 0)
			return 0;
		if (waiting > queue->size || queue->in_flight >= queue->size)
			return -EPROTO;
		uint16_t slot = queue->last_avail & (queue->size - 1u);
		uint16_t head = __atomic_load_n(&avail->ring[slot], __ATOMIC_RELAXED);
		if (head >= queue->size)
			return -EPROTO;
		queue->last_avail++;
		queue->in_flight++;
		if (chain_build(queue, head, chain))
			return 1;
		virtqueue_push(queue, head, 0);
		if (bad != NULL)
			(*bad)++;
	}
	return 0;
}

void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written)
{
	/* A device may finish a request whose queue was reset meanwhile. */
	if (!queue->enabled || queue->in_flight == 0)
		return;
	struct virtq_used *used = queue->used;
	struct virtq_used_elem *elem = &used->ring[queue->used_idx & (queue->size - 1u)];
	__atomic_store_n(&elem->id, (uint32_t)head, __ATOMIC_RELAXED);
	__atomic_store_n(&elem->len, written, __ATOMIC_RELAXED);
	queue->used_idx++;
	queue->in_flight--;
	/* Release: the element and the data must be there before the index says so. */
	__atomic_store_n(&used->idx, queue->used_idx, __ATOMIC_RELEASE);
}

bool virtqueue_wants_interrupt(struct virtqueue *queue)
{
	if (!queue->enabled || queue->signalled_used == queue->used_idx)
		return false;
	uint16_t old = queue->signalled_used;
	queue->signalled_used = queue->used_idx;
	const struct virtq_avail *avail = queue->avail;
	/* Full barrier: the guest's wish must not be read before used.idx is out, or a guest that asks
	 * for an interrupt between the two sees neither the buffer nor the interrupt (2.7.7.2). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!queue->event_idx)
		return !(__atomic_load_n(&avail->flags, __ATOMIC_RELAXED) & AVAIL_F_NO_INTERRUPT);
	uint16_t event = __atomic_load_n(&avail->ring[queue->size], __ATOMIC_RELAXED);
	/* 2.7.7.2: whether `event` lies in [old, used_idx), modulo 2^16. */
	return (uint16_t)(queue->used_idx - event - 1u) < (uint16_t)(queue->used_idx - old);
}

/* Copies between `count` segments, from byte `offset`, and a buffer. */
static uint64_t segments_copy(const struct iovec *segments, unsigned count, uint64_t offset, void *to, const void *from,
			      uint64_t bytes)
{
	uint64_t done = 0;
	for (unsigned i = 0; i < count && done < bytes; i++) {
		if (offset >= segments[i].iov_len) {
			offset -= segments[i].iov_len;
			continue;
		}
		uint64_t part = min_u64(segments[i].iov_len - offset, bytes - done);
		char *guest = (char *)segments[i].iov_base + offset;
		if (to != NULL)
			memcpy((char *)to + done, guest, part);
		else
			memcpy(guest, (const char *)from + done, part);
		done += part;
		offset = 0;
	}
	return done;
}

uint64_t virtqueue_chain_read(const struct virtqueue_chain *chain, uint64_t offset, void *to, uint64_t bytes)
{
	return segments_copy(chain->segments, chain->readable, offset, to, NULL, bytes);
}

uint64_t virtqueue_chain_write(const struct virtqueue_chain *chain, uint64_t offset, const void *from, uint64_t bytes)
{
	return segments_copy(chain->segments + chain->readable, chain->writable, offset, NULL, from, bytes);
}

unsigned virtqueue_chain_slice(const struct virtqueue_chain *chain, bool writable, uint64_t offset, uint64_t bytes,
			       struct iovec *slice)
{
	const struct iovec *segments = chain->segments + (writable ? chain->readable : 0);
	unsigned count = writable ? chain->writable : chain->readable, used = 0;
	for (unsigned i = 0; i < count && bytes > 0; i++) {
		if (offset >= segments[i].iov_len) {
			offset -= segments[i].iov_len;
			continue;
		}
		uint64_t part = min_u64(segments[i].iov_len - offset, bytes);
		slice[used++] = (struct iovec){.iov_base = (char *)segments[i].iov_base + offset, .iov_len = part};
		bytes -= part;
		offset = 0;
	}
	return used;
}
