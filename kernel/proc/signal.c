/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: sending, queues, choice of the thread, masks. Delivery is in signal_work.c. */
#include "kernel/proc/signal.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"

#define NEVER_BLOCKED (signal_bit(SIGKILL) | signal_bit(SIGSTOP))
#define SYNCHRONOUS                                                                                                    \
	(signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGILL) | signal_bit(SIGTRAP) | signal_bit(SIGFPE) |    \
	 signal_bit(SIGSYS))
#define IGNORED_BY_DEFAULT (signal_bit(SIGCHLD) | signal_bit(SIGCONT) | signal_bit(SIGURG) | signal_bit(SIGWINCH))

bool signal_ignored(const struct process *process, int signal)
{
	uint64_t handler = process->handlers->actions[signal].handler;

	if (handler == (uint64_t)SIG_IGN)
		return (signal_bit(signal) & NEVER_BLOCKED) == 0;
	return handler == (uint64_t)SIG_DFL && (signal_bit(signal) & IGNORED_BY_DEFAULT) != 0;
}

/* ---- queues ---- */

void signal_queue_flush(struct signal_queue *queue, uint64_t set)
{
	list_for_each_safe(node, &queue->queue)
	{
		struct pending_signal *pending = list_entry(node, struct pending_signal, node);
		if ((set & signal_bit(pending->info.si_signo)) == 0)
			continue;
		list_remove(node);
		queue->count--;
		kfree(pending);
	}
	queue->set &= ~set;
}

static void signal_flush_everywhere(struct process *process, uint64_t set)
{
	signal_queue_flush(&process->signals, set);
	list_for_each(node, &process->threads)
	    signal_queue_flush(&list_entry(node, struct thread, process_node)->signals, set);
}

static int signal_queue_add(struct signal_queue *queue, int signal, const siginfo_t *info, uint64_t limit)
{
	bool real_time = signal >= SIGRTMIN;
	struct pending_signal *pending = NULL;

	if (!real_time && (queue->set & signal_bit(signal)) != 0)
		return 0; /* pending already: one is enough */
	if (info != NULL && signal != SIGKILL && queue->count < limit)
		pending = kmalloc(sizeof(*pending));
	if (pending == NULL && real_time && info != NULL && info->si_code != SI_USER)
		return -EAGAIN;
	if (pending != NULL) {
		pending->info = *info;
		pending->info.si_signo = signal;
		list_add_tail(&queue->queue, &pending->node);
		queue->count++;
	}
	queue->set |= signal_bit(signal);
	return 0;
}

/* Takes `signal`, which is in the set. Without a queued node nothing is known but the number. */
static void signal_queue_take(struct signal_queue *queue, int signal, siginfo_t *info)
{
	struct pending_signal *found = NULL;
	bool more = false;

	list_for_each(node, &queue->queue)
	{
		struct pending_signal *pending = list_entry(node, struct pending_signal, node);
		if (pending->info.si_signo != signal)
			continue;
		if (found != NULL) {
			more = true;
			break;
		}
		found = pending;
	}
	if (found != NULL) {
		*info = found->info;
		list_remove(&found->node);
		queue->count--;
		kfree(found);
	} else {
		memset(info, 0, sizeof(*info));
		info->si_signo = signal;
		info->si_code = SI_KERNEL;
	}
	if (!more)
		queue->set &= ~signal_bit(signal);
}

int signal_dequeue(uint64_t set, siginfo_t *info)
{
	struct thread *thread = current;
	struct signal_queue *queue = &thread->signals;
	uint64_t ready = queue->set & set;

	if (ready == 0) {
		queue = &thread->process->signals;
		ready = queue->set & set;
		if (ready == 0)
			return 0;
	}
	if ((ready & SYNCHRONOUS) != 0)
		ready &= SYNCHRONOUS;
	int signal = __builtin_ctzll(ready) + 1;
	signal_queue_take(queue, signal, info);
	if (info->si_code == SI_TIMER)
		posix_timer_signal_taken(info);
	return signal;
}

/* ---- who gets it ---- */

bool signal_pending(const struct thread *thread)
{
	const struct process *process = thread->process;

	return ((thread->signals.set | process->signals.set) & ~thread->signal_mask) != 0 || process->stopped;
}

/* The thread is to look at its signals soon. */
static void signal_wake(struct thread *thread)
{
	thread->work |= THREAD_WORK_SIGNAL;
	if (thread->state == THREAD_SLEEPING && thread->interruptible)
		thread_wake(thread);
	else
		sched_kick_thread(thread);
}

static bool signal_wanted(const struct thread *thread, int signal)
{
	return (thread->signal_mask & signal_bit(signal)) == 0 && (thread->work & THREAD_WORK_EXIT) == 0;
}

/* As on Linux the first thread is preferred: programs expect their main loop to be interrupted. */
static struct thread *signal_choose(struct process *process, int signal, const struct thread *except)
{
	struct thread *leader = process->leader, *self = current;

	/* CPU time is used up by who runs; as on Linux (6.4) that one is told, for profilers. */
	if ((signal == SIGPROF || signal == SIGVTALRM) && self->process == process && self != except &&
	    signal_wanted(self, signal))
		return self;
	if (leader != NULL && leader != except && signal_wanted(leader, signal))
		return leader;
	list_for_each(node, &process->threads)
	{
		struct thread *thread = list_entry(node, struct thread, process_node);
		if (thread != except && signal_wanted(thread, signal))
			return thread;
	}
	return NULL;
}

/* Signals of the process that this thread will not take: find others. */
void signal_retarget(struct thread *thread, uint64_t set)
{
	struct process *process = thread->process;

	set &= process->signals.set;
	while (set != 0) {
		int signal = __builtin_ctzll(set) + 1;
		struct thread *other = signal_choose(process, signal, thread);
		if (other != NULL)
			signal_wake(other);
		set &= set - 1;
	}
}

/* ---- sending ---- */

void signal_continue(struct process *process)
{
	if (!process->stopped)
		return;
	process->stopped = false;
	process->continue_reported = true;
	wait_wake(&process->stop_wait, 0, 0);
	signal_child_changed(process, CLD_CONTINUED);
}

/* A signal that ends the process: whichever thread runs next does it, so that no thread that hogs the vCPUs is in the
 * way. */
static void signal_wake_running(struct process *process, int signal)
{
	list_for_each(node, &process->threads)
	{
		struct thread *thread = list_entry(node, struct thread, process_node);
		if (thread->state != THREAD_SLEEPING && signal_wanted(thread, signal))
			signal_wake(thread);
	}
}

static int signal_send(struct process *process, struct thread *target, int signal, const siginfo_t *info)
{
	if (signal < 1 || signal > SIGNALS)
		return -EINVAL;
	if (process->zombie || process->exiting || process->handlers == NULL)
		return 0;
	if (signal == SIGCONT) {
		signal_flush_everywhere(process, SIGNALS_STOP);
		signal_continue(process);
	} else if ((signal_bit(signal) & SIGNALS_STOP) != 0) {
		signal_flush_everywhere(process, signal_bit(SIGCONT));
	}
	const struct thread *blocker = target != NULL ? target : process->leader;
	uint64_t blocked = blocker != NULL ? blocker->signal_mask : 0;
	if (blocker != NULL && blocker->restore_mask)
		blocked |= blocker->saved_mask;
	/* A blocked signal may be waited for, or its action be changed, before it is taken. */
	if ((blocked & signal_bit(signal)) == 0 && signal_ignored(process, signal))
		return 0;

	struct signal_queue *queue = target != NULL ? &target->signals : &process->signals;
	int error = signal_queue_add(queue, signal, info, process->limits[RLIMIT_SIGPENDING].rlim_cur);
	if (error != 0)
		return error;
	wait_wake(&process->signal_wait, 1 /* EPOLLIN */, 0);
	if (signal == SIGKILL) {
		process->stopped = false;
		wait_wake(&process->stop_wait, 0, 0);
	}
	struct thread *chosen = target;
	if (target == NULL)
		chosen = signal_choose(process, signal, NULL);
	else if (!signal_wanted(target, signal))
		chosen = NULL;
	if (chosen != NULL)
		signal_wake(chosen);
	bool fatal =
	    process->handlers->actions[signal].handler == (uint64_t)SIG_DFL && (signal_bit(signal) & SIGNALS_STOP) == 0;
	if (target == NULL && fatal)
		signal_wake_running(process, signal);
	return 0;
}

int signal_send_process(struct process *process, int signal, const siginfo_t *info)
{
	return signal_send(process, NULL, signal, info);
}

int signal_send_thread(struct thread *thread, int signal, const siginfo_t *info)
{
	return signal_send(thread->process, thread, signal, info);
}

void signal_force(int signal, const siginfo_t *info)
{
	struct thread *thread = current;
	struct k_sigaction *action = &thread->process->handlers->actions[signal];

	/* The program cannot go on: what it blocks or ignores kills it. */
	if ((thread->signal_mask & signal_bit(signal)) != 0 || action->handler == (uint64_t)SIG_IGN)
		*action = (struct k_sigaction){.handler = (uint64_t)SIG_DFL};
	thread->signal_mask &= ~signal_bit(signal);
	signal_queue_flush(&thread->signals, signal_bit(signal));
	signal_queue_add(&thread->signals, signal, info, UINT64_MAX);
	thread->work |= THREAD_WORK_SIGNAL;
}

void signal_fault(int signal, int code, uint64_t address, uint64_t trap, uint64_t error)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = signal;
	info.si_code = code;
	info.si_addr = (void *)address;
	current->fault = (struct k_siginfo_fault){signal, code, address, trap, error};
	signal_force(signal, &info);
}

void signal_pipe(void)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_code = SI_USER;
	info.si_pid = current->process->pid;
	info.si_uid = current->process->credentials.uid;
	signal_send_thread(current, SIGPIPE, &info);
}

void signal_child_changed(struct process *child, int code)
{
	struct process *parent = child->parent;
	siginfo_t info;

	if (parent == NULL)
		return;
	wait_wake(&parent->child_wait, 0, 0);
	int signal = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED ? child->exit_signal : SIGCHLD;
	if (signal == 0)
		return;
	bool stop = code == CLD_STOPPED || code == CLD_CONTINUED;
	if (stop && parent->handlers != NULL && (parent->handlers->actions[SIGCHLD].flags & SA_NOCLDSTOP) != 0)
		return;
	memset(&info, 0, sizeof(info));
	info.si_code = code;
	info.si_pid = child->pid;
	info.si_uid = child->credentials.uid;
	if (code == CLD_EXITED)
		info.si_status = child->exit_status >> 8 & 0xff;
	else
		info.si_status = stop ? (code == CLD_STOPPED ? SIGSTOP : SIGCONT) : child->exit_status & 0x7f;
	signal_send_process(parent, signal, &info);
}

/* ---- masks ---- */

void signal_set_mask(uint64_t mask)
{
	struct thread *thread = current;
	uint64_t newly_blocked = mask & ~thread->signal_mask;

	thread->signal_mask = mask & ~NEVER_BLOCKED;
	if (signal_pending(thread))
		thread->work |= THREAD_WORK_SIGNAL;
	if ((newly_blocked & thread->process->signals.set) != 0)
		signal_retarget(thread, newly_blocked);
}

int signal_temporary_mask(uint64_t va, uint64_t bytes)
{
	struct thread *thread = current;
	uint64_t mask;

	if (va == 0)
		return 0;
	if (bytes != sizeof(mask))
		return -EINVAL;
	if (user_get(&mask, va) != 0)
		return -EFAULT;
	/* A call that is made again after a signal without a handler has its mask in force already. */
	if (!thread->temporary_mask)
		thread->saved_mask = thread->signal_mask;
	thread->temporary_mask = true;
	signal_set_mask(mask);
	return 0;
}

void signal_temporary_mask_end(bool interrupted)
{
	struct thread *thread = current;

	if (!thread->temporary_mask)
		return;
	thread->temporary_mask = false;
	if (interrupted) {
		thread->restore_mask = true;
		thread->work |= THREAD_WORK_SIGNAL;
	} else {
		signal_set_mask(thread->saved_mask);
	}
}

/* ---- exec ---- */

void process_exec_reset(void)
{
	struct thread *thread = current;
	struct process *process = thread->process;

	for (int signal = 1; signal <= SIGNALS; signal++) {
		struct k_sigaction *action = &process->handlers->actions[signal];
		uint64_t handler = action->handler == (uint64_t)SIG_IGN ? action->handler : (uint64_t)SIG_DFL;
		*action = (struct k_sigaction){.handler = handler};
	}
	thread->altstack = (stack_t){.ss_flags = SS_DISABLE};
	thread->robust_list = thread->clear_child_tid = thread->rseq = 0;
	posix_timers_fini(process);
}
