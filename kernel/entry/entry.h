/* SPDX-License-Identifier: Apache-2.0 */
/* Called by enter.S, without the kernel lock, which they take and give back. */
#ifndef NUCLEO_ENTRY_ENTRY_H
#define NUCLEO_ENTRY_ENTRY_H

#include "kernel/arch.h"

struct entry_statistics {
	uint64_t gate_syscalls, page_faults, exceptions, interrupts;
};
extern struct entry_statistics entry_statistics;

void entry_on_syscall(struct regs *regs);      /* from a patched site */
void entry_on_gate_syscall(struct regs *regs); /* from a syscall instruction */
void entry_on_page_fault(struct regs *regs, uint64_t va, uint64_t error);
void entry_on_exception(struct regs *regs, uint64_t vector, uint64_t error);
void entry_on_irq(struct regs *regs);
void entry_on_pending(struct regs *regs); /* an interrupt came while the kernel ran */
void entry_on_start(struct regs *regs);   /* a thread's first way out; the lock is held */
/* The current kernel thread goes on as a program; the lock is held. */
_Noreturn void entry_start_program(void);
_Noreturn void entry_exit(void);
_Noreturn void entry_kernel_fault(uint64_t vector, uint64_t address, uint64_t rip, uint64_t rsp);
void boot_main(struct lampo_boot_info *info);
_Noreturn void boot_secondary(void);

#endif
