/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits and use: getrlimit(2), getrusage(2). */
#include <linux/resource.h>

#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

static int limit_set(struct process *process, unsigned resource, const struct rlimit *limit)
{
	struct rlimit *old = &process->limits[resource];

	if (limit->rlim_cur > limit->rlim_max)
		return -EINVAL;
	if (limit->rlim_max > old->rlim_max &&
	    (current->process->credentials.cap_effective >> CAP_SYS_RESOURCE & 1) == 0)
		return -EPERM;
	if (resource == RLIMIT_NOFILE && limit->rlim_max > 1048576)
		return -EPERM;
	*old = *limit;
	if (resource == RLIMIT_STACK && process->mm != NULL)
		process->mm->stack_limit = limit->rlim_cur;
	return 0;
}

static int64_t limit_exchange(int pid, unsigned resource, uint64_t new_va, uint64_t old_va)
{
	struct process *process = pid == 0 ? current->process : process_find(pid);
	struct rlimit new, old;

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	if (new_va != 0 && user_get(&new, new_va) != 0)
		return -EFAULT;
	if (process == NULL)
		return -ESRCH;
	old = process->limits[resource];
	int error = new_va != 0 ? limit_set(process, resource, &new) : 0;
	if (error == 0 && old_va != 0)
		error = user_put(old_va, &old);
	return error;
}

SYSCALL(prlimit64) { return limit_exchange((int)args->arg[0], (uint32_t)args->arg[1], args->arg[2], args->arg[3]); }

SYSCALL(getrlimit)
{
	struct rlimit limit;

	if ((uint32_t)args->arg[0] >= RLIM_NLIMITS)
		return -EINVAL;
	limit = current->process->limits[(uint32_t)args->arg[0]];
	return user_put(args->arg[1], &limit);
}

SYSCALL(setrlimit)
{
	if (args->arg[1] == 0)
		return -EFAULT;
	return limit_exchange(0, (uint32_t)args->arg[0], args->arg[1], 0);
}

static struct __kernel_old_timeval timeval_of(uint64_t ns)
{
	return (struct __kernel_old_timeval){(int64_t)(ns / NS_PER_SECOND), (int64_t)(ns % NS_PER_SECOND / 1000)};
}

SYSCALL(getrusage)
{
	struct process *process = current->process;
	struct {
		struct __kernel_old_timeval user, system;
		int64_t maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv, nsignals,
		    nvcsw, nivcsw;
	} usage;
	_Static_assert(sizeof(usage) == sizeof(struct rusage), "Linux's layout");

	memset(&usage, 0, sizeof(usage));
	switch ((int)args->arg[0]) {
	case RUSAGE_SELF:
		usage.user = timeval_of(process_cpu_ns(process));
		usage.nvcsw = (int64_t)process->context_switches;
		list_for_each(node, &process->threads) usage.nvcsw +=
		    (int64_t)list_entry(node, struct thread, process_node)->context_switches;
		break;
	case RUSAGE_THREAD:
		usage.user = timeval_of(thread_cpu_ns(current));
		usage.nvcsw = (int64_t)current->context_switches;
		break;
	case RUSAGE_CHILDREN:
		usage.user = timeval_of(process->child_cpu_ns);
		return user_put(args->arg[1], &usage);
	default:
		return -EINVAL;
	}
	usage.maxrss = (int64_t)(process->mm->resident_pages * (PAGE_SIZE / 1024));
	usage.minflt = (int64_t)(process->mm->faults - process->mm->faults_major);
	usage.majflt = (int64_t)process->mm->faults_major;
	return user_put(args->arg[1], &usage);
}
