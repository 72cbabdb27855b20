/* SPDX-License-Identifier: Apache-2.0 */
/* The timer queue: a pairing heap, so that starting a timer, the commonest thing done, is constant
 * time, and no memory but the timers' own is needed. */
#include "kernel/proc/timer.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/wait.h"

static struct timer *timer_root;

/* Both are roots of heaps without siblings; either may be NULL. */
static struct timer *timer_meld(struct timer *a, struct timer *b)
{
	if (a == NULL)
		return b;
	if (b == NULL)
		return a;
	if (b->deadline_ns < a->deadline_ns) {
		struct timer *swap = a;
		a = b;
		b = swap;
	}
	b->previous = a;
	b->next = a->child;
	if (a->child != NULL)
		a->child->previous = b;
	a->child = b;
	return a;
}

/* Melds a list of siblings into one heap: pairs from the left, then all of those from the right. */
static struct timer *timer_meld_siblings(struct timer *first)
{
	struct timer *pairs = NULL;

	while (first != NULL) {
		struct timer *a = first, *b = a->next;
		first = b != NULL ? b->next : NULL;
		a->next = a->previous = NULL;
		if (b != NULL)
			b->next = b->previous = NULL;
		a = timer_meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	struct timer *root = NULL;
	while (pairs != NULL) {
		struct timer *next = pairs->next;
		pairs->next = NULL;
		root = timer_meld(root, pairs);
		pairs = next;
	}
	return root;
}

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
	*timer = (struct timer){.deadline_ns = WAIT_FOREVER, .fire = fire};
}

bool timer_cancel(struct timer *timer)
{
	if (!timer->queued)
		return false;
	struct timer *below = timer_meld_siblings(timer->child);
	if (timer == timer_root) {
		timer_root = below;
	} else {
		if (timer->previous->child == timer)
			timer->previous->child = timer->next;
		else
			timer->previous->next = timer->next;
		if (timer->next != NULL)
			timer->next->previous = timer->previous;
		timer_root = timer_meld(timer_root, below);
	}
	timer->child = timer->next = timer->previous = NULL;
	timer->queued = false;
	return true;
}

void timer_start(struct timer *timer, uint64_t deadline_ns)
{
	timer_cancel(timer);
	timer->deadline_ns = deadline_ns;
	if (deadline_ns == WAIT_FOREVER)
		return;
	timer->queued = true;
	timer_root = timer_meld(timer_root, timer);
	timers_changed();
}

uint64_t timers_next(void) { return timer_root != NULL ? timer_root->deadline_ns : UINT64_MAX; }

void timers_run(void)
{
	if (timer_root == NULL)
		return;
	uint64_t now = clock_monotonic();
	/* A timer that starts itself again in the past must not keep us here: `now` stays. */
	while (timer_root != NULL && timer_root->deadline_ns <= now) {
		struct timer *timer = timer_root;
		timer_cancel(timer);
		timer->fire(timer);
	}
}
