/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng (virtio 1.2, 5.4). */
#include "dev/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/util.h"

/* A request gets at most this much, so that one notification stays short whatever the guest asks for;
 * the driver asks again if it wants more (5.4.6.1). */
#define RNG_REQUEST_BYTES_MAX 65536u

struct rng {
	struct virtio_device device;
	struct virtqueue_chain chain;
};

/* Fills the writable part, up to the bound; returns the bytes written. */
static uint32_t rng_fill(const struct virtqueue_chain *chain)
{
	uint32_t done = 0;
	const struct iovec *segments = chain->segments + chain->readable;
	for (unsigned i = 0; i < chain->writable; i++) {
		uint64_t want = min_u64(segments[i].iov_len, RNG_REQUEST_BYTES_MAX - done);
		ssize_t n = getrandom(segments[i].iov_base, want, GRND_NONBLOCK);
		if (n > 0)
			done += (uint32_t)n;
		/* Interrupted or out of entropy: what there is will do. */
		if (n < 0 || (uint64_t)n < segments[i].iov_len)
			break;
	}
	return done;
}

static void rng_notify(struct virtio_device *device, unsigned queue)
{
	struct rng *rng = container_of(device, struct rng, device);
	unsigned left = device->queues[queue].size;
	while (left > 0 && virtio_device_pop(device, queue, &rng->chain)) {
		virtqueue_push(&device->queues[queue], rng->chain.head, rng_fill(&rng->chain));
		if (--left == 0)
			device->again |= 1u << queue;
	}
	virtio_device_signal(device, &device->queues[queue]);
}

static void rng_reset(struct virtio_device *device) { (void)device; }

static void rng_free(struct virtio_device *device)
{
	struct rng *rng = container_of(device, struct rng, device);
	virtio_device_fini(device);
	free(rng);
}

static const struct virtio_device_ops rng_ops = {
    .name = "rng",
    .id = VIRTIO_ID_RNG,
    .features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
    .queues = 1,
    .queue_size_max = VIRTQUEUE_SIZE_MAX,
    .notify = rng_notify,
    .reset = rng_reset,
    .free = rng_free,
};

int rng_new(struct virtio_device **device, const struct guest_memory *memory, const struct virtio_host *host)
{
	struct rng *rng = calloc(1, sizeof(*rng));
	if (rng == NULL)
		return -ENOMEM;
	virtio_device_init(&rng->device, &rng_ops, memory, host);
	*device = &rng->device;
	return 0;
}
