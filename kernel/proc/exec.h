/* SPDX-License-Identifier: Apache-2.0 */
/* Loading a program (System V ABI AMD64, ELF gABI; execve(2)). */
#ifndef NUCLEO_PROC_EXEC_H
#define NUCLEO_PROC_EXEC_H

#include "kernel/arch.h"

/* Kernel copies of what execve gets. */
struct exec_strings {
	unsigned argc, envc;
	char **argv, **envp;
};

/* Builds a new address space for the program at `path` (static, static-pie, dynamic with its
 * interpreter; "#!" scripts) with stack, auxiliary vector and vDSO. On success the current process
 * has it, the old one is dropped, close-on-exec files are closed, handlers reset, and *regs is where the
 * program starts. On failure nothing has changed: -ENOENT, -EACCES (not executable, a directory),
 * -ENOEXEC (no or a broken ELF), -ENOMEM, -E2BIG, -ELOOP, ... */
int exec_load(const char *path, const struct exec_strings *strings, struct regs *regs);

/* For boot: argv[0] is searched in PATH if it has no '/'. The same errors. */
int exec_first(const struct exec_strings *strings, struct regs *regs);

#endif
