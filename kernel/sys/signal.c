/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: signal(7). */
#include "kernel/proc/signal.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/sys/syscall.h"

#define SIGSET_BYTES 8u

SYSCALL(rt_sigaction)
{
	int signal = (int)args->arg[0];
	struct process *process = current->process;
	struct k_sigaction action = {0}, old;

	if (args->arg[3] != SIGSET_BYTES || signal < 1 || signal > SIGNALS)
		return -EINVAL;
	if (args->arg[1] != 0) {
		if (user_get(&action, args->arg[1]) != 0)
			return -EFAULT;
		if (signal == SIGKILL || signal == SIGSTOP)
			return -EINVAL;
	}
	old = process->handlers->actions[signal];
	if (args->arg[1] != 0) {
		action.mask &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
		process->handlers->actions[signal] = action;
		if (signal_ignored(process, signal)) {
			signal_queue_flush(&process->signals, signal_bit(signal));
			list_for_each(node, &process->threads) signal_queue_flush(
			    &list_entry(node, struct thread, process_node)->signals, signal_bit(signal));
		}
	}
	if (args->arg[2] != 0 && user_put(args->arg[2], &old) != 0)
		return -EFAULT;
	return 0;
}

SYSCALL(rt_sigprocmask)
{
	uint64_t old = current->signal_mask, set;

	if (args->arg[3] != SIGSET_BYTES)
		return -EINVAL;
	if (args->arg[1] != 0) {
		if (user_get(&set, args->arg[1]) != 0)
			return -EFAULT;
		switch ((int)args->arg[0]) {
		case SIG_BLOCK:
			signal_set_mask(old | set);
			break;
		case SIG_UNBLOCK:
			signal_set_mask(old & ~set);
			break;
		case SIG_SETMASK:
			signal_set_mask(set);
			break;
		default:
			return -EINVAL;
		}
	}
	if (args->arg[2] != 0 && user_put(args->arg[2], &old) != 0)
		return -EFAULT;
	return 0;
}

SYSCALL(rt_sigpending)
{
	struct thread *thread = current;
	uint64_t set = (thread->signals.set | thread->process->signals.set) & thread->signal_mask;

	if (args->arg[1] > SIGSET_BYTES)
		return -EINVAL;
	return user_write(args->arg[0], &set, args->arg[1]);
}

SYSCALL(rt_sigreturn)
{
	if (signal_frame_pop(args->regs) != 0) {
		args->regs->orig_rax = UINT64_MAX;
		args->regs->full = 1;
		signal_fault(SIGSEGV, SI_KERNEL, 0, 0, 0);
		return 0;
	}
	return (int64_t)args->regs->rax;
}

SYSCALL(rt_sigsuspend)
{
	struct waiter waiter;

	int error = signal_temporary_mask(args->arg[0], args->arg[1]);
	if (error == 0 && args->arg[0] == 0)
		error = -EFAULT;
	if (error != 0)
		return error;
	waiter_init(&waiter);
	wait_sleep(&waiter, WAIT_FOREVER, true);
	signal_temporary_mask_end(true);
	return -ERESTARTNOHAND;
}

SYSCALL(pause)
{
	struct waiter waiter;

	SYSCALL_UNUSED_ARGS;
	waiter_init(&waiter);
	wait_sleep(&waiter, WAIT_FOREVER, true);
	return -ERESTARTNOHAND;
}

SYSCALL(rt_sigtimedwait)
{
	struct thread *thread = current;
	uint64_t set, deadline = WAIT_FOREVER, ns;
	siginfo_t info;
	int signal;

	if (args->arg[3] != SIGSET_BYTES)
		return -EINVAL;
	if (user_get(&set, args->arg[0]) != 0)
		return -EFAULT;
	if (args->arg[2] != 0) {
		int error = timespec_read(args->arg[2], &ns);
		if (error != 0)
			return error;
		deadline = clock_deadline(ns);
	}
	set &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
	int error =
	    wait_until(&thread->process->signal_wait, (signal = signal_dequeue(set, &info)) != 0, deadline, true);
	if (error == -ETIMEDOUT)
		return -EAGAIN;
	if (error != 0)
		return error;
	if (args->arg[1] != 0 && user_put(args->arg[1], &info) != 0)
		return -EFAULT;
	return signal;
}

SYSCALL(sigaltstack)
{
	struct thread *thread = current;
	stack_t new, old = thread->altstack;
	uint64_t rsp = args->regs->rsp;

	if (args->arg[0] != 0) {
		if (user_get(&new, args->arg[0]) != 0)
			return -EFAULT;
		if (signal_on_altstack(&thread->altstack, rsp))
			return -EPERM;
		uint32_t flags = (uint32_t) new.ss_flags & ~SS_AUTODISARM;
		if (flags != 0 && flags != SS_DISABLE && flags != SS_ONSTACK)
			return -EINVAL;
		if (flags == SS_DISABLE) {
			new.ss_sp = NULL;
			new.ss_size = 0;
		} else if (new.ss_size < MINSIGSTKSZ) {
			return -ENOMEM;
		}
		new.ss_flags &= ~SS_ONSTACK;
		thread->altstack = new;
	}
	if (args->arg[1] != 0) {
		if ((old.ss_flags & SS_DISABLE) == 0 && signal_on_altstack(&old, rsp))
			old.ss_flags |= SS_ONSTACK;
		if (user_put(args->arg[1], &old) != 0)
			return -EFAULT;
	}
	return 0;
}

/* ---- sending ---- */

static void info_of_sender(siginfo_t *info, int signal, int code)
{
	memset(info, 0, sizeof(*info));
	info->si_signo = signal;
	info->si_code = code;
	info->si_pid = current->process->pid;
	info->si_uid = current->process->credentials.uid;
}

/* kill(2): the superuser, or real or effective id equal to the target's real or saved one. */
static bool may_signal(const struct process *target, int signal)
{
	const struct credentials *from = &current->process->credentials, *to = &target->credentials;

	return target == current->process || (from->cap_effective >> CAP_KILL & 1) != 0 || from->euid == to->uid ||
	       from->euid == to->suid || from->uid == to->uid || from->uid == to->suid ||
	       (signal == SIGCONT && target->sid == current->process->sid);
}

static int kill_process(struct process *process, int signal)
{
	siginfo_t info;

	if (!may_signal(process, signal))
		return -EPERM;
	if (signal == 0)
		return 0;
	info_of_sender(&info, signal, SI_USER);
	return signal_send_process(process, signal, &info);
}

/* All processes of a group, or (pgid = -1) all but nucleo's own and the caller. */
static int64_t kill_many(int pgid, int signal)
{
	int error = -ESRCH;
	bool sent = false;

	list_for_each_safe(node, &processes)
	{
		struct process *process = list_entry(node, struct process, node);
		if (pgid == -1 ? process == current->process : process->pgid != pgid)
			continue;
		int one = kill_process(process, signal);
		if (one == 0)
			sent = true;
		else
			error = one;
	}
	return sent ? 0 : error;
}

SYSCALL(kill)
{
	int pid = (int)args->arg[0], signal = (int)args->arg[1];

	if (signal < 0 || signal > SIGNALS)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid <= 0)
		return kill_many(pid == 0 ? current->process->pgid : pid == -1 ? -1 : -pid, signal);
	struct process *process = process_find(pid);
	if (process == NULL) {
		struct thread *thread = thread_find(pid);
		process = thread != NULL ? thread->process : NULL;
	}
	if (process == NULL)
		return pid == 1 ? -EPERM : -ESRCH;
	return kill_process(process, signal);
}

static int64_t kill_thread(int tgid, int tid, int signal)
{
	struct thread *thread = tid == current->tid ? current : thread_find(tid);
	siginfo_t info;

	if (signal < 0 || signal > SIGNALS)
		return -EINVAL;
	if (thread == NULL || (tgid != -1 && thread->process->pid != tgid))
		return -ESRCH;
	if (!may_signal(thread->process, signal))
		return -EPERM;
	if (signal == 0)
		return 0;
	info_of_sender(&info, signal, SI_TKILL);
	return signal_send_thread(thread, signal, &info);
}

SYSCALL(tkill)
{
	if ((int)args->arg[0] <= 0)
		return -EINVAL;
	return kill_thread(-1, (int)args->arg[0], (int)args->arg[1]);
}

SYSCALL(tgkill)
{
	if ((int)args->arg[0] <= 0 || (int)args->arg[1] <= 0)
		return -EINVAL;
	return kill_thread((int)args->arg[0], (int)args->arg[1], (int)args->arg[2]);
}

/* Only the kernel may claim that a signal is its own, or kill's, to others. */
static int queue_info(siginfo_t *info, uint64_t va, int signal, bool self)
{
	if (user_get(info, va) != 0)
		return -EFAULT;
	info->si_signo = signal;
	if ((info->si_code >= 0 || info->si_code == SI_TKILL) && !self)
		return -EPERM;
	return 0;
}

SYSCALL(rt_sigqueueinfo)
{
	struct process *process = process_find((int)args->arg[0]);
	int signal = (int)args->arg[1];
	siginfo_t info;

	int error = queue_info(&info, args->arg[2], signal, process == current->process);
	if (error != 0)
		return error;
	if (signal < 0 || signal > SIGNALS)
		return -EINVAL;
	if (process == NULL)
		return -ESRCH;
	if (!may_signal(process, signal))
		return -EPERM;
	return signal == 0 ? 0 : signal_send_process(process, signal, &info);
}

SYSCALL(rt_tgsigqueueinfo)
{
	int tgid = (int)args->arg[0], tid = (int)args->arg[1], signal = (int)args->arg[2];
	struct thread *thread;
	siginfo_t info;

	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	thread = thread_find(tid);
	int error = queue_info(&info, args->arg[3], signal, thread != NULL && thread->process == current->process);
	if (error != 0)
		return error;
	if (signal < 0 || signal > SIGNALS)
		return -EINVAL;
	if (thread == NULL || thread->process->pid != tgid)
		return -ESRCH;
	if (!may_signal(thread->process, signal))
		return -EPERM;
	return signal == 0 ? 0 : signal_send_thread(thread, signal, &info);
}
