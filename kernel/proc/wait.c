/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/proc/wait.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"

void wait_queue_init(struct wait_queue *queue) { list_init(&queue->waiters); }

static void waiter_wake_default(struct waiter *waiter, uint32_t events)
{
	(void)events;
	thread_wake(waiter->thread);
}

void waiter_init(struct waiter *waiter)
{
	*waiter = (struct waiter){.thread = current, .wake = waiter_wake_default};
	list_init(&waiter->node);
}

/* Queues in zeroed memory are as good as initialised ones. */
static bool wait_queue_unused(const struct wait_queue *queue) { return queue->waiters.next == NULL; }

void wait_add(struct wait_queue *queue, struct waiter *waiter)
{
	if (wait_queue_unused(queue))
		wait_queue_init(queue);
	list_add_tail(&queue->waiters, &waiter->node);
}

void wait_remove(struct waiter *waiter) { list_remove(&waiter->node); }

unsigned wait_wake(struct wait_queue *queue, uint32_t events, unsigned limit)
{
	unsigned count = 0, exclusive = 0;

	if (wait_queue_unused(queue))
		return 0;
	list_for_each_safe(node, &queue->waiters)
	{
		struct waiter *waiter = list_entry(node, struct waiter, node);
		/* One that has been woken and has not run yet has its event: the next one is for others. */
		if (waiter->exclusive && limit > 0 && (waiter->woken || exclusive == limit))
			continue;
		waiter->woken = true;
		waiter->wake(waiter, events);
		count++;
		if (waiter->exclusive)
			exclusive++;
	}
	return count;
}

static void sleep_timer_fire(struct timer *timer)
{
	struct thread *thread = container_of(timer, struct thread, sleep_timer);

	thread->timed_out = true;
	thread_wake(thread);
}

int wait_sleep(struct waiter *waiter, uint64_t deadline_ns, bool interruptible)
{
	struct thread *thread = current;
	int result = 0;

	thread->timed_out = false;
	while (!waiter->woken) {
		if (interruptible && ((thread->work & THREAD_WORK_EXIT) != 0 || signal_pending(thread))) {
			/* The way out must look at signals: it is what turns the result into EINTR or a restart. */
			thread->work |= THREAD_WORK_SIGNAL;
			result = -EINTR;
			break;
		}
		if (thread->timed_out || (deadline_ns != WAIT_FOREVER && clock_monotonic() >= deadline_ns)) {
			result = -ETIMEDOUT;
			break;
		}
		if (deadline_ns != WAIT_FOREVER && !thread->sleep_timer.queued) {
			thread->sleep_timer.fire = sleep_timer_fire;
			timer_start(&thread->sleep_timer, deadline_ns);
		}
		thread->interruptible = interruptible;
		thread->state = THREAD_SLEEPING;
		sched_block();
	}
	timer_cancel(&thread->sleep_timer);
	thread->interruptible = false;
	return result;
}

void mutex_init(struct mutex *mutex)
{
	mutex->owner = NULL;
	wait_queue_init(&mutex->queue);
}

void mutex_lock(struct mutex *mutex)
{
	kassert(mutex->owner != current);
	while (mutex->owner != NULL) {
		struct waiter waiter;
		waiter_init(&waiter);
		waiter.exclusive = true;
		wait_add(&mutex->queue, &waiter);
		wait_sleep(&waiter, WAIT_FOREVER, false);
		wait_remove(&waiter);
	}
	mutex->owner = current;
}

void mutex_unlock(struct mutex *mutex)
{
	mutex->owner = NULL;
	wait_wake(&mutex->queue, 0, 1);
}
