/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues, driver side (virtio 1.2, 2.7). */
#include "abi/doorbell.h"
#include "kernel/arch.h"
#include "kernel/mm/page.h"
#include "kernel/virtio/virtio.h"

#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define AVAIL_NO_INTERRUPT 1u

struct desc {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct avail {
	uint16_t flags, index;
	uint16_t ring[];
};

struct used {
	uint16_t flags, index;
	struct {
		uint32_t id, length;
	} ring[];
};

struct virtio_queue {
	uint16_t device, index, size;
	uint16_t free_head, free_count; /* free descriptors are linked by next */
	uint16_t used_seen;
	volatile struct desc *desc;
	volatile struct avail *avail;
	volatile struct used *used;
	void *tokens[]; /* by head */
};

struct virtio_queue *virtio_queue_open(unsigned device, unsigned index)
{
	if (device >= boot_info->device_count || index >= LAMPO_QUEUES_MAX)
		return NULL;
	const struct lampo_boot_queue *boot = &boot_info->devices[device].queues[index];
	if (boot->size == 0)
		return NULL;
	struct virtio_queue *queue = kzalloc(sizeof(*queue) + boot->size * sizeof(void *));
	if (queue == NULL)
		return NULL;
	queue->device = (uint16_t)device;
	queue->index = (uint16_t)index;
	queue->size = (uint16_t)boot->size;
	queue->desc = arch_phys_to_virt(boot->desc_gpa);
	queue->avail = arch_phys_to_virt(boot->avail_gpa);
	queue->used = arch_phys_to_virt(boot->used_gpa);
	queue->free_count = queue->size;
	for (unsigned i = 0; i < queue->size; i++)
		queue->desc[i].next = (uint16_t)(i + 1);
	queue->avail->flags = AVAIL_NO_INTERRUPT;
	return queue;
}

int virtio_queue_add(struct virtio_queue *queue, const struct virtio_segment *segments, unsigned count, void *token)
{
	uint16_t head = queue->free_head, at = head;

	if (count == 0 || count > queue->free_count)
		return -ENOSPC;
	for (unsigned i = 0; i < count; i++) {
		volatile struct desc *d = &queue->desc[at];
		d->address = segments[i].gpa;
		d->length = segments[i].bytes;
		d->flags = (uint16_t)((segments[i].writable ? DESC_WRITE : 0) | (i + 1 < count ? DESC_NEXT : 0));
		at = d->next; /* the free list's order is the chain's */
	}
	queue->free_head = at;
	queue->free_count = (uint16_t)(queue->free_count - count);
	queue->tokens[head] = token;
	uint16_t slot = queue->avail->index;
	queue->avail->ring[slot % queue->size] = head;
	/* The descriptors and the ring entry must be visible before the index that publishes them. */
	__atomic_store_n(&queue->avail->index, (uint16_t)(slot + 1), __ATOMIC_RELEASE);
	return 0;
}

void virtio_queue_notify(struct virtio_queue *queue, bool sleeping)
{
	uint32_t value = (uint32_t)queue->device << 16 | queue->index;

	if (sleeping)
		arch_doorbell_sleeping(LAMPO_PORT_NOTIFY, value);
	else
		arch_doorbell(LAMPO_PORT_NOTIFY, value);
}

static void free_chain(struct virtio_queue *queue, uint16_t head)
{
	uint16_t last = head, count = 1;

	while ((queue->desc[last].flags & DESC_NEXT) != 0 && count < queue->size) {
		last = queue->desc[last].next;
		count++;
	}
	queue->desc[last].next = queue->free_head;
	queue->free_head = head;
	queue->free_count = (uint16_t)(queue->free_count + count);
}

void *virtio_queue_take(struct virtio_queue *queue, uint32_t *written)
{
	/* The used element must not be read before the index that publishes it. */
	if (__atomic_load_n(&queue->used->index, __ATOMIC_ACQUIRE) == queue->used_seen)
		return NULL;
	uint32_t head = queue->used->ring[queue->used_seen % queue->size].id;
	kassert(head < queue->size);
	*written = queue->used->ring[queue->used_seen % queue->size].length;
	queue->used_seen++;
	void *token = queue->tokens[head];
	queue->tokens[head] = NULL;
	free_chain(queue, (uint16_t)head);
	return token;
}

void virtio_queue_interrupts(struct virtio_queue *queue, bool wanted)
{
	queue->avail->flags = wanted ? 0 : AVAIL_NO_INTERRUPT;
	/* The flag must be visible before the caller looks at the used ring once more. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
