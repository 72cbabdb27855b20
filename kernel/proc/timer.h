/* SPDX-License-Identifier: Apache-2.0 */
/* Timers: a function called at a time of the guest's CLOCK_MONOTONIC. kernel/proc/timer.c */
#ifndef NUCLEO_PROC_TIMER_H
#define NUCLEO_PROC_TIMER_H

#include "kernel/kernel.h"

/* Lives in the object that it belongs to; the fields are the queue's (a pairing heap). */
struct timer {
	uint64_t deadline_ns;
	/* Called with the kernel lock, outside of any thread's own work: may not sleep. The timer is not
	 * queued any more and may be started again, or its memory freed. */
	void (*fire)(struct timer *timer);
	struct timer *child, *next, *previous; /* previous: left sibling, or parent of a first child */
	bool queued;
};

void timer_init(struct timer *timer, void (*fire)(struct timer *timer));
/* Fires at deadline_ns, or as soon as timers are next looked at if that has passed; moves it if it is
 * queued already. WAIT_FOREVER is the same as timer_cancel(). */
void timer_start(struct timer *timer, uint64_t deadline_ns);
/* True if it was queued. Harmless on a timer that is not. */
bool timer_cancel(struct timer *timer);
/* The earliest deadline, UINT64_MAX: none. */
uint64_t timers_next(void);
/* Fires what is due (scheduler and idle loop). */
void timers_run(void);
/* The scheduler's: called when a timer was started, so that the vCPU arms its interrupt in time. */
void timers_changed(void);

#endif
