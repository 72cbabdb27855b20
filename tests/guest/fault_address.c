/* SPDX-License-Identifier: Apache-2.0 */
/* A bad access becomes SIGSEGV with the right address and code, and nothing else is hurt: again and again. */
#include "check.h"
#include <sys/mman.h>

static void expect(uintptr_t at, bool write, int code)
{
	if (write)
		CHECK_EQ(FAULTS(TOUCH_WRITE(at)), SIGSEGV);
	else
		CHECK_EQ(FAULTS(TOUCH_READ(at)), SIGSEGV);
	CHECK_EQ(fault_info.si_signo, SIGSEGV);
	CHECK_EQ(fault_info.si_code, code);
	if (code != SI_KERNEL) {
		CHECK_EQ((uintptr_t)fault_info.si_addr, at);
		CHECK_EQ(fault_regs[REG_CR2], (long long)at);
		CHECK_EQ(fault_regs[REG_TRAPNO], 14);
		CHECK_EQ((fault_regs[REG_ERR] >> 1) & 1, write);
		CHECK_EQ((fault_regs[REG_ERR] >> 2) & 1, 1);
	}
}

int main(void)
{
	faults_catch(0);
	expect(0, false, SEGV_MAPERR);
	expect(0, true, SEGV_MAPERR);
	expect(0x18, true, SEGV_MAPERR);
	expect(0xfff, false, SEGV_MAPERR);
	expect(0x10000, false, SEGV_MAPERR);
	/* Not canonical: a general protection fault on the processor. */
	expect(0x8000000000000000ul, false, SI_KERNEL);
	expect(0x0000900000000000ul, true, SI_KERNEL);
	/* The kernel's half. */
	CHECK_EQ(FAULTS(TOUCH_READ(0xffff888000000000ul)), SIGSEGV);
	CHECK_EQ(FAULTS(TOUCH_WRITE(0xffffffff81000000ul)), SIGSEGV);

	/* A jump to nowhere: address and instruction pointer are the target. */
	void (*volatile nowhere)(void) = NULL;
	CHECK_EQ(FAULTS(nowhere()), SIGSEGV);
	CHECK_EQ((uintptr_t)fault_info.si_addr, 0);
	CHECK_EQ(fault_regs[REG_RIP], 0);
	nowhere = (void (*)(void))0x1234;
	CHECK_EQ(FAULTS(nowhere()), SIGSEGV);
	CHECK_EQ(fault_regs[REG_RIP], 0x1234);

	/* An access across the end of a mapping names the first byte that is missing. */
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED);
	munmap(p + 4096, 4096);
	CHECK_EQ(FAULTS(*(volatile uint64_t *)(p + 4092)), SIGSEGV);
	CHECK_EQ((uintptr_t)fault_info.si_addr, (uintptr_t)p + 4096);
	CHECK_EQ(FAULTS(memset(p + 4000, 1, 200)), SIGSEGV);
	CHECK_EQ((uintptr_t)fault_info.si_addr & ~0xfful, (uintptr_t)p + 4096);

	/* A thousand faults leave nothing behind. */
	for (int i = 0; i < 1000; i++)
		if (FAULTS(TOUCH_WRITE(p + 4096 + i)) != SIGSEGV || fault_info.si_addr != p + 4096 + i) {
			CHECK_EQ(i, -1);
			break;
		}
	sigset_t mask;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	CHECK(!sigismember(&mask, SIGSEGV));
	return check_done();
}
