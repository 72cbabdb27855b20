/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping until something happens. */
#ifndef NUCLEO_PROC_WAIT_H
#define NUCLEO_PROC_WAIT_H

#include "kernel/kernel.h"

#define WAIT_FOREVER UINT64_MAX

struct wait_queue {
	struct list waiters;
};

/* One waiter. wake is called by wait_wake() with the lock held; the default one makes the thread run.
 * Others (epoll) may do what they like but sleep; the waiter stays queued until wait_remove(). */
struct waiter {
	struct list node;
	struct thread *thread;
	void (*wake)(struct waiter *waiter, uint32_t events);
	void *context;
	bool exclusive; /* wait_wake() with a limit counts these */
	bool woken;
};

void wait_queue_init(struct wait_queue *queue);
void waiter_init(struct waiter *waiter); /* for the current thread, default wake */
void wait_add(struct wait_queue *queue, struct waiter *waiter);
void wait_remove(struct waiter *waiter);
/* Wakes all waiters, or at most `limit` exclusive ones if limit > 0. events: EPOLL* bits that became
 * true, 0 if unknown. Returns the number woken. */
unsigned wait_wake(struct wait_queue *queue, uint32_t events, unsigned limit);

/* Sleeps until a waiter of this thread is woken (waiter->woken), the deadline (guest CLOCK_MONOTONIC,
 * ns) or, if interruptible, a deliverable signal or the thread's death. 0, -ETIMEDOUT, -EINTR. */
int wait_sleep(struct waiter *waiter, uint64_t deadline_ns, bool interruptible);

/* while (!condition) sleep; for conditions that wait_wake(queue) announces. Result as above. */
#define wait_until(queue, condition, deadline_ns, interruptible)                                                       \
	({                                                                                                             \
		int wait_result_ = 0;                                                                                  \
		while (!(condition)) {                                                                                 \
			struct waiter waiter_;                                                                         \
			waiter_init(&waiter_);                                                                         \
			wait_add((queue), &waiter_);                                                                   \
			wait_result_ = wait_sleep(&waiter_, (deadline_ns), (interruptible));                           \
			wait_remove(&waiter_);                                                                         \
			if (wait_result_ != 0)                                                                         \
				break;                                                                                 \
		}                                                                                                      \
		wait_result_;                                                                                          \
	})

/* A lock that may be held while sleeping. */
struct mutex {
	struct thread *owner;
	struct wait_queue queue;
};
void mutex_init(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

#endif
