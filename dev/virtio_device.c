/* SPDX-License-Identifier: Apache-2.0 */
/* What all virtio devices have in common, apart from the transport. Section numbers: virtio 1.2. */
#include "dev/virtio_device.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

#define INTERRUPT_QUEUE 1u
#define INTERRUPT_CONFIG 2u

void virtio_device_init(struct virtio_device *device, const struct virtio_device_ops *ops,
			const struct guest_memory *memory, const struct virtio_host *host)
{
	*device = (struct virtio_device){.ops = ops, .host = *host, .memory = memory};
	pthread_mutex_init(&device->lock, NULL);
}

void virtio_device_fini(struct virtio_device *device) { pthread_mutex_destroy(&device->lock); }

void virtio_device_config_changed(struct virtio_device *device)
{
	device->config_generation++;
	if (!(device->status & VIRTIO_STATUS_DRIVER_OK))
		return;
	device->interrupt_status |= INTERRUPT_CONFIG;
	device->host.interrupt(device->host.context, device);
}

void virtio_device_break(struct virtio_device *device, const char *why)
{
	if (device->status & VIRTIO_STATUS_NEEDS_RESET)
		return;
	device->status |= VIRTIO_STATUS_NEEDS_RESET;
	virtio_device_config_changed(device);
	device->host.complain(device->host.context, device, why);
}

void virtio_device_signal(struct virtio_device *device, struct virtqueue *queue)
{
	if (!virtqueue_wants_interrupt(queue))
		return;
	device->interrupt_status |= INTERRUPT_QUEUE;
	device->host.interrupt(device->host.context, device);
}

bool virtio_device_pop(struct virtio_device *device, unsigned queue, struct virtqueue_chain *chain)
{
	if (device->status & VIRTIO_STATUS_NEEDS_RESET)
		return false;
	unsigned bad = 0;
	int r = virtqueue_pop(&device->queues[queue], chain, &bad);
	if (bad != 0) {
		device->bad_chains += bad;
		device->host.complain(device->host.context, device, "malformed descriptor chain");
		/* As many bad ones as one call tries: there may be more behind them. */
		if (r == 0 && bad >= device->queues[queue].size)
			device->again |= 1u << queue;
	}
	if (r < 0)
		virtio_device_break(device, "the guest broke a virtqueue");
	return r == 1;
}

static void queues_reset(struct virtio_device *device)
{
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++)
		virtqueue_reset(&device->queues[i]);
}

int virtio_device_activate(struct virtio_device *device)
{
	int r = 0;
	for (unsigned i = 0; i < device->ops->queues && r == 0; i++) {
		struct virtqueue *queue = &device->queues[i];
		if (!device->setup[i].ready)
			continue;
		if (device->setup[i].size > device->ops->queue_size_max) {
			r = -EINVAL;
			break;
		}
		r = virtqueue_activate(
		    queue, device->memory, (uint16_t)device->setup[i].size, (struct guest_addr){device->setup[i].desc},
		    (struct guest_addr){device->setup[i].avail}, (struct guest_addr){device->setup[i].used});
		queue->event_idx = (device->driver_features & VIRTIO_F_EVENT_IDX) != 0;
		queue->indirect = (device->driver_features & VIRTIO_F_INDIRECT_DESC) != 0;
	}
	if (r == 0 && device->ops->activate != NULL)
		r = device->ops->activate(device);
	if (r < 0)
		queues_reset(device);
	else
		device->status |= VIRTIO_STATUS_DRIVER_OK;
	return r;
}

void virtio_device_reset(struct virtio_device *device)
{
	device->ops->reset(device);
	queues_reset(device);
	memset(device->setup, 0, sizeof(device->setup));
	device->status = 0;
	device->driver_features = 0;
	device->features_select = device->driver_features_select = device->queue_select = 0;
	device->interrupt_status = 0;
	device->again = 0;
}

int virtio_device_preset(struct virtio_device *device, uint64_t features, const struct virtio_queue_layout *queues,
			 unsigned count)
{
	if (count > device->ops->queues || (features & ~(device->ops->features | VIRTIO_F_VERSION_1)) != 0 ||
	    !(features & VIRTIO_F_VERSION_1))
		return -EINVAL;
	pthread_mutex_lock(&device->lock);
	virtio_device_reset(device);
	for (unsigned i = 0; i < count; i++) {
		device->setup[i].ready = queues[i].size != 0;
		device->setup[i].size = queues[i].size;
		device->setup[i].desc = queues[i].desc.value;
		device->setup[i].avail = queues[i].avail.value;
		device->setup[i].used = queues[i].used.value;
	}
	device->driver_features = features;
	int r = virtio_device_activate(device);
	if (r == 0)
		device->status |= VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK;
	else
		virtio_device_reset(device);
	pthread_mutex_unlock(&device->lock);
	return r;
}

void virtio_device_notify(struct virtio_device *device, uint32_t queue)
{
	if (queue >= device->ops->queues)
		return;
	bool more = true;
	while (more) {
		pthread_mutex_lock(&device->lock);
		device->again &= ~(1u << queue);
		if (device->queues[queue].enabled && !(device->status & VIRTIO_STATUS_NEEDS_RESET))
			device->ops->notify(device, queue);
		more = (device->again & (1u << queue)) != 0;
		pthread_mutex_unlock(&device->lock);
	}
}
