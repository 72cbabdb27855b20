/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for several files at once: poll, select and their kind. kernel/fs/poll.c */
#ifndef NUCLEO_FS_POLL_H
#define NUCLEO_FS_POLL_H

#include <linux/eventpoll.h>

#include "kernel/fs/file.h"

/* What a file without an operation of its own says. */
#define POLL_DEFAULT (EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM)

static inline uint32_t file_poll(struct file *file, struct poll_table *table)
{
	return file->ops != NULL && file->ops->poll != NULL ? file->ops->poll(file, table) : POLL_DEFAULT;
}

#define POLL_WAITERS_INLINE 4u

struct poll_waiters_more;
/* One sleep on any number of wait queues. On the stack of the waiting thread. */
struct poll_waiters {
	struct poll_table table;
	struct waiter main; /* in no queue: the others wake it */
	unsigned used;
	bool failed; /* no memory for a waiter: the sleep must be short */
	struct poll_waiters_more *more;
	struct waiter waiters[POLL_WAITERS_INLINE];
};
void poll_waiters_init(struct poll_waiters *waiters);
void poll_waiters_fini(struct poll_waiters *waiters);
/* Until one of them is woken; as wait_sleep(). */
int poll_waiters_sleep(struct poll_waiters *waiters, uint64_t deadline_ns);

#endif
