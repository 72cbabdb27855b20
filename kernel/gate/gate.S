/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: all of nucleo that runs in ring 0. It reflects exceptions, interrupts and the first
 * system call of each site to ring 3, and loads CR3. On hosts whose KVM emulates ring 0 every
 * instruction here costs about a third of a microsecond, so there are as few as possible.
 *
 * A frame for iretq lies right above the top of each interrupt stack (kernel/entry/cpu.h), filled in
 * by ring 3: moving RSP up over what the CPU pushed makes it the top of stack.
 *
 * Exceptions and interrupts clear IF here and iretq's frame sets it again: on PVM-style KVM an interrupt in ring 0
 * could never return, since iretq to ring 0 is not emulated there. The way of syscall must not clear IF (DESIGN:
 * that code runs in ring 3 on such hosts, where iretq cannot set it). A second interrupt before the first one's frame
 * is read is kept away by irq_busy (include/abi/boot.h).
 */
#include "kernel/entry/cpu.h"

	.section .header, "a"
	.globl image_header
image_header:
	.quad 0x6f656c63756e2e6c	/* LAMPO_IMAGE_MAGIC */
	.long 2				/* LAMPO_ABI_VERSION */
	.long (gates_end - gates) / 16
	.quad nucleo_entry
	.quad gate_syscall
gates:
	.macro gate_entry vector, handler, ist, dpl=0
	.quad \handler
	.byte \vector, \ist, \dpl, 0, 0, 0, 0, 0
	.endm
	gate_entry 0, gate_vector_0, IST_EXCEPTION
	gate_entry 1, gate_vector_1, IST_EXCEPTION
	gate_entry 2, gate_nothing, IST_DOUBLE_FAULT
	gate_entry 3, gate_breakpoint, IST_BREAKPOINT, 3
	gate_entry 4, gate_vector_4, IST_EXCEPTION, 3
	gate_entry 5, gate_vector_5, IST_EXCEPTION
	gate_entry 6, gate_vector_6, IST_EXCEPTION
	gate_entry 7, gate_vector_7, IST_EXCEPTION
	gate_entry 8, gate_double_fault, IST_DOUBLE_FAULT
	gate_entry 10, gate_vector_10, IST_EXCEPTION
	gate_entry 11, gate_vector_11, IST_EXCEPTION
	gate_entry 12, gate_vector_12, IST_EXCEPTION
	gate_entry 13, gate_vector_13, IST_EXCEPTION
	gate_entry 14, gate_page_fault, IST_PAGE_FAULT
	gate_entry 16, gate_vector_16, IST_EXCEPTION
	gate_entry 17, gate_vector_17, IST_EXCEPTION
	gate_entry 19, gate_vector_19, IST_EXCEPTION
	gate_entry 32, gate_irq, IST_IRQ
gates_end:
	.fill 64 * 16 - (gates_end - gates), 1, 0

	.section .gate, "ax"
	.balign 16
	.globl gate_syscall
/* rcx: behind the syscall instruction; r11: flags. PVM-style KVM runs this natively, in ring 3. */
gate_syscall:
	mov %rsp, %gs:CPU_USER_RSP
	mov %gs:CPU_SYSCALL_FRAME, %rsp
	iretq

	.balign 16
gate_page_fault:
	push %rax
	mov %cr2, %rax
	push %rax
	add $64, %rsp
	iretq

	.balign 16
gate_irq:
	cmpl $IMAGE_HIGH, 4(%rsp)
	jb 1f
	cmpl $entry_restartable_low, (%rsp)
	jb 1f
	movq $1, %gs:CPU_PENDING	/* nucleo was running: it looks at this on its way out */
	iretq
1:	add $40, %rsp
	iretq

/* int3: nucleo's own ask for a privileged operation, rdi = operand, eax = 0: load CR3, 1: invlpg. */
	.balign 16
gate_breakpoint:
	cmpl $IMAGE_HIGH, 4(%rsp)
	jb 2f
	test %eax, %eax
	jnz 1f
	mov %rdi, %cr3
	iretq
1:	invlpg (%rdi)
	iretq
2:	add $40, %rsp
	iretq

gate_nothing:
	iretq

gate_double_fault:
	hlt
	jmp gate_double_fault

	/* The CPU pushes an error code for some vectors; for the others the gate does. */
	.macro gate_vector vector, error
	.balign 16
gate_vector_\vector:
	.if !\error
	push $0
	.endif
	push $\vector
	add $56, %rsp
	iretq
	.endm
	gate_vector 0, 0
	gate_vector 1, 0
	gate_vector 4, 0
	gate_vector 5, 0
	gate_vector 6, 0
	gate_vector 7, 0
	gate_vector 10, 1
	gate_vector 11, 1
	gate_vector 12, 1
	gate_vector 13, 1
	gate_vector 16, 0
	gate_vector 17, 1
	gate_vector 19, 0

	.section .note.GNU-stack, "", @progbits
