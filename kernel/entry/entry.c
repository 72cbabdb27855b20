/* SPDX-License-Identifier: Apache-2.0 */
/* From a program into the kernel and back: the C half of enter.S. */
#include "kernel/entry/entry.h"

#include <asm/siginfo.h>
#include <asm/signal.h>

#include "kernel/entry/lock.h"
#include "kernel/entry/machine.h"
#include "kernel/entry/patch.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

_Static_assert(offsetof(struct cpu, head.pending) == CPU_PENDING, "");
_Static_assert(offsetof(struct cpu, head.irq_busy) == CPU_IRQ_BUSY, "");
_Static_assert(offsetof(struct cpu, user_rsp) == CPU_USER_RSP, "");
_Static_assert(offsetof(struct cpu, frame_pointer) == CPU_SYSCALL_FRAME, "");
_Static_assert(offsetof(struct cpu, thread) == CPU_CURRENT, "");
_Static_assert(offsetof(struct cpu, kernel_stack) == CPU_KERNEL_STACK, "");
_Static_assert(offsetof(struct cpu, return_rip) == CPU_RETURN_RIP, "");
_Static_assert(offsetof(struct cpu, return_rsp) == CPU_RETURN_RSP, "");
_Static_assert(offsetof(struct cpu, syscall_frame) == CPU_FRAME, "");
_Static_assert(offsetof(struct cpu, step_frame) == CPU_STEP_FRAME, "");
_Static_assert(offsetof(struct cpu, stepped) == CPU_STEPPED, "");
_Static_assert(offsetof(struct cpu, spurious) == CPU_SPURIOUS, "");
_Static_assert(sizeof(struct cpu) <= LAMPO_CPU_IST_BASE, "");
_Static_assert(sizeof(struct regs) == REGS_BYTES && offsetof(struct regs, full) == REGS_FULL, "");
_Static_assert(offsetof(struct thread, kernel_rsp) == THREAD_KERNEL_RSP, "");
_Static_assert(offsetof(struct thread, process) == THREAD_PROCESS, "");
_Static_assert(offsetof(struct thread, tid) == THREAD_TID, "");
_Static_assert(offsetof(struct process, pid) == PROCESS_PID, "");
_Static_assert(offsetof(struct process, ppid) == PROCESS_PPID, "");
_Static_assert(IST_TOP(1) == LAMPO_CPU_IST_TOP(1), "");
_Static_assert(SEL_UCODE == LAMPO_SEL_UCODE && SEL_UDATA == LAMPO_SEL_UDATA, "");
_Static_assert(LAMPO_VA_KERNEL >> 32 == IMAGE_HIGH, "");

/* Page-fault error code bit: the access was a fetch, write, to a present page: mm_fault() knows them. */

struct entry_statistics entry_statistics;

/* popfq would bring the trap while the kernel still runs; iretq brings it after the program's instruction. */
static void leave_stepping(struct cpu *cpu, struct regs *regs)
{
	cpu->stepped = 0;
	regs->rflags |= RFLAGS_TF;
	regs->full = REGS_FULL_STEP;
	cpu->step_frame = (struct iret_frame){regs->rip, SEL_UCODE, regs->rflags, regs->rsp, SEL_UDATA};
}

/* The last look before the program goes on: with the lock held, which it gives back. */
static void leave(struct regs *regs)
{
	struct cpu *cpu = cpu_self();

	for (;;) {
		if (unlikely(cpu->head.pending != 0)) {
			cpu->head.pending = 0;
			cpu->timer_ns = UINT64_MAX;
			sched_interrupt();
		} else if (unlikely((current->work & ~THREAD_WORK_STRACE) != 0)) {
			thread_work(regs);
			cpu = cpu_self(); /* thread_work may have slept and come back on another vCPU */
		} else {
			break;
		}
	}
	if (unlikely(cpu->stepped != 0 || (regs->rflags & RFLAGS_TF) != 0))
		leave_stepping(cpu, regs);
	kernel_unlock();
}

void entry_on_syscall(struct regs *regs)
{
	kernel_lock();
	syscall_dispatch(regs);
	leave(regs);
}

void entry_on_gate_syscall(struct regs *regs)
{
	kernel_lock();
	entry_statistics.gate_syscalls++;
	patch_site(regs);
	syscall_dispatch(regs);
	leave(regs);
}

void entry_on_page_fault(struct regs *regs, uint64_t va, uint64_t error)
{
	int code = 0;

	kernel_lock();
	entry_statistics.page_faults++;
	int signal = mm_fault(current->process->mm, va, (uint32_t)error, &code);
	if (unlikely(signal != 0))
		signal_fault(signal, code, va, 14, error);
	leave(regs);
}

/* si_code of a floating-point exception: of the flags that are set and not masked (Intel SDM volume 1, 8.5 and 11.5).
 */
static int fpe_code(uint64_t vector)
{
	uint32_t flags, mxcsr;
	uint16_t status, control;

	if (vector == 16) {
		__asm__("fnstsw %0" : "=am"(status));
		__asm__("fnstcw %0" : "=m"(control));
		flags = status & ~(uint32_t)control;
	} else {
		__asm__("stmxcsr %0" : "=m"(mxcsr));
		flags = mxcsr & ~(mxcsr >> 7);
	}
	if (flags & 1)
		return FPE_FLTINV;
	if (flags & 4)
		return FPE_FLTDIV;
	if (flags & 8)
		return FPE_FLTOVF;
	if (flags & (2 | 16))
		return FPE_FLTUND;
	return flags & 32 ? FPE_FLTRES : FPE_FLTINV;
}

/* PVM-style KVM raises #UD for int n, where the CPU raises #GP. */
static bool is_int_instruction(uint64_t rip)
{
	uint8_t opcode;

	return user_read(&opcode, rip, 1) == 0 && opcode == 0xcd;
}

void entry_on_exception(struct regs *regs, uint64_t vector, uint64_t error)
{
	static const struct {
		int signal, code;
	} faults[20] = {
	    [0] = {SIGFPE, FPE_INTDIV},  [1] = {SIGTRAP, TRAP_TRACE}, [3] = {SIGTRAP, SI_KERNEL},
	    [4] = {SIGSEGV, SI_KERNEL},  [5] = {SIGSEGV, SI_KERNEL},  [6] = {SIGILL, ILL_ILLOPN},
	    [7] = {SIGSEGV, SI_KERNEL},  [10] = {SIGSEGV, SI_KERNEL}, [11] = {SIGBUS, SI_KERNEL},
	    [12] = {SIGBUS, SI_KERNEL},  [13] = {SIGSEGV, SI_KERNEL}, [16] = {SIGFPE, FPE_FLTINV},
	    [17] = {SIGBUS, BUS_ADRALN}, [19] = {SIGFPE, FPE_FLTINV},
	};

	kernel_lock();
	entry_statistics.exceptions++;
	if (vector == 6 && patch_repair(regs)) {
		leave(regs);
		return;
	}
	unsigned v = vector < countof(faults) ? (unsigned)vector : 13;
	if (v == 6 && is_int_instruction(regs->rip))
		v = 13;
	uint64_t address = v == 13 || v == 12 || v == 11 ? 0 : regs->rip;
	int code = v == 16 || v == 19 ? fpe_code(v) : faults[v].code;
	signal_fault(faults[v].signal, code, address, v, error);
	leave(regs);
}

void entry_on_irq(struct regs *regs)
{
	struct cpu *cpu = cpu_self();

	kernel_lock();
	entry_statistics.interrupts++;
	cpu->timer_ns = UINT64_MAX;
	sched_interrupt();
	leave(regs);
}

void entry_on_pending(struct regs *regs)
{
	kernel_lock();
	leave(regs);
}

void entry_on_start(struct regs *regs) { leave(regs); }

void entry_start_program(void)
{
	leave(arch_thread_regs(current));
	entry_exit();
}

void entry_kernel_fault(uint64_t vector, uint64_t address, uint64_t rip, uint64_t rsp)
{
	panic("exception %lu in the kernel at %lx, address %lx, stack %lx", vector, rip, address, rsp);
}

void arch_report_counts(void)
{
	klog("lampo: %lu system calls through the gate, %lu sites patched; %lu page faults, %lu other exceptions, %lu "
	     "interrupts",
	     entry_statistics.gate_syscalls, patch_sites_patched, entry_statistics.page_faults,
	     entry_statistics.exceptions, entry_statistics.interrupts);
}
