/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/event_loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/util.h"

#define EVENTS_AT_ONCE 8

int event_loop_init(struct event_loop *loop, struct err *err)
{
	*loop = (struct event_loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC), .lock = PTHREAD_MUTEX_INITIALIZER};
	for (unsigned i = 0; i < countof(loop->sources); i++)
		loop->sources[i].fd = -1;
	return loop->epoll_fd < 0 ? err_set(err, -errno, "cannot create the event loop") : 0;
}

static struct event_source *source_find(struct event_loop *loop, int fd)
{
	for (unsigned i = 0; i < countof(loop->sources); i++)
		if (loop->sources[i].fd == fd)
			return &loop->sources[i];
	return NULL;
}

static int watch_locked(struct event_loop *loop, const struct event_source *wanted)
{
	struct event_source *source = source_find(loop, wanted->fd);
	struct epoll_event event = {.events = wanted->events};
	if (wanted->events == 0) {
		if (source != NULL) {
			epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, wanted->fd, &event);
			source->fd = -1;
		}
		return 0;
	}
	int op = source != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (source == NULL && (source = source_find(loop, -1)) == NULL)
		return -ENOSPC;
	/* By number, not by address: a stale event finds a free slot, or a source that takes it for a
	 * spurious one. */
	event.data.u32 = (uint32_t)(source - loop->sources);
	if (epoll_ctl(loop->epoll_fd, op, wanted->fd, &event) < 0)
		return -errno;
	*source = *wanted;
	return 0;
}

int event_loop_watch(struct event_loop *loop, int fd, uint32_t events, void *context, void *object,
		     void (*ready)(void *context, void *object, int fd, uint32_t events))
{
	struct event_source wanted = {.fd = fd, .events = events, .context = context, .object = object, .ready = ready};
	pthread_mutex_lock(&loop->lock);
	int r = watch_locked(loop, &wanted);
	pthread_mutex_unlock(&loop->lock);
	return r;
}

void event_loop_run(struct event_loop *loop, unsigned (*tick)(void *context), void *context)
{
	unsigned wait_ms = EVENT_TICK_MS;
	for (;;) {
		struct epoll_event events[EVENTS_AT_ONCE];
		int n = epoll_wait(loop->epoll_fd, events, EVENTS_AT_ONCE, (int)wait_ms);
		for (int i = 0; i < n; i++) {
			pthread_mutex_lock(&loop->lock);
			struct event_source source = loop->sources[events[i].data.u32 % EVENT_SOURCES_MAX];
			pthread_mutex_unlock(&loop->lock);
			if (source.fd >= 0)
				source.ready(source.context, source.object, source.fd, events[i].events);
		}
		wait_ms = tick(context);
	}
}
