/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng driver (virtio 1.2, 5.4): fresh entropy for the generator of kernel/lib/random.c. */
#include "kernel/lib/random.h"
#include "kernel/mm/page.h"
#include "kernel/virtio/console.h"

#define SEED_BYTES 64u

static struct virtio_queue *queue;
static uint8_t *seed; /* in the direct map: the device writes there */
static bool posted;

int rng_init(unsigned device)
{
	queue = virtio_queue_open(device, 0);
	return 0;
}

static void rng_take(void)
{
	uint32_t bytes = 0;
	if (!posted || virtio_queue_take(queue, &bytes) == NULL)
		return;
	posted = false;
	random_mix(seed, min_u64(bytes, SEED_BYTES));
}

void rng_request(void)
{
	if (queue == NULL || posted)
		return;
	if (seed == NULL && (seed = kmalloc(SEED_BYTES)) == NULL)
		return;
	struct virtio_segment segment = {.gpa = arch_virt_to_phys(seed), .bytes = SEED_BYTES, .writable = true};
	if (virtio_queue_add(queue, &segment, 1, seed) != 0)
		return;
	posted = true;
	virtio_queue_interrupts(queue, true);
	virtio_queue_notify(queue, false);
	rng_take();
}

void rng_on_event(unsigned device)
{
	(void)device;
	rng_take();
}
