/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: waiting, prctl(2), arch_prctl(2), and what a program in its own VM may not do. */
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/securebits.h>
#include <linux/wait.h>

#include <asm/prctl.h>

#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

/* ---- waiting ---- */

/* struct rusage of a child: times are all that is kept of it. */
static int rusage_write(uint64_t va, uint64_t cpu_ns)
{
	int error = user_zero(va, sizeof(struct rusage));

	return error != 0 ? error : timeval_write(va, cpu_ns);
}

SYSCALL(wait4)
{
	int pid = (int)args->arg[0], options = (int)args->arg[2];
	struct wait_result result;

	if ((options & ~(int)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)) != 0)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	int error = process_wait(pid, options | WEXITED, &result);
	if (error != 0)
		return error;
	if (result.pid != 0 && args->arg[1] != 0 && user_put(args->arg[1], &result.status) != 0)
		return -EFAULT;
	if (result.pid != 0 && args->arg[3] != 0 && rusage_write(args->arg[3], result.cpu_ns) != 0)
		return -EFAULT;
	return result.pid;
}

static void wait_info(siginfo_t *info, const struct wait_result *result)
{
	int status = result->status;

	memset(info, 0, sizeof(*info));
	if (result->pid == 0)
		return;
	info->si_signo = SIGCHLD;
	info->si_pid = result->pid;
	info->si_uid = (uint32_t)result->uid;
	if (status == 0xffff) {
		info->si_code = CLD_CONTINUED;
		info->si_status = SIGCONT;
	} else if ((status & 0xff) == 0x7f) {
		info->si_code = CLD_STOPPED;
		info->si_status = status >> 8;
	} else if ((status & 0x7f) != 0) {
		info->si_code = CLD_KILLED;
		info->si_status = status & 0x7f;
	} else {
		info->si_code = CLD_EXITED;
		info->si_status = status >> 8;
	}
}

SYSCALL(waitid)
{
	int which = (int)args->arg[0], id = (int)args->arg[1], options = (int)args->arg[3], pid;
	struct wait_result result;
	siginfo_t info;

	if ((options & ~(int)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)) !=
		0 ||
	    (options & (WEXITED | WSTOPPED | WCONTINUED)) == 0)
		return -EINVAL;
	switch (which) {
	case P_ALL:
		pid = -1;
		break;
	case P_PID:
		if (id <= 0)
			return -EINVAL;
		pid = id;
		break;
	case P_PGID:
		if (id < 0)
			return -EINVAL;
		pid = -id;
		break;
	case P_PIDFD:
		return -EBADF;
	default:
		return -EINVAL;
	}
	int error = process_wait(pid, options, &result);
	if (error != 0)
		return error;
	wait_info(&info, &result);
	if (args->arg[2] != 0 && user_put(args->arg[2], &info) != 0)
		return -EFAULT;
	if (args->arg[4] != 0 && result.pid != 0 && rusage_write(args->arg[4], result.cpu_ns) != 0)
		return -EFAULT;
	return 0;
}

/* ---- prctl ---- */

static int64_t prctl_set_name(uint64_t va)
{
	struct thread *thread = current;
	char name[sizeof(thread->comm)];

	memset(name, 0, sizeof(name));
	int64_t length = user_string(name, va, sizeof(name));
	if (length == -EFAULT)
		return -EFAULT;
	name[sizeof(name) - 1] = '\0'; /* longer ones are cut */
	memcpy(thread->comm, name, sizeof(name));
	if (thread == thread->process->leader)
		memcpy(thread->process->comm, name, sizeof(name));
	return 0;
}

static int64_t prctl_bounding(uint64_t capability, bool drop)
{
	struct credentials *c = &current->process->credentials;

	if (capability > CAP_LAST_CAP)
		return -EINVAL;
	if (!drop)
		return (int64_t)(c->cap_bounding >> capability & 1);
	if ((c->cap_effective >> CAP_SETPCAP & 1) == 0)
		return -EPERM;
	c->cap_bounding &= ~(1ull << capability);
	return 0;
}

static int64_t prctl_ambient(uint64_t what, uint64_t capability)
{
	struct credentials *c = &current->process->credentials;
	uint64_t bit = 1ull << (capability & 63);

	if (what == PR_CAP_AMBIENT_CLEAR_ALL) {
		c->cap_ambient = 0;
		return 0;
	}
	if (capability > CAP_LAST_CAP)
		return -EINVAL;
	switch (what) {
	case PR_CAP_AMBIENT_IS_SET:
		return (c->cap_ambient & bit) != 0;
	case PR_CAP_AMBIENT_LOWER:
		c->cap_ambient &= ~bit;
		return 0;
	case PR_CAP_AMBIENT_RAISE:
		if ((c->cap_permitted & c->cap_inheritable & bit) == 0)
			return -EPERM;
		c->cap_ambient |= bit;
		return 0;
	default:
		return -EINVAL;
	}
}

/* What only concerns a process's own flags. -ENOSYS: not one of these. */
static int64_t prctl_flags(uint64_t option, uint64_t argument)
{
	struct process *process = current->process;

	switch (option) {
	case PR_SET_DUMPABLE:
		if (argument > 1)
			return -EINVAL;
		process->dumpable = argument != 0;
		return 0;
	case PR_GET_DUMPABLE:
		return process->dumpable;
	case PR_SET_NO_NEW_PRIVS:
		if (argument != 1)
			return -EINVAL;
		process->no_new_privs = true;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return process->no_new_privs;
	case PR_SET_KEEPCAPS:
		if (argument > 1)
			return -EINVAL;
		process->keep_caps = argument != 0;
		return 0;
	case PR_GET_KEEPCAPS:
		return process->keep_caps;
	case PR_SET_SECUREBITS:
		if ((process->credentials.cap_effective >> CAP_SETPCAP & 1) == 0)
			return -EPERM;
		process->securebits = (uint32_t)argument;
		return 0;
	case PR_GET_SECUREBITS:
		return process->securebits;
	case PR_SET_TIMERSLACK:
		current->timer_slack_ns = argument != 0 ? argument : 50000;
		return 0;
	case PR_GET_TIMERSLACK:
		return (int64_t)current->timer_slack_ns;
	case PR_SET_PDEATHSIG:
		if (argument > SIGNALS)
			return -EINVAL;
		process->parent_death_signal = (int)argument;
		return 0;
	case PR_SET_CHILD_SUBREAPER:
		process->child_subreaper = argument != 0;
		return 0;
	case PR_SET_PTRACER:
		return 0;
	default:
		return -ENOSYS;
	}
}

SYSCALL(prctl)
{
	uint64_t option = (uint32_t)args->arg[0], argument = args->arg[1];
	struct process *process = current->process;
	int32_t value;

	int64_t result = prctl_flags(option, argument);
	if (result != -ENOSYS)
		return result;
	switch (option) {
	case PR_SET_NAME:
		return prctl_set_name(argument);
	case PR_GET_NAME:
		return user_write(argument, current->comm, sizeof(current->comm));
	case PR_GET_PDEATHSIG:
		value = process->parent_death_signal;
		return user_put(argument, &value);
	case PR_GET_CHILD_SUBREAPER:
		value = process->child_subreaper;
		return user_put(argument, &value);
	case PR_GET_TID_ADDRESS:
		return user_put(argument, &current->clear_child_tid);
	case PR_CAPBSET_READ:
		return prctl_bounding(argument, false);
	case PR_CAPBSET_DROP:
		return prctl_bounding(argument, true);
	case PR_CAP_AMBIENT:
		return prctl_ambient(argument, args->arg[2]);
	case PR_GET_SECCOMP:
		return 0;
	case PR_GET_THP_DISABLE:
		return 0;
	case PR_SET_THP_DISABLE:
		return 0;
	default:
		return -EINVAL; /* PR_SET_VMA too, as on a kernel without names for anonymous memory */
	}
}

SYSCALL(arch_prctl)
{
	uint64_t base;

	switch ((uint32_t)args->arg[0]) {
	case ARCH_SET_FS:
		if (args->arg[1] >= USER_MAX)
			return -EPERM;
		arch_set_fs_base(current, args->arg[1]);
		return 0;
	case ARCH_GET_FS:
		base = current->fs_base;
		return user_put(args->arg[1], &base);
	case ARCH_GET_GS: /* what a program sees that never set it */
		base = 0;
		return user_put(args->arg[1], &base);
	default: /* ARCH_SET_GS too: GS belongs to nucleo. And CET's codes: there is none. */
		return -EINVAL;
	}
}

/* ---- small ones ---- */

SYSCALL(personality)
{
	struct process *process = current->process;
	uint32_t old = process->personality;

	if ((uint32_t)args->arg[0] != 0xffffffff)
		process->personality = (uint32_t)args->arg[0];
	return old;
}

SYSCALL(ptrace)
{
	SYSCALL_UNUSED_ARGS;
	return -EPERM;
}

SYSCALL(unshare) { return args->arg[0] == 0 ? 0 : -EPERM; }

SYSCALL(setns)
{
	SYSCALL_UNUSED_ARGS;
	return -EPERM;
}
