/* SPDX-License-Identifier: Apache-2.0 */
/* The way out to the program: death, stops, signals with their restarts of system calls, the scheduler. */
#include "kernel/entry/patch.h"
#include "kernel/proc/signal.h"
#include "kernel/sys/strace.h"
#include "kernel/sys/syscall.h"

static void signal_stop(int signal)
{
	struct process *process = current->process;

	process->stopped = true;
	process->stop_reported = process->continue_reported = false;
	process->exit_status = signal << 8 | 0x7f;
	list_for_each(node, &process->threads)
	{
		struct thread *thread = list_entry(node, struct thread, process_node);
		thread->work |= THREAD_WORK_SIGNAL;
		if (thread->state == THREAD_SLEEPING && thread->interruptible)
			thread_wake(thread);
		else
			sched_kick_thread(thread);
	}
	signal_child_changed(process, CLD_STOPPED);
}

static void signal_default(int signal)
{
	struct process *process = current->process;

	if ((signal_bit(signal) & SIGNALS_STOP) == 0)
		process_exit(signal);
	/* Without a parent who could continue it the process group is an orphan: POSIX has the terminal's
	 * stop signals do nothing then. */
	if (signal == SIGSTOP || process->parent != NULL)
		signal_stop(signal);
}

static bool restartable(const struct regs *regs)
{
	int64_t result = (int64_t)regs->rax;

	return regs->orig_rax != UINT64_MAX && (result == -ERESTARTSYS || result == -ERESTARTNOINTR ||
						result == -ERESTARTNOHAND || result == -ERESTART_RESTARTBLOCK);
}

/* A handler will run: it returns into the call again, or behind it with EINTR. */
static void restart_after_handler(struct regs *regs, const struct k_sigaction *action)
{
	if (restartable(regs)) {
		int64_t result = (int64_t)regs->rax;
		bool again = result == -ERESTARTNOINTR || (result == -ERESTARTSYS && (action->flags & SA_RESTART) != 0);
		if (again) {
			regs->rip = patch_restart_rip(regs);
			regs->rax = regs->orig_rax;
		} else {
			regs->rax = (uint64_t)-EINTR;
		}
	}
	regs->orig_rax = UINT64_MAX;
}

/* No handler ran: the call goes on as if nothing had been. Done here instead of by way of the program,
 * so that it does not matter how the call came in. */
static void restart_now(struct regs *regs)
{
	struct thread *thread = current;

	if ((int64_t)regs->rax == -ERESTART_RESTARTBLOCK && thread->restart != NULL)
		regs->rax = (uint64_t)thread->restart();
	else
		syscall_dispatch(regs);
}

static void signal_handle(struct regs *regs, int signal, const siginfo_t *info)
{
	struct thread *thread = current;
	struct k_sigaction *shared = &thread->process->handlers->actions[signal];
	struct k_sigaction action = *shared;
	uint64_t mask = thread->restore_mask ? thread->saved_mask : thread->signal_mask;

	if ((action.flags & SA_RESETHAND) != 0)
		shared->handler = (uint64_t)SIG_DFL;
	restart_after_handler(regs, &action);
	if (signal_frame_push(regs, signal, &action, info, mask) != 0) {
		/* No stack for it: as if touching it had faulted. A SIGSEGV handler is of no use then. */
		if (signal == SIGSEGV)
			shared->handler = (uint64_t)SIG_DFL;
		signal_fault(SIGSEGV, SI_KERNEL, 0, 0, 0);
		return;
	}
	thread->restore_mask = false;
	uint64_t blocked = thread->signal_mask | action.mask;
	if ((action.flags & SA_NODEFER) == 0)
		blocked |= signal_bit(signal);
	signal_set_mask(blocked);
}

static void signal_work(struct regs *regs)
{
	struct thread *thread = current;
	struct process *process = thread->process;
	siginfo_t info;
	int signal;

	thread->work &= ~THREAD_WORK_SIGNAL;
	while (!process->stopped && (thread->work & THREAD_WORK_EXIT) == 0) {
		signal = ((thread->signals.set | process->signals.set) & signal_bit(SIGKILL)) != 0
			     ? SIGKILL
			     : signal_dequeue(~thread->signal_mask, &info);
		if (signal == 0)
			break;
		if (signal == SIGKILL)
			process_exit(SIGKILL);
		if (signal_ignored(process, signal))
			continue;
		strace_signal(signal, &info);
		if (process->handlers->actions[signal].handler == (uint64_t)SIG_DFL)
			signal_default(signal);
		else
			signal_handle(regs, signal, &info);
	}
	if (process->stopped || (thread->work & THREAD_WORK_EXIT) != 0)
		return; /* once it goes on, everything is looked at again */
	if (thread->restore_mask) {
		thread->restore_mask = false;
		signal_set_mask(thread->saved_mask);
	}
	if (restartable(regs))
		restart_now(regs);
}

void thread_work(struct regs *regs)
{
	struct thread *thread = current;
	struct process *process = thread->process;

	for (;;) {
		uint32_t work = __atomic_load_n(&thread->work, __ATOMIC_RELAXED);
		if ((work & THREAD_WORK_EXIT) != 0)
			thread_exit(0);
		if (process->stopped) {
			wait_until(&process->stop_wait, !process->stopped || (thread->work & THREAD_WORK_EXIT) != 0,
				   WAIT_FOREVER, false);
			thread->work |= THREAD_WORK_SIGNAL;
			continue;
		}
		if ((work & THREAD_WORK_SIGNAL) != 0) {
			signal_work(regs);
			continue;
		}
		if ((work & THREAD_WORK_RESCHEDULE) != 0) {
			sched_preempt();
			continue;
		}
		if ((work & THREAD_WORK_TIMER) == 0)
			return;
		sched_arm();
	}
}
