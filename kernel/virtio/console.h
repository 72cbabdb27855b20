/* SPDX-License-Identifier: Apache-2.0 */
/* What the terminal layer (kernel/fs/tty.c) needs of the console beyond kernel/virtio/virtio.h. */
#ifndef NUCLEO_VIRTIO_CONSOLE_H
#define NUCLEO_VIRTIO_CONSOLE_H

#include "kernel/fs/file.h"
#include "kernel/virtio/virtio.h"

/* A driver's start and its device's event; device: index into boot_info->devices. */
int console_init(unsigned device);
void console_on_event(unsigned device);
int rng_init(unsigned device);
void rng_on_event(unsigned device);

/* Writes from a buffer to stream 1 or 2. What the device has taken counts as written, even if the host's
 * reader has not got it yet: at most 64 KiB are on their way. Bytes, -EAGAIN (nonblock), -EPIPE or another
 * errno of the host (nobody reads any more, the disk is full), -EFAULT, -ERESTARTSYS. Sleeps. */
int64_t console_write_buffer(unsigned stream, const struct io_buffer *from, uint64_t bytes, bool nonblock);
/* The same from kernel memory without ever sleeping: bytes taken, perhaps 0. */
uint64_t console_write_try(unsigned stream, const void *data, uint64_t bytes);
bool console_writable(unsigned stream);
struct wait_queue *console_output_queue(unsigned stream); /* woken when it becomes writable */
bool console_output_closed(unsigned stream);

/* Asks the host for input if there is none; true: bytes or the end are there. Does not sleep. */
bool console_readable(void);
uint64_t console_available(void);
bool console_at_end(void);
/* Input into a program's or the kernel's buffer: bytes, 0 at the end or if there is none now, -EFAULT. */
int64_t console_read_buffer(const struct io_buffer *to, uint64_t bytes);
/* Called in the device's event, when input has arrived; for the line discipline. May be NULL. */
extern void (*console_input_hook)(void);

#endif
