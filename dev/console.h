/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console (virtio 1.2, 5.3) with VIRTIO_CONSOLE_F_SIZE. Queues: 0 receive (stdin), 1 transmit
 * (stdout) as the specification has them; lampo adds 2: transmit of the separate standard error
 * stream. (With F_MULTIPORT queue 2 would be the control queue; that feature is not offered, so a
 * standard driver uses queues 0 and 1 only.)
 *
 * Output never gets lost: a chain is returned only when all of it was written, so a reader that stops
 * stops the guest, and the monitor buffers nothing. End of input: a receive chain returned with
 * length 0, once. A closed reader (EPIPE), a full disk: chains are returned with the errno as their
 * length, which lampo's kernel passes on to the program and others ignore (virtio 1.2, 5.3.6), and their bytes are
 * counted as dropped; the process ignores SIGPIPE. Host calls: readv writev close.
 */
#ifndef LAMPO_DEV_CONSOLE_H
#define LAMPO_DEV_CONSOLE_H

#include "dev/virtio_device.h"

/* Host descriptors, non-blocking where their kind can block; -1: absent (input at end, output
 * dropped). Owned by the device from now on. */
struct console_config {
	int in_fd, out_fd, err_fd;
	uint16_t columns, rows; /* 0: unknown */
};

int console_new(struct virtio_device **device, const struct console_config *config, const struct guest_memory *memory,
		const struct virtio_host *host);
/* New terminal size: configuration interrupt. Takes the lock. */
void console_resize(struct virtio_device *device, uint16_t columns, uint16_t rows);
/* Whether all output taken from the guest has been written; for the end of the VM. Takes the lock. */
bool console_drained(struct virtio_device *device);

#endif
