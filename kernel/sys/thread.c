/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: clone(2) and its kin, exit(2), thread ids. */
#include <linux/sched.h>

#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

SYSCALL(clone)
{
	struct clone_request request = {
	    .flags = args->arg[0] & ~(uint64_t)CSIGNAL & 0xffffffffull,
	    .exit_signal = (int)(args->arg[0] & CSIGNAL),
	    .stack = args->arg[1],
	    .parent_tid = args->arg[2],
	    .child_tid = args->arg[3],
	    .tls = args->arg[4],
	};

	return thread_clone(&request, args->regs);
}

#define CLONE3_BYTES_MAX 4096u

/* struct clone_args from a program with another idea of its size: what we do not know must be zero. */
static int clone_args_read(struct clone_args *to, uint64_t va, uint64_t bytes)
{
	uint8_t rest[64];

	if (bytes < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (bytes > CLONE3_BYTES_MAX)
		return -E2BIG;
	memset(to, 0, sizeof(*to));
	if (user_read(to, va, min_u64(bytes, sizeof(*to))) != 0)
		return -EFAULT;
	for (uint64_t at = sizeof(*to); at < bytes; at += sizeof(rest)) {
		uint64_t n = min_u64(sizeof(rest), bytes - at);
		if (user_read(rest, va + at, n) != 0)
			return -EFAULT;
		for (uint64_t i = 0; i < n; i++) {
			if (rest[i] != 0)
				return -E2BIG;
		}
	}
	return 0;
}

SYSCALL(clone3)
{
	struct clone_args clone;

	int error = clone_args_read(&clone, args->arg[0], args->arg[1]);
	if (error != 0)
		return error;
	if ((clone.stack == 0) != (clone.stack_size == 0) || (clone.flags & (CLONE_DETACHED | CSIGNAL)) != 0 ||
	    clone.exit_signal > CSIGNAL || ((clone.flags & CLONE_THREAD) != 0 && clone.exit_signal != 0) ||
	    (clone.set_tid_size != 0) != (clone.set_tid != 0) || clone.set_tid_size > 32)
		return -EINVAL;
	if (clone.set_tid_size != 0)
		return -EPERM;
	struct clone_request request = {
	    .flags = clone.flags,
	    .exit_signal = (int)clone.exit_signal,
	    .stack = clone.stack != 0 ? clone.stack + clone.stack_size : 0,
	    .parent_tid = clone.parent_tid,
	    .child_tid = clone.child_tid,
	    .tls = clone.tls,
	};
	return thread_clone(&request, args->regs);
}

SYSCALL(fork)
{
	struct clone_request request = {.exit_signal = SIGCHLD};

	return thread_clone(&request, args->regs);
}

SYSCALL(vfork)
{
	struct clone_request request = {.flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD};

	return thread_clone(&request, args->regs);
}

SYSCALL(exit) { thread_exit((int)args->arg[0]); }

SYSCALL(exit_group) { process_exit((int)(args->arg[0] & 0xff) << 8); }

SYSCALL(gettid)
{
	SYSCALL_UNUSED_ARGS;
	return current->tid;
}

SYSCALL(set_tid_address)
{
	current->clear_child_tid = args->arg[0];
	return current->tid;
}

SYSCALL(restart_syscall)
{
	SYSCALL_UNUSED_ARGS;
	return current->restart != NULL ? current->restart() : -EINTR;
}
