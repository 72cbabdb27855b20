/* SPDX-License-Identifier: Apache-2.0 */
/* virtio over MMIO, version 2 registers (virtio 1.2, 4.2.2). */
#include <linux/virtio_mmio.h>
#include <stddef.h>
#include <string.h>

#include "base/util.h"
#include "dev/virtio_device.h"

#define MMIO_MAGIC 0x74726976u /* "virt" */
#define MMIO_VERSION 2u
#define MMIO_VENDOR 0x4f504d4cu /* "LMPO" */
#define MMIO_CONFIG 0x100u
#define MMIO_PAGE 0x1000u

static uint32_t queue_register_read(const struct virtio_device *device, uint64_t offset)
{
	uint32_t queue = device->queue_select;
	if (queue >= device->ops->queues)
		return 0;
	return offset == VIRTIO_MMIO_QUEUE_READY ? device->setup[queue].ready : device->ops->queue_size_max;
}

static uint32_t features_read(const struct virtio_device *device)
{
	uint64_t features = device->ops->features | VIRTIO_F_VERSION_1;
	if (device->features_select > 1)
		return 0;
	return (uint32_t)(features >> (32 * device->features_select));
}

static uint32_t register_read(const struct virtio_device *device, uint64_t offset)
{
	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return MMIO_VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return device->ops->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return MMIO_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return features_read(device);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
	case VIRTIO_MMIO_QUEUE_READY:
		return queue_register_read(device, offset);
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return device->interrupt_status;
	case VIRTIO_MMIO_STATUS:
		return device->status;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return ~0u; /* 4.2.2: there is no such region */
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return device->config_generation;
	default:
		return 0;
	}
}

void virtio_mmio_read(struct virtio_device *device, uint64_t offset, void *data, uint32_t bytes)
{
	memset(data, 0, bytes);
	if (offset >= MMIO_PAGE || bytes == 0)
		return;
	pthread_mutex_lock(&device->lock);
	if (offset >= MMIO_CONFIG) {
		uint64_t at = offset - MMIO_CONFIG;
		if (at < device->ops->config_bytes)
			device->ops->config_read(device, (uint32_t)at, data,
						 (uint32_t)min_u64(bytes, device->ops->config_bytes - at));
	} else if (bytes == sizeof(uint32_t) && offset % sizeof(uint32_t) == 0) {
		uint32_t value = register_read(device, offset);
		memcpy(data, &value, sizeof(value));
	}
	pthread_mutex_unlock(&device->lock);
}

static void low_set(uint64_t *to, uint32_t value) { *to = (*to & ~0xffffffffull) | value; }
static void high_set(uint64_t *to, uint32_t value) { *to = (*to & 0xffffffffull) | ((uint64_t)value << 32); }

/* Registers of the selected queue. Frozen from DRIVER_OK until reset: what was checked stays true. */
static void queue_register_write(struct virtio_device *device, uint64_t offset, uint32_t value)
{
	uint32_t queue = device->queue_select;
	if (queue >= device->ops->queues || (device->status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)))
		return;
	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		device->setup[queue].ready = value & 1u;
		return;
	}
	if (device->setup[queue].ready)
		return;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		device->setup[queue].size = value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		low_set(&device->setup[queue].desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		high_set(&device->setup[queue].desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		low_set(&device->setup[queue].avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		high_set(&device->setup[queue].avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		low_set(&device->setup[queue].used, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		high_set(&device->setup[queue].used, value);
		break;
	}
}

static void features_write(struct virtio_device *device, uint32_t value)
{
	if ((device->status & VIRTIO_STATUS_FEATURES_OK) || device->driver_features_select > 1)
		return;
	if (device->driver_features_select == 0)
		low_set(&device->driver_features, value);
	else
		high_set(&device->driver_features, value);
}

/* 2.1, 3.1.1: bits are only ever added; 0 resets. */
static void status_write(struct virtio_device *device, uint32_t value)
{
	if (value == 0) {
		virtio_device_reset(device);
		return;
	}
	uint32_t added = value & ~device->status;
	device->status |= added & (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FAILED);
	if (added & VIRTIO_STATUS_FEATURES_OK) {
		uint64_t refused = device->driver_features & ~(device->ops->features | VIRTIO_F_VERSION_1);
		if (refused == 0 && (device->driver_features & VIRTIO_F_VERSION_1))
			device->status |= VIRTIO_STATUS_FEATURES_OK;
	}
	if ((added & VIRTIO_STATUS_DRIVER_OK) && (device->status & VIRTIO_STATUS_FEATURES_OK) &&
	    !(device->status & VIRTIO_STATUS_NEEDS_RESET)) {
		if (virtio_device_activate(device) < 0)
			virtio_device_break(device, "the guest set up a bad virtqueue");
	}
}

static void register_write(struct virtio_device *device, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		device->features_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		device->driver_features_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		features_write(device, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		device->queue_select = value;
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		device->interrupt_status &= ~value;
		break;
	case VIRTIO_MMIO_STATUS:
		status_write(device, value);
		break;
	default:
		queue_register_write(device, offset, value);
		break;
	}
}

static void config_write(struct virtio_device *device, uint64_t at, const void *data, uint32_t bytes)
{
	if (device->ops->config_write == NULL || at >= device->ops->config_bytes)
		return;
	device->ops->config_write(device, (uint32_t)at, data, (uint32_t)min_u64(bytes, device->ops->config_bytes - at));
}

void virtio_mmio_write(struct virtio_device *device, uint64_t offset, const void *data, uint32_t bytes)
{
	uint32_t value = 0;
	if (offset >= MMIO_PAGE || bytes == 0)
		return;
	if (offset < MMIO_CONFIG) {
		if (bytes != sizeof(value) || offset % sizeof(value) != 0)
			return;
		memcpy(&value, data, sizeof(value));
		if (offset == VIRTIO_MMIO_QUEUE_NOTIFY) {
			virtio_device_notify(device, value);
			return;
		}
	}
	pthread_mutex_lock(&device->lock);
	if (offset >= MMIO_CONFIG)
		config_write(device, offset - MMIO_CONFIG, data, bytes);
	else
		register_write(device, offset, value);
	pthread_mutex_unlock(&device->lock);
}
