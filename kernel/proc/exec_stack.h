/* SPDX-License-Identifier: Apache-2.0 */
/* What a new program finds on its stack (AMD64 psABI, 3.4.1): argc, argv, envp, auxiliary vector. */
#ifndef NUCLEO_PROC_EXEC_STACK_H
#define NUCLEO_PROC_EXEC_STACK_H

#include "kernel/mm/mm.h"
#include "kernel/proc/exec.h"

struct exec_stack {
	uint64_t top;     /* page-aligned end of the stack */
	const char *path; /* AT_EXECFN */
	char **prefix;    /* arguments before strings->argv[skip] */
	unsigned prefix_count, skip;
	const struct exec_strings *strings;
	uint64_t entry, phdr, phdr_count, base, vdso; /* for the auxiliary vector */
	uint64_t sp;                                  /* result */
};

/* Bytes that all of it takes. -E2BIG. */
int exec_stack_measure(const struct exec_stack *stack, uint64_t *bytes);
/* Writes it below stack->top into mm, which has the stack mapped. Sets stack->sp and mm's fields for
 * /proc. -ENOMEM. */
int exec_stack_write(struct mm *mm, struct exec_stack *stack);

#endif
