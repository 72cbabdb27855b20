/* SPDX-License-Identifier: Apache-2.0 */
/* --strace: structures (kernel/sys/strace_struct.c) and the pieces they are made of (strace_value.c). */
#ifndef NUCLEO_SYS_STRACE_STRUCT_H
#define NUCLEO_SYS_STRACE_STRUCT_H

#include "kernel/sys/strace.h"

void strace_add_buffer(struct strace_text *text, uint64_t va, uint64_t bytes);
void strace_add_string(struct strace_text *text, uint64_t va, unsigned max);
/* False: not a letter for a structure, nothing written. */
bool strace_add_struct(struct strace_text *text, char kind, const uint64_t *arg, unsigned index, int64_t result);

#endif
