/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls. kernel/sys/table.h lists all of them: number, name, arguments for --strace. A call is implemented by
 * defining SYSCALL(name) in a file of its family, kernel/sys/<family>.c (or beside the object it works
 * on); what nobody defines is a weak NULL in the table: ENOSYS, counted.
 */
#ifndef NUCLEO_SYS_SYSCALL_H
#define NUCLEO_SYS_SYSCALL_H

#include "kernel/arch.h"

struct syscall_args {
	uint64_t arg[6];
	struct regs *regs; /* for clone, rt_sigreturn, execve and the like */
};

/* Defines (and first declares) sys_<name>: returns the result or -errno. Called with the kernel lock. */
#define SYSCALL(name)                                                                                                  \
	int64_t sys_##name(const struct syscall_args *args);                                                           \
	int64_t sys_##name(const struct syscall_args *args)
#define SYSCALL_UNUSED_ARGS ((void)args)

/* All entries come through here (kernel/sys/dispatch.c): runs the call, counts, --strace, sets
 * regs->rax. Signals, rescheduling and restarts are thread_work()'s afterwards. */
void syscall_dispatch(struct regs *regs);

struct syscall_statistics {
	uint64_t calls, unknown;
};
extern struct syscall_statistics syscall_statistics;
/* At exit. With --strace or --counts: a line that names the unknown calls made, if any; with --counts all counters. */
void syscall_report(void);

#endif
