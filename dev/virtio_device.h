/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device and what it needs from its host. Devices know nothing of KVM: guest memory,
 * interrupts and the event loop reach them through struct virtio_host.
 *
 * Threads: every entry below runs with the device's lock held by the caller (the MMIO transport and
 * the monitor's event loop take it); a device never blocks in one.
 */
#ifndef LAMPO_DEV_VIRTIO_DEVICE_H
#define LAMPO_DEV_VIRTIO_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dev/guest_memory.h"
#include "dev/virtqueue.h"

#define VIRTIO_QUEUES_MAX 4u

#define VIRTIO_ID_CONSOLE 3u
#define VIRTIO_ID_RNG 4u
#define VIRTIO_ID_FS 26u

#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)

#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER 2u
#define VIRTIO_STATUS_DRIVER_OK 4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_STATUS_NEEDS_RESET 64u
#define VIRTIO_STATUS_FAILED 128u

struct virtio_device;

/* What the monitor gives a device. */
struct virtio_host {
	void *context;
	/* The device has put something into a used ring (or changed its configuration) that the guest
	 * wants to hear of. May be called from any thread. */
	void (*interrupt)(void *context, struct virtio_device *device);
	/* One line for the log about a misbehaving guest; rate-limited by the receiver. */
	void (*complain)(void *context, struct virtio_device *device, const char *what);
	/* Starts (events = EPOLLIN, EPOLLOUT) or stops (0) watching a descriptor; ready(device, fd,
	 * events) is then called from the event loop with the device locked. */
	int (*watch)(void *context, struct virtio_device *device, int fd, uint32_t events);
};

/* The constants and operations of a kind of device: one static struct in its file. */
struct virtio_device_ops {
	const char *name;
	uint32_t id;       /* virtio 1.2, 5 */
	uint64_t features; /* offered */
	unsigned queues;
	uint16_t queue_size_max;
	/* Configuration space: reads past the end give 0, writes past it are ignored by the transport. */
	uint32_t config_bytes;
	void (*config_read)(struct virtio_device *device, uint32_t offset, void *to, uint32_t bytes);
	void (*config_write)(struct virtio_device *device, uint32_t offset, const void *from,
			     uint32_t bytes);                                 /* may be NULL */
	int (*activate)(struct virtio_device *device);                        /* DRIVER_OK was set; may be NULL */
	void (*notify)(struct virtio_device *device, unsigned queue);         /* the queue is enabled */
	void (*ready)(struct virtio_device *device, int fd, uint32_t events); /* may be NULL */
	void (*reset)(struct virtio_device *device);                          /* drop requests in flight */
	void (*free)(struct virtio_device *device); /* frees the object; closes its descriptors */
};

/* First member of each device's own struct. */
struct virtio_device {
	const struct virtio_device_ops *ops;
	struct virtio_host host;
	const struct guest_memory *memory;
	pthread_mutex_t lock;
	unsigned index; /* number in the machine, set by the monitor */

	/* Transport state (virtio 1.2, 4.2.2 and 2.1). */
	uint32_t status;
	uint64_t driver_features;
	uint32_t features_select, driver_features_select, queue_select;
	uint32_t interrupt_status;
	uint32_t config_generation;
	struct {
		uint32_t size, ready;
		uint64_t desc, avail, used;
	} setup[VIRTIO_QUEUES_MAX]; /* as written by the driver; copied into queues[] at activation */
	struct virtqueue queues[VIRTIO_QUEUES_MAX];
	uint64_t bad_chains; /* counted for the log and the statistics */
	/* Bit q: notify() stopped at its bound with work left on queue q. The lock is given up, so that
	 * others may have it, and notify() called again. */
	uint32_t again;
};

/* Fills the common part of a device made by its own *_new(). */
void virtio_device_init(struct virtio_device *device, const struct virtio_device_ops *ops,
			const struct guest_memory *memory, const struct virtio_host *host);
/* Undoes virtio_device_init(); for the device's own free(). */
void virtio_device_fini(struct virtio_device *device);
/* Brings the device to DRIVER_OK from setup[] and driver_features, for the transport; 0, or -EINVAL for a
 * bad layout (nothing is activated then), or what the device's activate() says. Lock held. */
int virtio_device_activate(struct virtio_device *device);
/* Back to the state after start; requests in flight are dropped. Lock held. */
void virtio_device_reset(struct virtio_device *device);
/* virtqueue_pop() with the bookkeeping of a device: whether there is a chain; a broken ring breaks the device. Lock
 * held. */
bool virtio_device_pop(struct virtio_device *device, unsigned queue, struct virtqueue_chain *chain);
/* Stops the device after a guest's fault: NEEDS_RESET, configuration interrupt, one complaint. */
void virtio_device_break(struct virtio_device *device, const char *why);
/* Interrupt for `queue`, if the guest wants one now. */
void virtio_device_signal(struct virtio_device *device, struct virtqueue *queue);
/* The configuration space changed: new generation and a configuration interrupt. Lock held. */
void virtio_device_config_changed(struct virtio_device *device);
/* For nucleo: brings the device to DRIVER_OK with these features and queues without a register
 * access. queues[i].size = 0 leaves queue i disabled. -EINVAL: unknown feature or bad layout. */
struct virtio_queue_layout {
	uint16_t size;
	struct guest_addr desc, avail, used;
};
int virtio_device_preset(struct virtio_device *device, uint64_t features, const struct virtio_queue_layout *queues,
			 unsigned count);

/* The MMIO transport (virtio 1.2, 4.2), registers of one device, offset within its page. Any offset
 * and width is safe: what is not a register reads as 0 and ignores writes. Takes the device's lock. */
void virtio_mmio_read(struct virtio_device *device, uint64_t offset, void *data, uint32_t bytes);
void virtio_mmio_write(struct virtio_device *device, uint64_t offset, const void *data, uint32_t bytes);
/* A doorbell (include/abi/doorbell.h): as a write to QueueNotify. Takes the lock. */
void virtio_device_notify(struct virtio_device *device, uint32_t queue);

#endif
