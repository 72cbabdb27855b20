/* SPDX-License-Identifier: Apache-2.0 */
/* Timers on CPU time: looked at when a vCPU that runs the process has an interrupt, which
 * sched_arm() asks for in time. */
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"

void cpu_timer_start(struct process *process, struct cpu_timer *timer, uint64_t next_ns)
{
	cpu_timer_cancel(timer);
	timer->next_ns = next_ns;
	list_add_tail(&process->cpu_timers, &timer->node);
	/* All its running threads must arm an interrupt for it. */
	list_for_each(node, &process->threads)
	{
		struct thread *thread = list_entry(node, struct thread, process_node);
		thread->work |= THREAD_WORK_TIMER;
		sched_kick_thread(thread);
	}
}

bool cpu_timer_cancel(struct cpu_timer *timer)
{
	if (timer->node.next == NULL || list_empty(&timer->node))
		return false;
	list_remove(&timer->node);
	return true;
}

static uint64_t cpu_timer_used(const struct process *process, const struct cpu_timer *timer)
{
	return timer->thread != NULL ? thread_cpu_ns(timer->thread) : process_cpu_ns(process);
}

void cpu_timers_check(struct process *process)
{
	list_for_each_safe(node, &process->cpu_timers)
	{
		struct cpu_timer *timer = list_entry(node, struct cpu_timer, node);
		if (cpu_timer_used(process, timer) < timer->next_ns)
			continue;
		list_remove(node);
		timer->fire(timer);
	}
}

uint64_t cpu_timers_next(struct process *process)
{
	uint64_t now = clock_monotonic(), next = UINT64_MAX;

	list_for_each(node, &process->cpu_timers)
	{
		struct cpu_timer *timer = list_entry(node, struct cpu_timer, node);
		if (timer->thread != NULL && timer->thread != current)
			continue; /* does not run here */
		uint64_t used = cpu_timer_used(process, timer);
		next = min_u64(next, now + (timer->next_ns > used ? timer->next_ns - used : 0));
	}
	return next;
}
