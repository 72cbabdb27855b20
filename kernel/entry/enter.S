/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways in from programs and out to them; all of it runs in ring 3.
 *
 * The sections at the start of the image are special to the gate when an interrupt arrives:
 *   .entry.fast  whole system calls that change nothing but rax and r11 before they return: a program
 *		  interrupted here is treated as if it were in its own code;
 *   .entry.exit  the way out: interrupted here, it is begun again (the registers still lie on the
 *		  kernel stack), so that no interrupt goes unnoticed between the last check and the program.
 * An interrupt anywhere else in nucleo only sets the vCPU's pending flag.
 */
#include "kernel/entry/cpu.h"

	.section .entry.fast, "ax"
/* From the trampolines of patched call sites of these numbers: as after a syscall instruction, rcx = return
 * address, rsp, flags and all other registers the program's; r11 is free. */
	.globl entry_fast_gettid, entry_fast_getpid, entry_fast_getppid
	.balign 64
entry_fast_gettid:
	mov %gs:CPU_CURRENT, %r11
	mov THREAD_TID(%r11), %eax
	jmp *%rcx
	.balign 16
entry_fast_getpid:
	mov %gs:CPU_CURRENT, %r11
	mov THREAD_PROCESS(%r11), %r11
	mov PROCESS_PID(%r11), %eax
	jmp *%rcx
	.balign 16
entry_fast_getppid:
	mov %gs:CPU_CURRENT, %r11
	mov THREAD_PROCESS(%r11), %r11
	mov PROCESS_PPID(%r11), %eax
	jmp *%rcx
	.globl entry_fast_end
entry_fast_end:

	.section .entry.exit, "ax"
/* struct regs is at kernel stack top - REGS_BYTES; the kernel lock is not held. */
	.globl entry_exit
entry_exit:
	mov %gs:CPU_KERNEL_STACK, %rsp
	sub $REGS_BYTES, %rsp
	cmpl $0, %gs:CPU_PENDING
	jne entry_exit_pending
	cmpq $0, REGS_FULL(%rsp)
	jne exit_full
	/* After a system call: rcx and r11 are the program's to lose. */
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	add $8, %rsp
	pop %r10
	pop %r9
	pop %r8
	pop %rax
	add $8, %rsp
	pop %rdx
	pop %rsi
	pop %rdi
	add $8, %rsp
	pop %rcx
	popfq
	pop %rsp
	jmp *%rcx
exit_full:
	cmpq $REGS_FULL_STEP, REGS_FULL(%rsp)
	je exit_step
	mov 16*8(%rsp), %rax
	mov %rax, %gs:CPU_RETURN_RIP
	mov 18*8(%rsp), %rax
	mov %rax, %gs:CPU_RETURN_RSP
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rax
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
	add $16, %rsp
	popfq
	mov %gs:CPU_RETURN_RSP, %rsp
	jmp *%gs:CPU_RETURN_RIP
exit_step:
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rax
	pop %rcx
	pop %rdx
	pop %rsi
	pop %rdi
	mov %gs:0, %rsp
	add $CPU_STEP_FRAME, %rsp
	iretq
	.globl entry_exit_end
entry_exit_end:

	.section .text.entry, "ax"
	.balign 16
	/* flags: how to push the program's. */
	.macro save_syscall flags:vararg
	mov %gs:CPU_KERNEL_STACK, %rsp
	pushq $0
	pushq %gs:CPU_USER_RSP
	\flags
	push %rcx
	push %rax
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %rax
	push %r8
	push %r9
	push %r10
	push %r11
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	.endm

	.globl entry_trampoline
entry_trampoline:
	mov %rsp, %gs:CPU_USER_RSP
	save_syscall pushfq
	call entry_on_syscall
	jmp entry_exit

	.balign 16
	.globl entry_syscall
/* From the gate, which has put the program's rsp into the vCPU page. */
entry_syscall:
	save_syscall push %r11
	call entry_on_gate_syscall
	jmp entry_exit

	.balign 16
	.globl entry_page_fault
entry_page_fault:
	cmpl $IMAGE_HIGH, %gs:IST_RIP(IST_PAGE_FAULT) + 4
	jae kernel_fault
	mov %gs:CPU_KERNEL_STACK, %rsp
	pushq $1
	pushq %gs:IST_RSP(IST_PAGE_FAULT)
	pushq %gs:IST_RFLAGS(IST_PAGE_FAULT)
	pushq %gs:IST_RIP(IST_PAGE_FAULT)
	pushq $-1
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	pushq %gs:IST_RAX
	call save_rest
	mov %gs:IST_CR2, %rsi
	mov %gs:IST_ERROR(IST_PAGE_FAULT), %rdx
	call entry_on_page_fault
	jmp entry_exit

	.balign 16
	.globl entry_exception
entry_exception:
	cmpl $IMAGE_HIGH, %gs:IST_RIP(IST_EXCEPTION) + 4
	jae exception_in_kernel
	mov %gs:CPU_KERNEL_STACK, %rsp
	pushq $1
	pushq %gs:IST_RSP(IST_EXCEPTION)
	pushq %gs:IST_RFLAGS(IST_EXCEPTION)
	pushq %gs:IST_RIP(IST_EXCEPTION)
	pushq $-1
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %rax
	call save_rest
	mov %gs:IST_VECTOR, %rsi
	mov %gs:IST_ERROR(IST_EXCEPTION), %rdx
	call entry_on_exception
	jmp entry_exit

	.balign 16
	.globl entry_breakpoint
entry_breakpoint:
	mov %gs:CPU_KERNEL_STACK, %rsp
	pushq $1
	pushq %gs:IST_RSP(IST_BREAKPOINT)
	pushq %gs:IST_RFLAGS(IST_BREAKPOINT)
	pushq %gs:IST_RIP(IST_BREAKPOINT)
	pushq $-1
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %rax
	call save_rest
	mov $3, %esi
	xor %edx, %edx
	call entry_on_exception
	jmp entry_exit

	.balign 16
	.globl entry_irq
entry_irq:
	cmpl $IMAGE_HIGH, %gs:IST_RIP(IST_IRQ) + 4
	jb 1f
	cmpl $entry_fast_end_low, %gs:IST_RIP(IST_IRQ)
	jb 1f
	/* It came on the way out: begin that again, as if the interrupt had been pending. */
	movq $1, %gs:CPU_PENDING
	jmp entry_exit
1:	mov %gs:CPU_KERNEL_STACK, %rsp
	pushq $1
	pushq %gs:IST_RSP(IST_IRQ)
	pushq %gs:IST_RFLAGS(IST_IRQ)
	pushq %gs:IST_RIP(IST_IRQ)
	pushq $-1
	movl $0, %gs:CPU_IRQ_BUSY	/* the frame is read */
	push %rdi
	push %rsi
	push %rdx
	push %rcx
	push %rax
	call save_rest
	call entry_on_irq
	jmp entry_exit

entry_exit_pending:
	mov %rsp, %rdi
	call entry_on_pending
	jmp entry_exit

/* The second half of struct regs; rdi = regs on return. */
save_rest:
	pop %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	push %rdi
	lea 8(%rsp), %rdi
	ret

/* A program that single-steps itself has come in by a patched site: go on without, until it leaves. */
exception_in_kernel:
	cmpq $1, %gs:IST_VECTOR
	jne kernel_fault_exception
	movq $1, %gs:CPU_STEPPED
	andq $~RFLAGS_TF, %gs:IST_RFLAGS(IST_EXCEPTION)
	mov %gs:0, %rsp
	add $IST_RIP(IST_EXCEPTION), %rsp
	iretq

/* The kernel touches program memory only where the page tables allow it. But they may allow more since this
 * vCPU last looked, and rights are added without a flush: the first fault at an address is taken for
 * that, and the access made again (SDM volume 3, 4.10.4.3). */
kernel_fault:
	cmpl $KERNEL_HIGH, %gs:IST_CR2 + 4
	jae 1f
	mov %gs:IST_CR2, %rax
	cmp %rax, %gs:CPU_SPURIOUS
	je 1f
	mov %rax, %gs:CPU_SPURIOUS
	mov %gs:IST_RAX, %rax
	mov %gs:0, %rsp
	add $IST_RIP(IST_PAGE_FAULT), %rsp
	iretq
1:	mov %gs:IST_RSP(IST_PAGE_FAULT), %rcx
	mov %gs:IST_CR2, %rsi
	mov %gs:IST_RIP(IST_PAGE_FAULT), %rdx
	mov $14, %edi
	lea panic_stack_top(%rip), %rsp
	call entry_kernel_fault
kernel_fault_exception:
	mov %gs:IST_RSP(IST_EXCEPTION), %rcx
	mov %gs:IST_RIP(IST_EXCEPTION), %rdx
	mov %gs:IST_VECTOR, %rdi
	xor %esi, %esi
	lea panic_stack_top(%rip), %rsp
	call entry_kernel_fault

/* arch_switch_stacks(uint64_t *save, uint64_t load) */
	.balign 16
	.globl entry_switch_stacks
entry_switch_stacks:
	push %rbp
	push %rbx
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, (%rdi)
	mov %rsi, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbx
	pop %rbp
	ret

/* First switch to a thread: r12 = entry (or 0: to the program), r13 = argument. */
	.globl entry_thread_start
entry_thread_start:
	test %r12, %r12
	jz 1f
	mov %r13, %rdi
	call *%r12
	ud2
1:	mov %gs:CPU_KERNEL_STACK, %rdi
	sub $REGS_BYTES, %rdi
	call entry_on_start
	jmp entry_exit

/* A vCPU begins here: rdi = boot info, rsi = vCPU index. GS base is the vCPU page. */
	.globl nucleo_entry
nucleo_entry:
	test %esi, %esi
	jnz 1f
	lea boot_stack_top(%rip), %rsp
	xor %ebp, %ebp
	call boot_main
1:	mov %gs:CPU_KERNEL_STACK, %rsp
	xor %ebp, %ebp
	call boot_secondary
	ud2

	.section .bss.hot, "aw", @nobits
	.balign 16
	.skip 8192
	.globl boot_stack_top
boot_stack_top:
	.section .bss, "aw", @nobits
	.balign 16
	.skip 8192
panic_stack_top:

	.section .note.GNU-stack, "", @progbits
