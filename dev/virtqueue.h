/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues, device side (virtio 1.2, 2.7). One validator turns a descriptor chain into bounded
 * iovecs; devices never see a descriptor. */
#ifndef LAMPO_DEV_VIRTQUEUE_H
#define LAMPO_DEV_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "dev/guest_memory.h"

#define VIRTQUEUE_SIZE_MAX 256u
#define VIRTQUEUE_SEGMENTS_MAX 256u /* descriptors in one chain, indirect ones included */
#define VIRTQUEUE_CHAIN_BYTES_MAX (8u << 20)

struct virtqueue {
	const struct guest_memory *memory;
	/* Frozen at activation. Ring pointers are host addresses, checked for the whole ring. */
	uint16_t size;
	bool enabled;
	bool event_idx; /* VIRTIO_F_EVENT_IDX negotiated */
	bool indirect;  /* VIRTIO_F_INDIRECT_DESC negotiated */
	const void *desc, *avail;
	void *used;
	uint16_t last_avail, used_idx;
	uint16_t signalled_used; /* for event_idx */
	uint16_t in_flight;      /* heads taken and not returned; never above size */
};

/* One chain, copied out of guest memory and validated. Readable segments come first (2.7.4.2). The
 * iovecs point into guest memory: what they hold may change at any time. */
struct virtqueue_chain {
	uint16_t head;
	unsigned readable, writable; /* numbers of segments */
	uint64_t readable_bytes, writable_bytes;
	struct iovec segments[VIRTQUEUE_SEGMENTS_MAX]; /* readable ones, then writable ones */
};

/* Checks and freezes the layout. -EINVAL: size zero, not a power of two or too large, or a ring that
 * is misaligned or not wholly inside writable guest memory. */
int virtqueue_activate(struct virtqueue *queue, const struct guest_memory *memory, uint16_t size,
		       struct guest_addr desc, struct guest_addr avail, struct guest_addr used);
void virtqueue_reset(struct virtqueue *queue);

/* 1: *chain is filled and its head in flight; 0: nothing there; -EPROTO: the guest broke the ring
 * (avail index jumped, head out of range, too many in flight): the device must go to NEEDS_RESET.
 * A bad chain (loop, address outside memory, bad indirect table, too long) is returned to the guest
 * with length 0, counted in *bad (may be NULL), and the next one is tried, at most `size` per call. */
int virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain, unsigned *bad);
/* Gives the chain back with `written` bytes in its writable part. */
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);
/* Whether the guest wants an interrupt for what was pushed since the last call (2.7.7, 2.7.10). */
bool virtqueue_wants_interrupt(struct virtqueue *queue);

/* Copy between a chain's readable (writable) part, from byte `offset`, and a buffer. Returns the bytes
 * copied, fewer at the end of the chain. */
uint64_t virtqueue_chain_read(const struct virtqueue_chain *chain, uint64_t offset, void *to, uint64_t bytes);
uint64_t virtqueue_chain_write(const struct virtqueue_chain *chain, uint64_t offset, const void *from, uint64_t bytes);
/* Iovecs over [offset, offset + bytes) of the readable (writable) part, clipped to its end, for readv and
 * writev. `slice` has room for VIRTQUEUE_SEGMENTS_MAX; returns how many were filled. */
unsigned virtqueue_chain_slice(const struct virtqueue_chain *chain, bool writable, uint64_t offset, uint64_t bytes,
			       struct iovec *slice);

#endif
