/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The per-vCPU page: what the gate and the entry code address through GS. Its head is shared with the
 * monitor (include/abi/boot.h); the interrupt stacks (IST) with the iret frames above them fill the
 * rest of it. Assembler sees the offsets only.
 */
#ifndef NUCLEO_ENTRY_CPU_H
#define NUCLEO_ENTRY_CPU_H

#define CPU_PENDING 0x10 /* with irq_busy right behind: one 8-byte store sets 1 and clears busy */
#define CPU_IRQ_BUSY 0x14
#define CPU_USER_RSP 0x40
#define CPU_SYSCALL_FRAME 0x48 /* address of syscall_frame */
#define CPU_CURRENT 0x50
#define CPU_KERNEL_STACK 0x58
#define CPU_RETURN_RIP 0x60
#define CPU_RETURN_RSP 0x68
#define CPU_FRAME 0x70      /* five words: where the gate's iretq goes after syscall */
#define CPU_STEP_FRAME 0x98 /* five words: a program that is single-stepped */
#define CPU_STEPPED 0xc0    /* the program came in single-stepping */
#define CPU_SPURIOUS 0xc8   /* program address that the kernel faulted on since it took the lock */

/* IST numbers. */
#define IST_PAGE_FAULT 1
#define IST_IRQ 2
#define IST_EXCEPTION 3
#define IST_DOUBLE_FAULT 4
#define IST_BREAKPOINT 5
#define IST_TOP(n) (1024 + (n)*256 - 48) /* LAMPO_CPU_IST_TOP */

/* What the CPU and the gate leave below an IST top. */
#define IST_SS(n) (IST_TOP(n) - 8)
#define IST_RSP(n) (IST_TOP(n) - 16)
#define IST_RFLAGS(n) (IST_TOP(n) - 24)
#define IST_CS(n) (IST_TOP(n) - 32)
#define IST_RIP(n) (IST_TOP(n) - 40)
#define IST_ERROR(n) (IST_TOP(n) - 48)
#define IST_RAX (IST_TOP(IST_PAGE_FAULT) - 56)
#define IST_CR2 (IST_TOP(IST_PAGE_FAULT) - 64)
#define IST_VECTOR (IST_TOP(IST_EXCEPTION) - 56)

/* struct thread and struct regs, bound by static assertions in entry.c. */
#define THREAD_KERNEL_RSP 0
#define THREAD_PROCESS 32
#define THREAD_TID 44
#define PROCESS_PID 16
#define PROCESS_PPID 28
#define REGS_BYTES 160
#define REGS_FULL 152
#define REGS_FULL_STEP 2 /* full: leave by iretq, so that the trap comes after the program's instruction */
#define RFLAGS_TF 0x100

/* Selectors, as include/abi/boot.h. */
#define SEL_UCODE 0x33
#define SEL_UDATA 0x2b

/* High half of every address in nucleo's image. */
#define IMAGE_HIGH 0x7ff0
/* From this high half on there are no programs. */
#define KERNEL_HIGH 0x7f80

#ifndef __ASSEMBLER__

#include "kernel/arch.h"

struct iret_frame {
	uint64_t rip, cs, rflags, rsp, ss;
};

struct cpu {
	struct lampo_cpu_head head;
	uint64_t user_rsp;
	struct iret_frame *frame_pointer;
	struct thread *thread; /* running now */
	uint64_t kernel_stack;
	uint64_t return_rip, return_rsp;
	struct iret_frame syscall_frame, step_frame;
	uint64_t stepped;
	uint64_t spurious;
	/* From here on: C only. */
	struct thread *idle;
	uint64_t pml4_gpa;        /* loaded now */
	struct thread *fpu_owner; /* whose FPU state the registers hold */
	uint64_t timer_ns;        /* armed interrupt, ~0: none */
	uint32_t flush;           /* counts the times that others wanted this vCPU to drop its translations */
	uint32_t flushed;         /* the count up to which it has done so */
	uint32_t outside;         /* sleeps in the monitor: no program runs, nothing to flush at once */
	uint32_t started;
};

extern struct cpu *cpus[LAMPO_CPUS_MAX];

static inline struct cpu *cpu_self(void)
{
	struct cpu *cpu;
	__asm__ volatile("mov %%gs:0, %0" : "=r"(cpu)); /* not to be kept across a switch */
	return cpu;
}

#endif
#endif
