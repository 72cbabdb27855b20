/* SPDX-License-Identifier: Apache-2.0 */
/* Undefined and privileged instructions, breakpoints and single steps become the signals that Linux gives. */
#include "check.h"

static volatile int steps;
static volatile uintptr_t step_at[16];

static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)sig;
	if (steps < 16)
		step_at[steps] = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
	CHECK_EQ(info->si_code, TRAP_TRACE);
	steps++;
}

int main(void)
{
	faults_catch(0);
	CHECK_EQ(FAULTS(__asm__ volatile("ud2")), SIGILL);
	CHECK_EQ(fault_info.si_code, ILL_ILLOPN);
	CHECK_EQ((uintptr_t)fault_info.si_addr, fault_regs[REG_RIP]);
	CHECK_EQ(fault_regs[REG_TRAPNO], 6);
	CHECK_EQ(FAULTS(__asm__ volatile(".byte 0x60")), SIGILL); /* pusha: not in 64-bit mode */

	/* Privileged: general protection. */
	CHECK_EQ(FAULTS(__asm__ volatile("hlt")), SIGSEGV);
	CHECK_EQ(fault_info.si_code, SI_KERNEL);
	CHECK_EQ(fault_regs[REG_TRAPNO], 13);
	CHECK_EQ(FAULTS(__asm__ volatile("cli")), SIGSEGV);
	CHECK_EQ(FAULTS(__asm__ volatile("mov %%rax, %%cr3" : : "a"(0ul))), SIGSEGV);
	CHECK_EQ(FAULTS(__asm__ volatile("wrmsr" : : "c"(0xc0000082), "a"(0), "d"(0))), SIGSEGV);
	CHECK_EQ(FAULTS(__asm__ volatile("out %%al, %%dx" : : "a"(0), "d"(0x80))), SIGSEGV);
	CHECK_EQ(FAULTS(__asm__ volatile("inb %%dx, %%al" : : "d"(0x60) : "rax")), SIGSEGV);
	CHECK_EQ(FAULTS(__asm__ volatile("lidt (%0)" : : "r"(&steps))), SIGSEGV);
	CHECK_EQ(FAULTS(__asm__ volatile("int $0x21")), SIGSEGV);

	CHECK_EQ(FAULTS(__asm__ volatile("int3")), SIGTRAP);
	CHECK_EQ(fault_info.si_code, SI_KERNEL);
	CHECK_EQ(fault_regs[REG_TRAPNO], 3);

	/* Five instructions in single step. */
	struct sigaction sa = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
	sigaction(SIGTRAP, &sa, NULL);
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq\n"
			 "nop; nop; nop\n"
			 "pushfq; andl $~0x100, (%%rsp); popfq\n"
			 :
			 :
			 : "memory", "cc");
	CHECK_EQ(steps, 6);
	CHECK_EQ(step_at[1] - step_at[0], 1);
	CHECK_EQ(step_at[2] - step_at[1], 1);
	return check_done();
}
