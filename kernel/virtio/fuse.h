/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NUCLEO_VIRTIO_FUSE_H
#define NUCLEO_VIRTIO_FUSE_H

#include <linux/fuse.h>

#include "kernel/arch.h"
#include "kernel/proc/process.h"

/* The server is to drop `lookups` references to the node (FUSE_BATCH_FORGET): sent with one of the next
 * requests. Never sleeps. */
void fuse_forget(unsigned device, uint64_t nodeid, uint64_t lookups);
void fuse_forget_flush(void); /* all of them now; sleeps */

struct fuse_statistics {
	uint64_t exchanges;
};
extern struct fuse_statistics fuse_statistics;

int fuse_init(unsigned device);
void fuse_on_event(unsigned device);

#endif
