/* SPDX-License-Identifier: Apache-2.0 */
/* poll, ppoll. The files behind the descriptors are held while the call sleeps. */
#include "kernel/fs/poll.h"

#include <asm/poll.h>

#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define MORE_WAITERS 32u
#define RETRY_NS (10 * NS_PER_MS)

struct poll_waiters_more {
	struct poll_waiters_more *next;
	unsigned used;
	struct waiter waiters[MORE_WAITERS];
};

static void poll_wake(struct waiter *waiter, uint32_t events)
{
	struct waiter *main = waiter->context;
	main->woken = true;
	main->wake(main, events);
}

static void poll_add(struct poll_table *table, struct wait_queue *queue)
{
	struct poll_waiters *waiters = container_of(table, struct poll_waiters, table);
	struct waiter *waiter;

	if (waiters->used < POLL_WAITERS_INLINE) {
		waiter = &waiters->waiters[waiters->used++];
	} else {
		if (waiters->more == NULL || waiters->more->used == MORE_WAITERS) {
			struct poll_waiters_more *more = kmalloc(sizeof(*more));
			if (more == NULL) {
				waiters->failed = true;
				return;
			}
			more->used = 0;
			more->next = waiters->more;
			waiters->more = more;
		}
		waiter = &waiters->more->waiters[waiters->more->used++];
	}
	waiter_init(waiter);
	waiter->wake = poll_wake;
	waiter->context = &waiters->main;
	wait_add(queue, waiter);
}

void poll_waiters_init(struct poll_waiters *waiters)
{
	waiters->table.add = poll_add;
	waiters->used = 0;
	waiters->failed = false;
	waiters->more = NULL;
	waiter_init(&waiters->main);
	list_init(&waiters->main.node);
}

void poll_waiters_fini(struct poll_waiters *waiters)
{
	for (unsigned i = 0; i < waiters->used; i++)
		wait_remove(&waiters->waiters[i]);
	while (waiters->more != NULL) {
		struct poll_waiters_more *more = waiters->more;
		for (unsigned i = 0; i < more->used; i++)
			wait_remove(&more->waiters[i]);
		waiters->more = more->next;
		kfree(more);
	}
	waiters->used = 0;
}

int poll_waiters_sleep(struct poll_waiters *waiters, uint64_t deadline_ns)
{
	uint64_t until = deadline_ns;
	/* What could not be waited for is looked at again soon. */
	if (waiters->failed)
		until = min_u64(deadline_ns, clock_monotonic() + RETRY_NS);
	int r = wait_sleep(&waiters->main, until, true);
	waiters->main.woken = false;
	return r == -ETIMEDOUT && until != deadline_ns ? 0 : r;
}

/* ---- poll ---- */

struct poll_set {
	struct pollfd *fds;
	struct file **files; /* NULL: not open, or fd < 0 */
	unsigned count;
};

static int poll_set_open(struct poll_set *set, uint64_t va, uint64_t count)
{
	if (count > current->process->limits[RLIMIT_NOFILE].rlim_cur || count > INT32_MAX)
		return -EINVAL;
	set->count = (unsigned)count;
	set->fds = kmalloc(count * sizeof(struct pollfd) + count * sizeof(struct file *));
	if (set->fds == NULL)
		return count == 0 ? 0 : -ENOMEM;
	set->files = (struct file **)(set->fds + count);
	if (user_read(set->fds, va, count * sizeof(struct pollfd)) != 0) {
		kfree(set->fds);
		return -EFAULT;
	}
	for (unsigned i = 0; i < count; i++)
		set->files[i] = set->fds[i].fd < 0 ? NULL : fd_get(set->fds[i].fd);
	return 0;
}

static void poll_set_close(struct poll_set *set)
{
	for (unsigned i = 0; i < set->count; i++)
		if (set->files[i] != NULL)
			file_put(set->files[i]);
	kfree(set->fds);
}

/* Looks at all files; those with events are counted. */
static unsigned poll_set_scan(struct poll_set *set, struct poll_table *table)
{
	unsigned ready = 0;
	for (unsigned i = 0; i < set->count; i++) {
		uint32_t events = 0;
		if (set->files[i] != NULL)
			events = file_poll(set->files[i], ready == 0 ? table : NULL) &
				 ((uint16_t)set->fds[i].events | (uint32_t)(POLLERR | POLLHUP));
		else if (set->fds[i].fd >= 0)
			events = POLLNVAL;
		set->fds[i].revents = (short)events;
		ready += events != 0;
	}
	return ready;
}

/* Ready descriptors, 0 after the deadline, -EINTR, ... */
static int64_t poll_wait_for(uint64_t va, uint64_t count, uint64_t deadline_ns)
{
	struct poll_set set;
	struct poll_waiters waiters;
	int64_t result = poll_set_open(&set, va, count);
	if (result != 0)
		return result;

	poll_waiters_init(&waiters);
	/* Most calls find something at once: no waiter is made for these. */
	result = poll_set_scan(&set, NULL);
	if (result == 0 && deadline_ns != 0) {
		result = poll_set_scan(&set, &waiters.table);
		while (result == 0) {
			int r = poll_waiters_sleep(&waiters, deadline_ns);
			result = poll_set_scan(&set, NULL);
			if (result == 0 && r != 0) {
				result = r == -ETIMEDOUT ? 0 : r;
				break;
			}
		}
	}
	poll_waiters_fini(&waiters);
	if (result >= 0) {
		for (unsigned i = 0; i < set.count; i++) {
			if (user_put(va + i * sizeof(struct pollfd) + offsetof(struct pollfd, revents),
				     &set.fds[i].revents) != 0) {
				result = -EFAULT;
				break;
			}
		}
	}
	poll_set_close(&set);
	return result;
}

/* Goes on after a signal without a handler (stop and continue). */
static int64_t poll_restart(void)
{
	struct thread *thread = current;
	int64_t result = poll_wait_for(thread->restart_args[0], thread->restart_args[1], thread->restart_deadline_ns);
	if (result != -EINTR)
		return result;
	thread->restart = poll_restart;
	return -ERESTART_RESTARTBLOCK;
}

SYSCALL(poll)
{
	int timeout_ms = (int)args->arg[2];
	uint64_t count = args->arg[1] & 0xffffffff;
	uint64_t deadline = timeout_ms < 0    ? WAIT_FOREVER
			    : timeout_ms == 0 ? 0
					      : clock_deadline((uint64_t)timeout_ms * NS_PER_MS);
	int64_t result = poll_wait_for(args->arg[0], count, deadline);
	if (result != -EINTR)
		return result;
	current->restart_args[0] = args->arg[0];
	current->restart_args[1] = count;
	current->restart_deadline_ns = deadline;
	current->restart = poll_restart;
	return -ERESTART_RESTARTBLOCK;
}

SYSCALL(ppoll)
{
	uint64_t deadline = WAIT_FOREVER, relative;
	int r;

	if (args->arg[2] != 0) {
		r = timespec_read(args->arg[2], &relative);
		if (r != 0)
			return r;
		deadline = relative == 0 ? 0 : clock_deadline(relative);
	}
	r = signal_temporary_mask(args->arg[3], args->arg[4]);
	if (r != 0)
		return r;
	int64_t result = poll_wait_for(args->arg[0], args->arg[1] & 0xffffffff, deadline);
	signal_temporary_mask_end(result == -EINTR);
	if (args->arg[2] != 0) {
		uint64_t now = clock_monotonic();
		/* As Linux: a place that cannot be written is no error. */
		timespec_write(args->arg[2], deadline > now ? deadline - now : 0);
	}
	return result == -EINTR ? -ERESTARTNOHAND : result;
}
