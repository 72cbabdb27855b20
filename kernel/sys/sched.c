/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduling: sched(7). */
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>

#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define RT_PRIORITY_MAX 99
#define NICE_MIN (-20)
#define NICE_MAX 19

/* 0: the caller. NULL: ESRCH. */
static struct thread *sched_target(int tid)
{
	if (tid == 0 || tid == current->tid)
		return current;
	struct thread *thread = thread_find(tid);
	if (thread != NULL)
		return thread;
	struct process *process = process_find(tid);
	return process != NULL ? process->leader : NULL;
}

static bool may_schedule(const struct thread *target)
{
	const struct credentials *from = &current->process->credentials, *to = &target->process->credentials;

	return target->process == current->process || from->euid == to->uid || from->euid == to->euid ||
	       (from->cap_effective >> CAP_SYS_NICE & 1) != 0;
}

SYSCALL(sched_yield)
{
	SYSCALL_UNUSED_ARGS;
	sched_yield_kernel();
	return 0;
}

/* ---- affinity ---- */

static uint64_t cpus_all(void) { return boot_info->cpu_count >= 64 ? UINT64_MAX : (1ull << boot_info->cpu_count) - 1; }

SYSCALL(sched_setaffinity)
{
	struct thread *thread = sched_target((int)args->arg[0]);
	uint64_t mask = 0;

	if (user_read(&mask, args->arg[2], min_u64(args->arg[1], sizeof(mask))) != 0)
		return -EFAULT;
	if (thread == NULL)
		return -ESRCH;
	if (!may_schedule(thread))
		return -EPERM;
	if ((mask & cpus_all()) == 0)
		return -EINVAL;
	thread->affinity = mask & cpus_all();
	sched_changed(thread);
	return 0;
}

SYSCALL(sched_getaffinity)
{
	struct thread *thread = sched_target((int)args->arg[0]);
	uint64_t mask;

	if (args->arg[1] * 8 < boot_info->cpu_count || (args->arg[1] & 7) != 0)
		return -EINVAL;
	if (thread == NULL)
		return -ESRCH;
	mask = thread->affinity & cpus_all();
	return user_put(args->arg[2], &mask) != 0 ? -EFAULT : (int64_t)sizeof(mask);
}

SYSCALL(getcpu)
{
	uint32_t cpu = arch_cpu_index(), node = 0;

	if (args->arg[0] != 0 && user_put(args->arg[0], &cpu) != 0)
		return -EFAULT;
	if (args->arg[1] != 0 && user_put(args->arg[1], &node) != 0)
		return -EFAULT;
	return 0;
}

/* ---- policies ---- */

static int priority_range(int policy, int *low, int *high)
{
	switch (policy) {
	case SCHED_FIFO:
	case SCHED_RR:
		*low = 1;
		*high = RT_PRIORITY_MAX;
		return 0;
	case SCHED_NORMAL:
	case SCHED_BATCH:
	case SCHED_IDLE:
		*low = *high = 0;
		return 0;
	default:
		return -EINVAL;
	}
}

SYSCALL(sched_get_priority_max)
{
	int low, high;

	if ((int)args->arg[0] == SCHED_DEADLINE)
		return 0;
	return priority_range((int)args->arg[0], &low, &high) != 0 ? -EINVAL : high;
}

SYSCALL(sched_get_priority_min)
{
	int low, high;

	if ((int)args->arg[0] == SCHED_DEADLINE)
		return 0;
	return priority_range((int)args->arg[0], &low, &high) != 0 ? -EINVAL : low;
}

static bool may_be_real_time(const struct thread *thread, int priority)
{
	return (current->process->credentials.cap_effective >> CAP_SYS_NICE & 1) != 0 ||
	       (uint64_t)priority <= thread->process->limits[RLIMIT_RTPRIO].rlim_cur;
}

static int set_policy(struct thread *thread, int policy, int priority, bool reset_on_fork)
{
	int low, high;

	if (priority_range(policy, &low, &high) != 0 || priority < low || priority > high)
		return -EINVAL;
	if (!may_schedule(thread) || (high > 0 && !may_be_real_time(thread, priority)))
		return -EPERM;
	thread->policy = policy;
	thread->rt_priority = priority;
	thread->reset_on_fork = reset_on_fork;
	sched_changed(thread);
	return 0;
}

SYSCALL(sched_setscheduler)
{
	struct thread *thread = sched_target((int)args->arg[0]);
	int policy = (int)args->arg[1];
	int32_t priority;

	if ((int)args->arg[0] < 0 || policy < 0 || args->arg[2] == 0)
		return -EINVAL;
	if (user_get(&priority, args->arg[2]) != 0)
		return -EFAULT;
	if (thread == NULL)
		return -ESRCH;
	return set_policy(thread, policy & ~SCHED_RESET_ON_FORK, priority, (policy & SCHED_RESET_ON_FORK) != 0);
}

SYSCALL(sched_setparam)
{
	struct thread *thread = sched_target((int)args->arg[0]);
	int32_t priority;

	if ((int)args->arg[0] < 0 || args->arg[1] == 0)
		return -EINVAL;
	if (user_get(&priority, args->arg[1]) != 0)
		return -EFAULT;
	if (thread == NULL)
		return -ESRCH;
	return set_policy(thread, thread->policy, priority, thread->reset_on_fork);
}

SYSCALL(sched_getscheduler)
{
	struct thread *thread = sched_target((int)args->arg[0]);

	if ((int)args->arg[0] < 0)
		return -EINVAL;
	if (thread == NULL)
		return -ESRCH;
	return thread->policy | (thread->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
}

SYSCALL(sched_getparam)
{
	struct thread *thread = sched_target((int)args->arg[0]);
	int32_t priority;

	if ((int)args->arg[0] < 0 || args->arg[1] == 0)
		return -EINVAL;
	if (thread == NULL)
		return -ESRCH;
	priority = thread->rt_priority;
	return user_put(args->arg[1], &priority);
}

SYSCALL(sched_rr_get_interval)
{
	struct thread *thread = sched_target((int)args->arg[0]);

	if ((int)args->arg[0] < 0)
		return -EINVAL;
	if (thread == NULL)
		return -ESRCH;
	return timespec_write(args->arg[1], thread->policy == SCHED_FIFO ? 0 : 4 * NS_PER_MS);
}

static int set_nice(struct thread *thread, int nice)
{
	const struct process *process = thread->process;

	nice = nice < NICE_MIN ? NICE_MIN : nice > NICE_MAX ? NICE_MAX : nice;
	if (!may_schedule(thread))
		return -EPERM;
	if (nice < thread->nice && (current->process->credentials.cap_effective >> CAP_SYS_NICE & 1) == 0 &&
	    (uint64_t)(20 - nice) > process->limits[RLIMIT_NICE].rlim_cur)
		return -EACCES;
	thread->nice = nice;
	return 0;
}

SYSCALL(sched_setattr)
{
	struct thread *thread = sched_target((int)args->arg[0]);
	struct sched_attr attr;
	uint32_t size;

	if ((int)args->arg[0] < 0 || args->arg[1] == 0 || (uint32_t)args->arg[2] != 0)
		return -EINVAL;
	if (user_get(&size, args->arg[1]) != 0)
		return -EFAULT;
	if (size == 0)
		size = SCHED_ATTR_SIZE_VER0;
	if (size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE)
		return -E2BIG;
	memset(&attr, 0, sizeof(attr));
	if (user_read(&attr, args->arg[1], min_u64(size, sizeof(attr))) != 0)
		return -EFAULT;
	if (thread == NULL)
		return -ESRCH;
	bool normal = attr.sched_policy == SCHED_NORMAL || attr.sched_policy == SCHED_BATCH;
	int error = set_policy(thread, (int)attr.sched_policy, (int)attr.sched_priority,
			       (attr.sched_flags & SCHED_FLAG_RESET_ON_FORK) != 0);
	return error == 0 && normal ? set_nice(thread, attr.sched_nice) : error;
}

SYSCALL(sched_getattr)
{
	struct thread *thread = sched_target((int)args->arg[0]);
	uint32_t size = (uint32_t)args->arg[2];
	struct sched_attr attr;

	if ((int)args->arg[0] < 0 || size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE || (uint32_t)args->arg[3] != 0)
		return -EINVAL;
	if (thread == NULL)
		return -ESRCH;
	memset(&attr, 0, sizeof(attr));
	attr.size = (uint32_t)min_u64(size, sizeof(attr));
	attr.sched_policy = (uint32_t)thread->policy;
	attr.sched_flags = thread->reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0;
	attr.sched_nice = thread->nice;
	attr.sched_priority = (uint32_t)thread->rt_priority;
	return user_write(args->arg[1], &attr, attr.size);
}

/* ---- nice ---- */

static bool priority_matches(const struct thread *thread, int which, int who)
{
	const struct process *process = thread->process;

	switch (which) {
	case PRIO_PROCESS:
		return thread->tid == (who == 0 ? current->tid : who) || process->pid == who;
	case PRIO_PGRP:
		return process->pgid == (who == 0 ? current->process->pgid : who);
	default:
		return process->credentials.uid == (who == 0 ? current->process->credentials.uid : (uint32_t)who);
	}
}

SYSCALL(getpriority)
{
	int which = (int)args->arg[0], who = (int)args->arg[1], best = 0;

	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	list_for_each(p, &processes)
	{
		list_for_each(t, &list_entry(p, struct process, node)->threads)
		{
			struct thread *thread = list_entry(t, struct thread, process_node);
			if (priority_matches(thread, which, who) && 20 - thread->nice > best)
				best = 20 - thread->nice;
		}
	}
	return best == 0 ? -ESRCH : best;
}

SYSCALL(setpriority)
{
	int which = (int)args->arg[0], who = (int)args->arg[1], error = -ESRCH;

	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	list_for_each(p, &processes)
	{
		list_for_each(t, &list_entry(p, struct process, node)->threads)
		{
			struct thread *thread = list_entry(t, struct thread, process_node);
			if (!priority_matches(thread, which, who))
				continue;
			int one = set_nice(thread, (int)args->arg[2]);
			error = one != 0 || error == -ESRCH ? one : error;
		}
	}
	return error;
}

SYSCALL(ioprio_get)
{
	SYSCALL_UNUSED_ARGS;
	return 2 << 13 | 4; /* best effort, the middle: what Linux gives who never asked */
}

SYSCALL(ioprio_set)
{
	SYSCALL_UNUSED_ARGS;
	return 0;
}
