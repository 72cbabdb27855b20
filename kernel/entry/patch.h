/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call-site patching: a syscall instruction that is used again and again is replaced by a jump to a
 * trampoline, which enters the kernel without the gate. Two kinds:
 *
 *   number before	mov $nr, %eax (or %rax) right before the syscall: the mov becomes a jump of the same or
 *			smaller length; the syscall itself stays and still works for whoever jumps to it.
 *   behind		otherwise the syscall and what follows it (3 bytes at least, from a short list of
 *			instructions that mean the same elsewhere) become a jump; the trampoline executes the
 *			displaced instructions. The jump's distance is chosen such that every byte at which one of
 *			them began is an opcode that does not exist: who jumps there gets #UD and is led
 *			to the displaced copy (patch_repair).
 *
 * The program's stack is not touched and the registers are those of the syscall instruction, so the red zone, clone
 * and signal restarts need no special care. Sites in writable or shared memory and those that fit no pattern
 * keep using the gate. All functions are called with the kernel lock held.
 */
#ifndef NUCLEO_ENTRY_PATCH_H
#define NUCLEO_ENTRY_PATCH_H

#include "kernel/arch.h"

/* After a system call came through the gate: counts its site and patches it in time. May change
 * regs->rip to the place behind the displaced instruction. */
void patch_site(struct regs *regs);
/* #UD: true if it came from the middle of a patched site; regs->rip then leads to the right place. */
bool patch_repair(struct regs *regs);
/* The address at which the call that regs comes from is made again. */
uint64_t patch_restart_rip(const struct regs *regs);
/* [va, va + bytes) of mm is about to be unmapped, replaced or made writable: what was there before
 * patching is put back where it still is our jump. */
void patch_code_changed(struct mm *mm, uint64_t va, uint64_t bytes);
void patch_mm_free(struct mm *mm);

/* Portable part (kernel/entry/patch_decode.c), tested on the host. */
#define PATCH_DISPLACED_MAX 16u
struct patch_plan {
	bool number_before;
	unsigned start;       /* the jump goes to site - start (0 if behind) */
	unsigned displaced;   /* bytes of code behind the syscall that the trampoline executes */
	unsigned boundaries;  /* instructions that began in the overwritten part, behind the syscall */
	unsigned boundary[3]; /* their offsets from the site: 2, 3 or 4 */
	bool ends;            /* the displaced code ends with ret or jmp: no way back needed */
};
/* before: the 8 bytes before the site, after: `after_bytes` from site + 2 on. False: leave it alone. */
bool patch_plan(struct patch_plan *plan, uint64_t number, const uint8_t before[8], const uint8_t *after,
		unsigned after_bytes);
/* Whether a jump with this distance has opcodes that do not exist at all boundaries. */
bool patch_distance_fits(const struct patch_plan *plan, int32_t distance);

extern uint64_t patch_sites_patched; /* for --counts */

#endif
