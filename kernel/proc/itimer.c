/* SPDX-License-Identifier: Apache-2.0 */
/* Interval timers of a process: setitimer(2), alarm(2). */
#include "kernel/proc/itimer.h"
#include "kernel/proc/clock.h"

/* The next time after `now` on the timer's grid. */
static uint64_t itimer_advance(uint64_t next_ns, uint64_t interval_ns, uint64_t now)
{
	if (now < next_ns)
		return next_ns;
	return next_ns + ((now - next_ns) / interval_ns + 1) * interval_ns;
}

static void itimer_real_fire(struct timer *timer)
{
	struct process *process = container_of(timer, struct process, itimer_real);
	uint64_t interval = process->itimers[ITIMER_REAL].interval_ns;
	uint64_t next = interval != 0 ? itimer_advance(timer->deadline_ns, interval, clock_monotonic()) : 0;

	process->itimers[ITIMER_REAL].next_ns = next;
	/* A shorter interval would leave no time for anything else. */
	if (next != 0)
		timer_start(timer, max_u64(next, clock_monotonic() + 100000));
	signal_send_process(process, SIGALRM, NULL);
}

static void itimer_cpu_fire(struct process *process, int which, int signal)
{
	struct cpu_timer *timer = &process->itimer_cpu[which - ITIMER_VIRTUAL];
	uint64_t interval = process->itimers[which].interval_ns;
	uint64_t next = interval != 0 ? itimer_advance(timer->next_ns, interval, process_cpu_ns(process)) : 0;

	process->itimers[which].next_ns = next;
	if (next != 0)
		cpu_timer_start(process, timer, next);
	signal_send_process(process, signal, NULL);
}

static void itimer_virtual_fire(struct cpu_timer *timer)
{
	itimer_cpu_fire(container_of(timer, struct process, itimer_cpu[0]), ITIMER_VIRTUAL, SIGVTALRM);
}

static void itimer_prof_fire(struct cpu_timer *timer)
{
	itimer_cpu_fire(container_of(timer, struct process, itimer_cpu[1]), ITIMER_PROF, SIGPROF);
}

void itimers_init(struct process *process)
{
	timer_init(&process->itimer_real, itimer_real_fire);
	process->itimer_cpu[0] = (struct cpu_timer){.fire = itimer_virtual_fire};
	process->itimer_cpu[1] = (struct cpu_timer){.fire = itimer_prof_fire};
}

void itimers_fini(struct process *process)
{
	timer_cancel(&process->itimer_real);
	cpu_timer_cancel(&process->itimer_cpu[0]);
	cpu_timer_cancel(&process->itimer_cpu[1]);
}

static uint64_t itimer_now(struct process *process, int which)
{
	return which == ITIMER_REAL ? clock_monotonic() : process_cpu_ns(process);
}

void itimer_get(struct process *process, int which, uint64_t *left_ns, uint64_t *interval_ns)
{
	uint64_t next = process->itimers[which].next_ns, now = itimer_now(process, which);

	*interval_ns = process->itimers[which].interval_ns;
	/* One that is due but has not fired yet still runs: never 0. */
	*left_ns = next == 0 ? 0 : next > now ? next - now : 1000;
}

void itimer_set(struct process *process, int which, uint64_t first_ns, uint64_t interval_ns)
{
	uint64_t next = 0, now = itimer_now(process, which);

	if (first_ns != 0 && add_overflows(now, first_ns, &next))
		next = UINT64_MAX - 1;
	process->itimers[which].next_ns = next;
	process->itimers[which].interval_ns = interval_ns;
	if (which == ITIMER_REAL) {
		timer_start(&process->itimer_real, next != 0 ? next : WAIT_FOREVER);
		return;
	}
	struct cpu_timer *timer = &process->itimer_cpu[which - ITIMER_VIRTUAL];
	cpu_timer_cancel(timer);
	if (next != 0)
		cpu_timer_start(process, timer, next);
}
