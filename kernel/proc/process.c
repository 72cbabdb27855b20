/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: the first one, their end, and waiting for children. */
#include <linux/wait.h>

#include "abi/doorbell.h"
#include "kernel/fs/file.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/sys/strace.h"
#include "kernel/sys/syscall.h"

#define CAPS_ALL ((1ull << (CAP_LAST_CAP + 1)) - 1)

struct list processes = LIST_INIT(processes);
struct process *process_first;

int fs_sync_all(void) __attribute__((weak));

struct process *process_find(int pid)
{
	list_for_each(node, &processes)
	{
		struct process *process = list_entry(node, struct process, node);
		if (process->pid == pid)
			return process;
	}
	return NULL;
}

static void process_init_limits(struct process *process)
{
	for (unsigned i = 0; i < RLIM_NLIMITS; i++)
		process->limits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	process->limits[RLIMIT_STACK].rlim_cur = 8u << 20;
	process->limits[RLIMIT_CORE].rlim_cur = 0;
	process->limits[RLIMIT_NOFILE] = (struct rlimit){1024, 1048576};
	process->limits[RLIMIT_MEMLOCK] = (struct rlimit){8u << 20, 8u << 20};
	process->limits[RLIMIT_SIGPENDING] = (struct rlimit){16384, 16384};
	process->limits[RLIMIT_MSGQUEUE] = (struct rlimit){819200, 819200};
	process->limits[RLIMIT_NICE] = (struct rlimit){0, 0};
	process->limits[RLIMIT_RTPRIO] = (struct rlimit){0, 0};
}

static void process_init_credentials(struct credentials *c, uint32_t uid, uint32_t gid)
{
	memset(c, 0, sizeof(*c));
	c->uid = c->euid = c->suid = c->fsuid = uid;
	c->gid = c->egid = c->sgid = c->fsgid = gid;
	c->group_count = 1;
	c->groups[0] = gid;
	c->cap_bounding = CAPS_ALL;
	if (uid == 0)
		c->cap_effective = c->cap_permitted = CAPS_ALL;
}

static void process_init_lists(struct process *process)
{
	list_init(&process->children);
	list_init(&process->sibling);
	list_init(&process->threads);
	list_init(&process->signals.queue);
	list_init(&process->posix_timers);
	list_init(&process->cpu_timers);
	wait_queue_init(&process->child_wait);
	wait_queue_init(&process->signal_wait);
	wait_queue_init(&process->stop_wait);
	itimers_init(process);
}

int process_new_first(struct process **result)
{
	struct process *process = kzalloc(sizeof(*process));
	struct thread *thread;
	int error;

	if (process == NULL)
		return -ENOMEM;
	process_init_lists(process);
	process_init_limits(process);
	process_init_credentials(&process->credentials, boot_info->uid, boot_info->gid);
	process->dumpable = true;
	process->exit_signal = SIGCHLD;
	process->handlers = kzalloc(sizeof(*process->handlers));
	if (process->handlers == NULL) {
		error = -ENOMEM;
		goto out_process;
	}
	process->handlers->references = 1;
	error = mm_new(&process->mm);
	if (error != 0)
		goto out_handlers;
	process->files = file_table_new();
	process->fs = fs_context_new();
	error = process->files == NULL || process->fs == NULL ? -ENOMEM : thread_new(process, &thread);
	if (error != 0)
		goto out_files;
	process->pid = process->pgid = process->sid = thread->tid;
	process->ppid = 1;
	process->start_ns = clock_monotonic();
	list_add_tail(&processes, &process->node);
	process_first = process;
	*result = process;
	return 0;

out_files:
	if (process->fs != NULL)
		fs_context_put(process->fs);
	if (process->files != NULL)
		file_table_put(process->files);
	mm_put(process->mm);
out_handlers:
	kfree(process->handlers);
out_process:
	kfree(process);
	return error;
}

/* ---- the end ---- */

void process_ask_threads_to_exit(struct process *process, struct thread *except)
{
	list_for_each(node, &process->threads)
	{
		struct thread *thread = list_entry(node, struct thread, process_node);
		if (thread == except)
			continue;
		thread->work |= THREAD_WORK_EXIT;
		if (thread->state == THREAD_SLEEPING && thread->interruptible)
			thread_wake(thread);
		else
			sched_kick_thread(thread);
	}
	wait_wake(&process->stop_wait, 0, 0);
}

static _Noreturn void process_end_first(struct process *process)
{
	int status = process->exit_status;

	boot_info->timeline[LAMPO_T_EXIT] = arch_tsc();
	/* Its other threads run no further than to their next look at the kernel. */
	list_for_each(node, &process->threads) list_entry(node, struct thread, process_node)->work |= THREAD_WORK_EXIT;
	if (fs_sync_all != NULL)
		fs_sync_all();
	strace_exit(status);
	syscall_report();
	arch_exit((status & 0x7f) != 0 ? LAMPO_EXIT_SIGNAL | (uint32_t)(status & 0x7f)
				       : (uint32_t)(status >> 8 & 0xff));
}

void process_exit(int status)
{
	struct process *process = current->process;

	if (!process->exiting) {
		process->exiting = true;
		process->exit_status = status;
		process->stopped = false;
		/* The VM ends with its first process: what its other threads would do in dying is lost anyway. */
		if (process == process_first)
			process_end_first(process);
		process_ask_threads_to_exit(process, current);
	}
	thread_exit(0);
}

/* Children of one that ended belong to nobody: they vanish when they end. */
static void process_free(struct process *process)
{
	list_remove(&process->node);
	list_remove(&process->sibling);
	kfree(process);
}

static void process_orphan_children(struct process *process)
{
	list_for_each_safe(node, &process->children)
	{
		struct process *child = list_entry(node, struct process, sibling);
		child->parent = NULL;
		child->ppid = 1;
		list_remove(&child->sibling);
		if (child->parent_death_signal != 0)
			signal_send_process(child, child->parent_death_signal, NULL);
		if (child->zombie)
			process_free(child);
	}
}

/* The last thread goes: all that the process holds is given back, a zombie with its status remains
 * for the parent. Called by that thread, which still needs the process for its own last steps. */
void process_end(struct process *process)
{
	if (process == process_first)
		process_end_first(process);
	itimers_fini(process);
	posix_timers_fini(process);
	signal_queue_flush(&process->signals, UINT64_MAX);
	file_table_put(process->files);
	fs_context_put(process->fs);
	if (process->executable != NULL)
		file_put(process->executable);
	if (--process->handlers->references == 0)
		kfree(process->handlers);
	mm_put(process->mm);
	process->files = NULL;
	process->fs = NULL;
	process->executable = NULL;
	process->handlers = NULL;
	process->mm = NULL;
	process_orphan_children(process);
	process->zombie = true;
	if (process->parent != NULL)
		signal_child_changed(process, (process->exit_status & 0x7f) != 0 ? CLD_KILLED : CLD_EXITED);
}

/* ---- waiting for children ---- */

static bool process_matches(const struct process *child, int pid)
{
	if (pid == -1)
		return true;
	if (pid == 0)
		return child->pgid == current->process->pgid;
	return pid > 0 ? child->pid == pid : child->pgid == -pid;
}

/* A child to report: fills *result. *any is set if there is one that may come to it. */
static bool process_wait_look(int pid, int options, struct wait_result *result, bool *any)
{
	struct process *process = current->process;

	*any = false;
	list_for_each(node, &process->children)
	{
		struct process *child = list_entry(node, struct process, sibling);
		if (!process_matches(child, pid))
			continue;
		*any = true;
		*result = (struct wait_result){.pid = child->pid,
					       .uid = (int)child->credentials.uid,
					       .cpu_ns = child->cpu_user_ns + child->cpu_system_ns};
		if (child->zombie && child->thread_count == 0 && (options & WEXITED) != 0) {
			result->status = child->exit_status;
			if ((options & WNOWAIT) == 0) {
				process->child_cpu_ns += result->cpu_ns + child->child_cpu_ns;
				process_free(child);
			}
			return true;
		}
		if (child->stopped && !child->stop_reported && (options & WSTOPPED) != 0) {
			result->status = SIGSTOP << 8 | 0x7f;
			child->stop_reported = (options & WNOWAIT) == 0;
			return true;
		}
		if (child->continue_reported && (options & WCONTINUED) != 0) {
			result->status = 0xffff;
			child->continue_reported = (options & WNOWAIT) != 0;
			return true;
		}
	}
	return false;
}

int process_wait(int pid, int options, struct wait_result *result)
{
	bool found, any;

	int error =
	    wait_until(&current->process->child_wait,
		       (found = process_wait_look(pid, options, result, &any)) || !any || (options & WNOHANG) != 0,
		       WAIT_FOREVER, true);
	if (error != 0)
		return -ERESTARTSYS;
	if (found)
		return 0;
	if (!any)
		return -ECHILD;
	*result = (struct wait_result){0};
	return 0;
}
