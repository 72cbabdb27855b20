/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: their making, by clone(2), and their end. */
#include <linux/sched.h>

#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/proc/process.h"
#include "kernel/sys/strace.h"

#define STACK_ORDER 2u
_Static_assert(KERNEL_STACK_BYTES == PAGE_SIZE << STACK_ORDER, "order of a kernel stack");

/* Stacks and FPU areas of threads that ended: their memory is present, which new memory is not. */
#define STACKS_KEPT 16u
static void *stacks_kept[STACKS_KEPT];
static unsigned stacks_kept_count;

static int tid_last = 1; /* 1 is nucleo itself, the parent of the first process */

static int tid_new(void)
{
	do {
		tid_last = tid_last < 4194303 ? tid_last + 1 : 300;
	} while (thread_find(tid_last) != NULL || process_find(tid_last) != NULL);
	return tid_last;
}

struct thread *thread_find(int tid)
{
	list_for_each(p, &processes)
	{
		list_for_each(t, &list_entry(p, struct process, node)->threads)
		{
			struct thread *thread = list_entry(t, struct thread, process_node);
			if (thread->tid == tid)
				return thread;
		}
	}
	return NULL;
}

/* kmalloc has no alignment to ask for; the original address is kept right before the area. */
void *fpu_area_new(void)
{
	uint8_t *memory = kzalloc(boot_info->xsave_bytes + 64 + sizeof(void *));

	if (memory == NULL)
		return NULL;
	void **area = (void **)align_up((uint64_t)(memory + sizeof(void *)), 64);
	area[-1] = memory;
	return area;
}

void fpu_area_free(void *area)
{
	if (area != NULL)
		kfree(((void **)area)[-1]);
}

static void *stack_new(void)
{
	if (stacks_kept_count > 0)
		return stacks_kept[--stacks_kept_count];
	return pages_alloc(STACK_ORDER);
}

static void stack_free(void *stack)
{
	if (stacks_kept_count < STACKS_KEPT)
		stacks_kept[stacks_kept_count++] = stack;
	else
		pages_free(stack, STACK_ORDER);
}

int thread_new(struct process *process, struct thread **result)
{
	struct thread *thread = kzalloc(sizeof(*thread));
	void *stack = NULL;

	if (thread == NULL)
		return -ENOMEM;
	thread->xsave = fpu_area_new();
	if (thread->xsave == NULL)
		goto out_thread;
	stack = stack_new();
	if (stack == NULL)
		goto out_xsave;
	thread->kernel_stack_top = (uint64_t)stack + KERNEL_STACK_BYTES;
	thread->process = process;
	thread->tid = tid_new();
	thread->state = THREAD_SLEEPING;
	thread->affinity = UINT64_MAX;
	thread->timer_slack_ns = 50000;
	thread->altstack.ss_flags = SS_DISABLE;
	list_init(&thread->run_node);
	list_init(&thread->signals.queue);
	timer_init(&thread->sleep_timer, NULL);
	list_add_tail(&process->threads, &thread->process_node);
	process->thread_count++;
	if (process->leader == NULL)
		process->leader = thread;
	*result = thread;
	return 0;

out_xsave:
	fpu_area_free(thread->xsave);
out_thread:
	kfree(thread);
	return -ENOMEM;
}

/* Off its process; the caller has made sure that nothing else points at it. */
static void thread_unlink(struct thread *thread)
{
	struct process *process = thread->process;

	list_remove(&thread->process_node);
	process->thread_count--;
	if (process->leader == thread)
		process->leader =
		    process->thread_count > 0 ? list_first(&process->threads, struct thread, process_node) : NULL;
}

void thread_free(struct thread *thread)
{
	stack_free((void *)(thread->kernel_stack_top - KERNEL_STACK_BYTES));
	fpu_area_free(thread->xsave);
	fpu_area_free(thread->fpu_scratch);
	kfree(thread);
}

/* ---- clone ---- */

static void thread_inherit(struct thread *thread, const struct thread *from)
{
	thread->affinity = from->affinity;
	thread->nice = from->nice;
	thread->policy = from->reset_on_fork ? 0 : from->policy;
	thread->rt_priority = from->reset_on_fork ? 0 : from->rt_priority;
	thread->timer_slack_ns = from->timer_slack_ns;
	thread->vruntime_ns = from->vruntime_ns;
	thread->cpu = from->cpu;
	thread->signal_mask = from->restore_mask ? from->saved_mask : from->signal_mask;
	thread->work = from->work & THREAD_WORK_STRACE;
	memcpy(thread->comm, from->comm, sizeof(thread->comm));
}

/* Where fork, vfork and clone without CLONE_THREAD will make their process. */
static int64_t process_clone(const struct clone_request *request, const struct regs *regs)
{
	(void)request;
	(void)regs;
	return -ENOSYS;
}

int64_t thread_clone(const struct clone_request *request, const struct regs *regs)
{
	const uint64_t shared = CLONE_VM | CLONE_SIGHAND | CLONE_FS | CLONE_FILES;
	const uint64_t known = shared | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
			       CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_DETACHED | CLONE_PTRACE |
			       CLONE_UNTRACED | CLONE_IO;
	uint64_t flags = request->flags;
	struct process *process = current->process;
	struct thread *thread;

	if (((flags & CLONE_SIGHAND) != 0 && (flags & CLONE_VM) == 0) ||
	    ((flags & CLONE_THREAD) != 0 && (flags & CLONE_SIGHAND) == 0))
		return -EINVAL;
	if ((flags & CLONE_THREAD) == 0)
		return process_clone(request, regs);
	/* Descriptors, root and cwd belong to the process here: threads cannot have their own. */
	if ((flags & shared) != shared || (flags & ~known) != 0)
		return -EINVAL;
	if (process->exiting)
		return -ERESTARTNOINTR;
	if (process->thread_count >= process->limits[RLIMIT_NPROC].rlim_cur)
		return -EAGAIN;
	if (thread_new(process, &thread) != 0)
		return -EAGAIN;

	struct regs start = *regs;
	int tid = thread->tid;
	start.rax = 0;
	start.orig_rax = UINT64_MAX;
	start.full = 1;
	if (request->stack != 0)
		start.rsp = request->stack;
	thread_inherit(thread, current);
	thread->fs_base = (flags & CLONE_SETTLS) != 0 ? request->tls : current->fs_base;
	if ((flags & CLONE_CHILD_CLEARTID) != 0)
		thread->clear_child_tid = request->child_tid;
	arch_fpu_copy(thread);
	arch_thread_prepare(thread, &start, NULL, NULL);
	/* As on Linux, a bad address here is the program's own loss. These may sleep. */
	if ((flags & CLONE_PARENT_SETTID) != 0)
		(void)user_put(request->parent_tid, &tid);
	if ((flags & CLONE_CHILD_SETTID) != 0)
		(void)user_put(request->child_tid, &tid);
	sched_add(thread);
	return tid;
}

/* ---- the end ---- */

void thread_exit(int code)
{
	struct thread *thread = current;
	struct process *process = thread->process;

	strace_thread_exit(code);
	/* These may sleep: the thread is still a whole one. */
	if (process->thread_count > 1 || process != process_first)
		futex_thread_exit(thread);
	sched_account();
	posix_timers_thread_exit(thread);
	signal_queue_flush(&thread->signals, UINT64_MAX);
	process->cpu_user_ns += thread->cpu_ns;
	process->context_switches += thread->context_switches;
	if (process->thread_count == 1) {
		if (!process->exiting) {
			process->exiting = true;
			process->exit_status = (code & 0xff) << 8;
		}
		process_end(process);
	}
	thread_unlink(thread);
	wait_wake(&process->child_wait, 0, 0);
	thread->state = THREAD_DEAD;
	sched_block();
	panic("a dead thread runs");
}

int process_kill_other_threads(void)
{
	struct thread *self = current;
	struct process *process = self->process;

	if (process->exiting)
		return -EINTR;
	process_ask_threads_to_exit(process, self);
	int error = wait_until(&process->child_wait, process->thread_count == 1, WAIT_FOREVER, true);
	if (error != 0)
		return error;
	process->leader = self;
	self->tid = process->pid;
	return 0;
}
