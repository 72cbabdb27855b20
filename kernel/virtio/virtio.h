/* SPDX-License-Identifier: Apache-2.0 */
/* Driver side of the virtqueues that the monitor has preset (include/abi/boot.h; virtio 1.2, 2.7). */
#ifndef NUCLEO_VIRTIO_VIRTIO_H
#define NUCLEO_VIRTIO_VIRTIO_H

#include "kernel/kernel.h"

struct virtio_segment {
	uint64_t gpa;
	uint32_t bytes;
	bool writable; /* by the device; readable ones come first */
};

struct virtio_queue; /* kernel/virtio/queue.c */

/* Queue `index` of boot_info->devices[device]; NULL if it does not exist. */
struct virtio_queue *virtio_queue_open(unsigned device, unsigned index);
/* Adds a request. token comes back from virtio_queue_take(). -ENOSPC: no descriptors left. */
int virtio_queue_add(struct virtio_queue *queue, const struct virtio_segment *segments, unsigned count, void *token);
/* Rings the doorbell; the device may serve the request in the call. sleeping: the kernel lock is
 * dropped meanwhile. Asks for no interrupt by itself: see virtio_queue_interrupts(). */
void virtio_queue_notify(struct virtio_queue *queue, bool sleeping);
/* A finished request's token, or NULL; *written: bytes the device wrote. */
void *virtio_queue_take(struct virtio_queue *queue, uint32_t *written);
void virtio_queue_interrupts(struct virtio_queue *queue, bool wanted);

/* Drivers, started by virtio_init() for each device of boot_info. on_event: the monitor has set the
 * device's bit in boot_info->device_events (called by sched_interrupt() and the idle loop). */
int virtio_init(void);
void virtio_handle_events(void);

/* kernel/virtio/console.c */
/* Writes to the host's stdout (stream 1) or stderr (stream 2); sleeps until the host has taken it. Bytes or -errno. */
int64_t console_write(unsigned stream, const void *data, uint64_t bytes);
/* Raw bytes from the host's stdin that have arrived; 0: none now. *eof is set at the end of input. */
uint64_t console_read(void *to, uint64_t bytes, bool *eof);
extern struct wait_queue console_input_queue; /* woken when bytes or the end arrive */

/* kernel/virtio/fuse.c: one FUSE exchange on a virtio-fs device; sleeps. */
struct fuse_segment {
	void *data; /* kernel memory (direct map); need not be contiguous with the others */
	uint32_t bytes;
};
/* opcode and nodeid go into the header; `in` segments follow it; the reply's payload fills `out` in
 * order. Returns payload bytes received, or the server's -errno. */
int64_t fuse_request(unsigned device, uint32_t opcode, uint64_t nodeid, const struct fuse_segment *in,
		     unsigned in_count, const struct fuse_segment *out, unsigned out_count);

#endif
