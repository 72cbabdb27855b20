/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mock guest: memory, a driver that fills virtqueues, and the host side that a device calls. Used by the
 * unit tests and the fuzzers. Guest memory lies between inaccessible pages, so that a device that leaves it
 * is caught.
 */
#ifndef LAMPO_TESTS_UNIT_MOCK_GUEST_H
#define LAMPO_TESTS_UNIT_MOCK_GUEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/util.h"
#include "dev/virtio_device.h"

#define MOCK_PAGE 4096u
#define MOCK_ROM_GPA 0x3f00000000ull
#define MOCK_ROM_BYTES MOCK_PAGE
#define MOCK_WATCHES 8u

#define MOCK_NEXT 1u
#define MOCK_WRITE 2u
#define MOCK_INDIRECT 4u

struct mock_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct mock_queue {
	uint16_t size;
	uint64_t desc, avail, used;
	uint16_t next_desc, used_seen;
};

struct mock_guest {
	char *ram, *rom;
	uint64_t ram_bytes, allocated;
	struct guest_memory memory;
	struct virtio_host host;
	struct virtio_device *device;
	struct mock_queue queues[VIRTIO_QUEUES_MAX];
	unsigned interrupts, complaints;
	struct {
		int fd;
		uint32_t events;
	} watches[MOCK_WATCHES];
	int watch_error; /* returned by watch() if not 0 */
};

static inline void mock_interrupt(void *context, struct virtio_device *device)
{
	(void)device;
	((struct mock_guest *)context)->interrupts++;
}

static inline void mock_complain(void *context, struct virtio_device *device, const char *what)
{
	(void)device;
	(void)what;
	((struct mock_guest *)context)->complaints++;
}

static inline int mock_watch(void *context, struct virtio_device *device, int fd, uint32_t events)
{
	struct mock_guest *g = context;
	(void)device;
	if (events != 0 && g->watch_error != 0)
		return g->watch_error;
	for (unsigned i = 0; i < MOCK_WATCHES; i++) {
		if (g->watches[i].events != 0 && g->watches[i].fd == fd) {
			g->watches[i].events = events;
			return 0;
		}
	}
	for (unsigned i = 0; events != 0 && i < MOCK_WATCHES; i++) {
		if (g->watches[i].events == 0) {
			g->watches[i].fd = fd;
			g->watches[i].events = events;
			return 0;
		}
	}
	return 0;
}

/* What the device waits for on `fd`. */
static inline uint32_t mock_watched(const struct mock_guest *g, int fd)
{
	for (unsigned i = 0; i < MOCK_WATCHES; i++) {
		if (g->watches[i].events != 0 && g->watches[i].fd == fd)
			return g->watches[i].events;
	}
	return 0;
}

static inline char *mock_map(uint64_t bytes)
{
	char *all = mmap(NULL, bytes + 2 * MOCK_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED || mprotect(all + MOCK_PAGE, bytes, PROT_READ | PROT_WRITE) < 0)
		abort();
	return all + MOCK_PAGE;
}

static inline void mock_unmap(char *at, uint64_t bytes) { munmap(at - MOCK_PAGE, bytes + 2 * MOCK_PAGE); }

static inline void mock_guest_init(struct mock_guest *g, uint64_t ram_bytes)
{
	*g = (struct mock_guest){.ram_bytes = ram_bytes, .allocated = MOCK_PAGE};
	g->ram = mock_map(ram_bytes);
	g->rom = mock_map(MOCK_ROM_BYTES);
	g->memory.regions[0] = (struct guest_region){.gpa = 0, .bytes = ram_bytes, .host = g->ram};
	g->memory.regions[1] =
	    (struct guest_region){.gpa = MOCK_ROM_GPA, .bytes = MOCK_ROM_BYTES, .host = g->rom, .read_only = true};
	g->memory.count = 2;
	g->host = (struct virtio_host){
	    .context = g, .interrupt = mock_interrupt, .complain = mock_complain, .watch = mock_watch};
}

static inline void mock_guest_fini(struct mock_guest *g)
{
	if (g->device != NULL)
		g->device->ops->free(g->device);
	mock_unmap(g->ram, g->ram_bytes);
	mock_unmap(g->rom, MOCK_ROM_BYTES);
}

/* Guest memory for the test, zeroed; never freed before the guest. */
static inline uint64_t mock_alloc(struct mock_guest *g, uint64_t bytes)
{
	uint64_t at = align_up(g->allocated, 16);
	if (at + bytes > g->ram_bytes)
		abort();
	g->allocated = at + bytes;
	memset(g->ram + at, 0, bytes);
	return at;
}

static inline void *mock_at(struct mock_guest *g, uint64_t gpa) { return g->ram + gpa; }

static inline struct mock_desc *mock_desc_at(struct mock_guest *g, unsigned queue, unsigned index)
{
	return (struct mock_desc *)(void *)(g->ram + g->queues[queue].desc) + index;
}
static inline uint16_t *mock_avail(struct mock_guest *g, unsigned queue)
{
	return (uint16_t *)(void *)(g->ram + g->queues[queue].avail);
}
static inline uint16_t *mock_used(struct mock_guest *g, unsigned queue)
{
	return (uint16_t *)(void *)(g->ram + g->queues[queue].used);
}

static inline void mock_queue_alloc(struct mock_guest *g, unsigned queue, uint16_t size)
{
	struct mock_queue *q = &g->queues[queue];
	*q = (struct mock_queue){.size = size};
	q->desc = mock_alloc(g, 16u * size);
	q->avail = mock_alloc(g, 6u + 2u * size);
	q->used = mock_alloc(g, 6u + 8u * size);
}

static inline uint32_t mock_read32(struct mock_guest *g, uint64_t offset)
{
	uint32_t value;
	virtio_mmio_read(g->device, offset, &value, sizeof(value));
	return value;
}
static inline void mock_write32(struct mock_guest *g, uint64_t offset, uint32_t value)
{
	virtio_mmio_write(g->device, offset, &value, sizeof(value));
}

/* Queues of `size` on all of the device's queues, as nucleo has it: no registers. */
static inline int mock_preset(struct mock_guest *g, uint64_t features, uint16_t size)
{
	struct virtio_queue_layout layout[VIRTIO_QUEUES_MAX];
	for (unsigned i = 0; i < g->device->ops->queues; i++) {
		mock_queue_alloc(g, i, size);
		layout[i] = (struct virtio_queue_layout){
		    .size = size,
		    .desc = {g->queues[i].desc},
		    .avail = {g->queues[i].avail},
		    .used = {g->queues[i].used},
		};
	}
	return virtio_device_preset(g->device, features, layout, g->device->ops->queues);
}

/* Publishes a chain that starts at descriptor `head`. */
static inline void mock_publish(struct mock_guest *g, unsigned queue, uint16_t head)
{
	uint16_t *avail = mock_avail(g, queue);
	avail[2 + avail[1] % g->queues[queue].size] = head;
	__atomic_store_n(&avail[1], (uint16_t)(avail[1] + 1), __ATOMIC_RELEASE);
}

struct mock_segment {
	uint64_t gpa;
	uint32_t bytes;
	bool writable;
};

/* Fills descriptors and publishes them; returns the head. */
static inline uint16_t mock_submit(struct mock_guest *g, unsigned queue, const struct mock_segment *segments,
				   unsigned count)
{
	struct mock_queue *q = &g->queues[queue];
	uint16_t head = q->next_desc % q->size;
	for (unsigned i = 0; i < count; i++) {
		uint16_t index = (uint16_t)(q->next_desc++ % q->size);
		*mock_desc_at(g, queue, index) = (struct mock_desc){
		    .addr = segments[i].gpa,
		    .len = segments[i].bytes,
		    .flags = (uint16_t)((segments[i].writable ? MOCK_WRITE : 0) | (i + 1 < count ? MOCK_NEXT : 0)),
		    .next = (uint16_t)(q->next_desc % q->size),
		};
	}
	mock_publish(g, queue, head);
	return head;
}

/* The next used element, if there is one. */
static inline bool mock_take(struct mock_guest *g, unsigned queue, uint32_t *head, uint32_t *bytes)
{
	struct mock_queue *q = &g->queues[queue];
	uint16_t *used = mock_used(g, queue);
	if (__atomic_load_n(&used[1], __ATOMIC_ACQUIRE) == q->used_seen)
		return false;
	uint32_t *elements = (uint32_t *)(void *)(used + 2);
	unsigned at = q->used_seen++ % q->size;
	*head = elements[2 * at];
	*bytes = elements[2 * at + 1];
	return true;
}

#endif
