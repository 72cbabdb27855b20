/* SPDX-License-Identifier: Apache-2.0 */
/* --strace: every system call as a line in strace's own format, to the monitor's log. */
#ifndef NUCLEO_SYS_STRACE_H
#define NUCLEO_SYS_STRACE_H

#include <asm/siginfo.h>

#include "kernel/sys/syscall.h"

/* Around each call, by the dispatcher. Reading the arguments may sleep. */
void strace_enter(uint32_t number, const struct syscall_args *args);
void strace_leave(uint32_t number, const struct syscall_args *args, int64_t result);
/* For signal delivery: "--- SIGINT {...} ---". Does nothing if --strace is off. */
void strace_signal(int signal, const siginfo_t *info);
/* For the end of the process: "+++ exited with N +++" or "+++ killed by SIGNAL +++"; status as waitpid
 * gives it. Does nothing if --strace is off. */
void strace_exit(int status);
/* Finishes an ended thread's line: "exit(0) = ?". Does nothing if --strace is off. */
void strace_thread_exit(int code);
/* For boot, before the first program runs: the line of the execve that there was none of. */
void strace_first_program(const char *path, unsigned argc, char *const *argv, unsigned envc);

const char *syscall_name(uint32_t number); /* "read"; "syscall_0x1f4" in a static buffer if unknown */

/* kernel/sys/strace_value.c: one argument's text. */
struct strace_text {
	char *data;
	unsigned used, size;
};
void strace_add(struct strace_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* kind: a letter of kernel/sys/table.h. Values that the call fills are written after it: result is its
 * result then, and 0 before. */
void strace_add_argument(struct strace_text *text, char kind, const uint64_t *arg, unsigned index, int64_t result);
bool strace_is_output(char kind);
/* "0", "3", "-1 ENOENT (No such file or directory)", an address for calls that give one. */
void strace_add_result(struct strace_text *text, uint32_t number, int64_t result);
const char *strace_errno_name(int error); /* "ENOENT", NULL: no such error */
const char *strace_errno_text(int error);
const char *strace_signal_name(int signal);
void strace_add_siginfo(struct strace_text *text, const siginfo_t *info);

#endif
