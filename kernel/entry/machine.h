/* SPDX-License-Identifier: Apache-2.0 */
/* The vCPU page, doorbells, CR3: what the files of kernel/entry/ share. */
#ifndef NUCLEO_ENTRY_MACHINE_H
#define NUCLEO_ENTRY_MACHINE_H

#include "kernel/entry/cpu.h"

/* A doorbell (include/abi/doorbell.h); the lock stays as it is. */
static inline void machine_ring(unsigned port, uint32_t value)
{
	volatile uint32_t *bell = (volatile uint32_t *)(LAMPO_VA_MMIO + (LAMPO_GPA_DOORBELL - LAMPO_GPA_MMIO) + port);

	/* One plain store: the monitor emulates this instruction. */
	__asm__ volatile("movl %1, %0" : "=m"(*bell) : "r"(value) : "memory");
}

/* Drops this vCPU's translations if another vCPU has asked for it. */
void machine_serve_flush(void);
/* Fills the vCPU page's frames and fields; stack_top is that of the idle context. */
void machine_init_cpu(struct cpu *cpu, uint64_t stack_top);

#endif
