/* SPDX-License-Identifier: Apache-2.0 */
/* The device thread's epoll loop. Sources are few and live as long as the VM. */
#ifndef LAMPO_VMM_EVENT_LOOP_H
#define LAMPO_VMM_EVENT_LOOP_H

#include <pthread.h>
#include <stdint.h>

#include "base/host/err.h"

#define EVENT_SOURCES_MAX 32u
#define EVENT_TICK_MS 10000u

struct event_source {
	int fd; /* -1: slot is free */
	uint32_t events;
	void *context, *object;
	void (*ready)(void *context, void *object, int fd, uint32_t events);
};

struct event_loop {
	int epoll_fd;
	pthread_mutex_t lock; /* for the table */
	struct event_source sources[EVENT_SOURCES_MAX];
};

int event_loop_init(struct event_loop *loop, struct err *err);
/* Watches fd for `events` (EPOLLIN...), or for others than before; 0 ends it. ready() runs in the loop's
 * thread; a call that was already on its way may still come after the end. From any thread.
 * -EPERM: a kind of file that is always ready; -ENOSPC: too many sources. */
int event_loop_watch(struct event_loop *loop, int fd, uint32_t events, void *context, void *object,
		     void (*ready)(void *context, void *object, int fd, uint32_t events));
/* Calls tick(context) after each event as well, and when as many milliseconds have passed as it said the last
 * time, at first EVENT_TICK_MS. */
_Noreturn void event_loop_run(struct event_loop *loop, unsigned (*tick)(void *context), void *context);

#endif
