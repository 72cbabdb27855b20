/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic faults: integer division, SSE and x87 exceptions, each as SIGFPE with its code. */
#include "check.h"
#include <cpuid.h>
#include <fenv.h>

/* QEMU's emulated processor never raises the exceptions of SSE. */
static bool processor_is_emulated(void)
{
	unsigned regs[13] = {0};

	for (unsigned i = 0; i < 3; i++)
		__get_cpuid(0x80000002 + i, &regs[i * 4], &regs[i * 4 + 1], &regs[i * 4 + 2], &regs[i * 4 + 3]);
	return strstr((char *)regs, "QEMU TCG") != NULL;
}

static volatile int zero = 0, minus_one = -1, int_min = INT32_MIN;

int main(void)
{
	faults_catch(0);
	volatile int r = 0;
	CHECK_EQ(FAULTS(r = 5 / zero), SIGFPE);
	CHECK_EQ(fault_info.si_code, FPE_INTDIV);
	CHECK_EQ((uintptr_t)fault_info.si_addr, fault_regs[REG_RIP]);
	CHECK_EQ(fault_regs[REG_TRAPNO], 0);
	CHECK_EQ(FAULTS(r = int_min / minus_one), SIGFPE);
	CHECK_EQ(FAULTS(r = 5 % zero), SIGFPE);
	CHECK_EQ(FAULTS(r = 6 / minus_one), 0);
	CHECK_EQ(r, -6);

	/* SSE: masked by default, a signal when not. */
	volatile double d = 1.0, z = 0.0, q;
	CHECK_EQ(FAULTS(q = d / z), 0);
	(void)q;
	uint32_t old, csr;
	__asm__ volatile("stmxcsr %0" : "=m"(old));
	csr = (old & ~0x3fu) & ~0x200u; /* unmask divide by zero */
	int sse = FAULTS(__asm__ volatile("ldmxcsr %0" : : "m"(csr)); q = d / z);
	__asm__ volatile("ldmxcsr %0" : : "m"(old));
	if (sse != 0 || !processor_is_emulated()) {
		CHECK_EQ(sse, SIGFPE);
		CHECK_EQ(fault_info.si_code, FPE_FLTDIV);
		CHECK_EQ(fault_regs[REG_TRAPNO], 19);
	}

	/* x87: reported at the next waiting instruction. */
	uint16_t cw = 0x37f & ~4;
	CHECK_EQ(FAULTS(__asm__ volatile("fldcw %0; fldz; fld1; fdiv %%st(1), %%st; fwait" : : "m"(cw))), SIGFPE);
	__asm__ volatile("fnclex; fninit");
	CHECK_EQ(fault_info.si_code, FPE_FLTDIV);
	CHECK_EQ(fault_regs[REG_TRAPNO], 16);
	return check_done();
}
