/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/proc/posix_timer.h"
#include "kernel/mm/page.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/signal.h"

struct posix_timer {
	struct list node; /* process->posix_timers */
	struct process *process;
	int id, notify, signal;
	struct thread *target; /* SIGEV_THREAD_ID; NULL once it has ended */
	int32_t clock;
	bool cpu_clock;
	uint64_t value;                /* sigev_value */
	uint64_t next_ns, interval_ns; /* of the timer's clock, or CLOCK_MONOTONIC for wall time; next 0: disarmed */
	unsigned missed;               /* expirations since the signal was queued */
	int overrun;                   /* of the signal delivered last */
	struct timer timer;
	struct cpu_timer cpu_timer;
};

#define POSIX_TIMERS_MAX 4096

static uint64_t posix_timer_now(const struct posix_timer *timer)
{
	uint64_t now = 0;

	if (!timer->cpu_clock)
		return clock_monotonic();
	/* Not clock_read(): timers fire when other processes are current, too. */
	now = timer->cpu_timer.thread != NULL ? thread_cpu_ns(timer->cpu_timer.thread) : process_cpu_ns(timer->process);
	return now;
}

/* An interval shorter than this would leave no time for anything else; expirations are counted all the same. */
#define EXPIRY_DISTANCE_NS 100000u

static void posix_timer_arm_after(struct posix_timer *timer, uint64_t earliest_ns)
{
	uint64_t next = max_u64(timer->next_ns, earliest_ns);

	if (timer->cpu_clock)
		cpu_timer_start(timer->process, &timer->cpu_timer, next);
	else
		timer_start(&timer->timer, next);
}

static void posix_timer_disarm(struct posix_timer *timer)
{
	timer->next_ns = 0;
	timer_cancel(&timer->timer);
	cpu_timer_cancel(&timer->cpu_timer);
}

/* The timer's signal if it is pending. */
static struct pending_signal *posix_timer_pending(const struct posix_timer *timer, struct signal_queue **queue)
{
	*queue = timer->target != NULL ? &timer->target->signals : &timer->process->signals;
	list_for_each(node, &(*queue)->queue)
	{
		struct pending_signal *pending = list_entry(node, struct pending_signal, node);
		if (pending->info.si_code == SI_TIMER && pending->info.si_tid == timer->id)
			return pending;
	}
	return NULL;
}

static void posix_timer_send(struct posix_timer *timer, unsigned expirations)
{
	struct signal_queue *queue;
	siginfo_t info;

	if (timer->notify == SIGEV_NONE || (timer->notify == SIGEV_THREAD_ID && timer->target == NULL))
		return;
	if (posix_timer_pending(timer, &queue) != NULL) {
		timer->missed += expirations;
		return;
	}
	timer->missed = expirations - 1;
	memset(&info, 0, sizeof(info));
	info.si_signo = timer->signal;
	info.si_code = SI_TIMER;
	info.si_tid = timer->id;
	info.si_value.sival_ptr = (void *)timer->value;
	if (timer->target != NULL)
		signal_send_thread(timer->target, timer->signal, &info);
	else
		signal_send_process(timer->process, timer->signal, &info);
}

static void posix_timer_expire(struct posix_timer *timer)
{
	unsigned expirations = 1;

	if (timer->interval_ns != 0) {
		uint64_t now = posix_timer_now(timer);
		uint64_t more = now > timer->next_ns ? (now - timer->next_ns) / timer->interval_ns : 0;
		expirations += (unsigned)min_u64(more, INT32_MAX - 1);
		timer->next_ns += (more + 1) * timer->interval_ns;
		posix_timer_arm_after(timer, now + EXPIRY_DISTANCE_NS);
	} else {
		timer->next_ns = 0;
	}
	posix_timer_send(timer, expirations);
}

static void posix_timer_fire(struct timer *timer)
{
	posix_timer_expire(container_of(timer, struct posix_timer, timer));
}

static void posix_timer_fire_cpu(struct cpu_timer *timer)
{
	posix_timer_expire(container_of(timer, struct posix_timer, cpu_timer));
}

void posix_timer_signal_taken(siginfo_t *info)
{
	struct posix_timer *timer = posix_timer_find(info->si_tid);

	if (timer == NULL)
		return;
	timer->overrun = (int)min_u64(timer->missed, INT32_MAX);
	timer->missed = 0;
	info->si_overrun = timer->overrun;
}

static int posix_timer_clock(struct posix_timer *timer, int32_t clock)
{
	uint64_t now;

	if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
		return -EOPNOTSUPP;
	if (clock_read(clock, &now) != 0)
		return -EINVAL;
	timer->clock = clock;
	timer->cpu_clock = clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID || clock < 0;
	if (clock == CLOCK_THREAD_CPUTIME_ID || (clock < 0 && (clock & 4) != 0 && clock_cpu_id(clock) == 0))
		timer->cpu_timer.thread = current;
	else if (clock < 0 && (clock & 4) != 0)
		timer->cpu_timer.thread = thread_find(clock_cpu_id(clock));
	return 0;
}

int posix_timer_new(int32_t clock, int notify, int signal, struct thread *target, uint64_t value,
		    struct posix_timer **result)
{
	struct process *process = current->process;
	struct posix_timer *timer;

	if (process->posix_timer_next >= POSIX_TIMERS_MAX * 256)
		return -EAGAIN;
	timer = kzalloc(sizeof(*timer));
	if (timer == NULL)
		return -EAGAIN;
	timer_init(&timer->timer, posix_timer_fire);
	timer->cpu_timer.fire = posix_timer_fire_cpu;
	int error = posix_timer_clock(timer, clock);
	if (error != 0) {
		kfree(timer);
		return error;
	}
	timer->process = process;
	timer->id = process->posix_timer_next++;
	timer->notify = notify;
	timer->signal = signal;
	timer->target = target;
	timer->value = value;
	list_add_tail(&process->posix_timers, &timer->node);
	*result = timer;
	return 0;
}

struct posix_timer *posix_timer_find(int id)
{
	list_for_each(node, &current->process->posix_timers)
	{
		struct posix_timer *timer = list_entry(node, struct posix_timer, node);
		if (timer->id == id)
			return timer;
	}
	return NULL;
}

/* A signal that is pending still will not find its timer any more: it goes with it, as on Linux. */
static void posix_timer_forget_signal(struct posix_timer *timer)
{
	struct signal_queue *queue;
	struct pending_signal *pending = posix_timer_pending(timer, &queue);

	if (pending == NULL)
		return;
	list_remove(&pending->node);
	queue->count--;
	uint64_t bit = signal_bit(pending->info.si_signo);
	kfree(pending);
	list_for_each(node, &queue->queue)
	{
		if (signal_bit(list_entry(node, struct pending_signal, node)->info.si_signo) == bit)
			return;
	}
	queue->set &= ~bit;
}

void posix_timer_delete(struct posix_timer *timer)
{
	posix_timer_disarm(timer);
	posix_timer_forget_signal(timer);
	list_remove(&timer->node);
	kfree(timer);
}

int posix_timer_id(const struct posix_timer *timer) { return timer->id; }

void posix_timer_set_value(struct posix_timer *timer, uint64_t value) { timer->value = value; }

int posix_timer_overrun(const struct posix_timer *timer) { return timer->overrun; }

void posix_timer_get(struct posix_timer *timer, uint64_t *left_ns, uint64_t *interval_ns)
{
	uint64_t now = posix_timer_now(timer);

	*interval_ns = timer->interval_ns;
	*left_ns = timer->next_ns == 0 ? 0 : timer->next_ns > now ? timer->next_ns - now : 1;
}

void posix_timer_set(struct posix_timer *timer, bool absolute, uint64_t first_ns, uint64_t interval_ns)
{
	posix_timer_disarm(timer);
	posix_timer_forget_signal(timer);
	timer->interval_ns = interval_ns;
	timer->overrun = 0;
	timer->missed = 0;
	if (first_ns == 0)
		return;
	bool realtime =
	    timer->clock == CLOCK_REALTIME || timer->clock == CLOCK_TAI || timer->clock == CLOCK_REALTIME_ALARM;
	if (!absolute) {
		if (add_overflows(posix_timer_now(timer), first_ns, &timer->next_ns))
			timer->next_ns = UINT64_MAX - 1;
	} else {
		timer->next_ns = max_u64(realtime ? clock_realtime_to_monotonic(first_ns) : first_ns, 1);
	}
	posix_timer_arm_after(timer, 0);
}

/* A timer on the CPU time of a thread that ends stands still; one that signals it has no target. */
void posix_timers_thread_exit(struct thread *thread)
{
	list_for_each(node, &thread->process->posix_timers)
	{
		struct posix_timer *timer = list_entry(node, struct posix_timer, node);
		if (timer->cpu_timer.thread == thread) {
			cpu_timer_cancel(&timer->cpu_timer);
			timer->cpu_timer.thread = NULL;
			timer->next_ns = 0;
		}
		if (timer->target == thread)
			timer->target = NULL;
	}
}

void posix_timers_fini(struct process *process)
{
	list_for_each_safe(node, &process->posix_timers) posix_timer_delete(list_entry(node, struct posix_timer, node));
}
