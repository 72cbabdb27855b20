/* SPDX-License-Identifier: Apache-2.0 */
/* mprotect: the new rights hold at once, for exactly the pages named, and the fault names the address. */
#include "check.h"
#include <sys/mman.h>

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static void rights(void)
{
	char *p = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);

	NEED(p != MAP_FAILED);
	memset(p, 7, 8 * PAGE);
	CHECK_OK(mprotect(p + 2 * PAGE, 2 * PAGE, PROT_READ));
	CHECK_EQ(FAULTS(TOUCH_WRITE(p + 2 * PAGE + 5)), SIGSEGV);
	CHECK_EQ(fault_info.si_code, SEGV_ACCERR);
	CHECK_EQ((uintptr_t)fault_info.si_addr, (uintptr_t)(p + 2 * PAGE + 5));
	CHECK_EQ(fault_regs[REG_TRAPNO], 14);
	CHECK_EQ(fault_regs[REG_ERR] & 7, 7); /* present, write, user */
	CHECK_EQ(fault_regs[REG_CR2], (uintptr_t)(p + 2 * PAGE + 5));
	CHECK_EQ(FAULTS(TOUCH_WRITE(p + 2 * PAGE - 1)), 0);
	CHECK_EQ(FAULTS(TOUCH_WRITE(p + 4 * PAGE)), 0);
	CHECK_EQ(FAULTS(TOUCH_READ(p + 3 * PAGE)), 0);
	CHECK_EQ(p[3 * PAGE], 7);
	CHECK_OK(mprotect(p, 8 * PAGE, PROT_NONE));
	CHECK_EQ(FAULTS(TOUCH_READ(p + 8 * PAGE - 1)), SIGSEGV);
	CHECK_EQ(fault_info.si_code, SEGV_ACCERR);
	CHECK_OK(mprotect(p, 8 * PAGE, RW));
	CHECK_EQ(p[3 * PAGE], 7); /* the content is still there */
	CHECK_EQ(FAULTS(TOUCH_WRITE(p + 3 * PAGE)), 0);
	CHECK_OK(munmap(p, 8 * PAGE));
}

static void refused(void)
{
	char *p = mmap(NULL, 4 * PAGE, RW, ANON, -1, 0);

	NEED(p != MAP_FAILED);
	CHECK_ERR(mprotect(p + 1, PAGE, PROT_READ), EINVAL);
	CHECK_OK(mprotect(p, 0, PROT_READ));
	CHECK_EQ(FAULTS(TOUCH_WRITE(p)), 0);
	CHECK_OK(munmap(p + PAGE, PAGE));
	CHECK_ERR(mprotect(p, 4 * PAGE, PROT_READ), ENOMEM);
	CHECK_OK(munmap(p, 4 * PAGE));
	CHECK_ERR(mprotect(p, PAGE, PROT_READ), ENOMEM);
	/* A shared mapping of a file opened for reading never becomes writable. */
	int fd = open("/proc/self/exe", O_RDONLY);
	NEED(fd >= 0);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	NEED(p != MAP_FAILED);
	CHECK_ERR(mprotect(p, PAGE, RW), EACCES);
	CHECK_OK(munmap(p, PAGE));
	close(fd);
}

static void execution(void)
{
	static const unsigned char ret42[] = {0xb8, 42, 0, 0, 0, 0xc3};
	char *p = mmap(NULL, 2 * PAGE, RW, ANON, -1, 0);
	int (*f)(void) = (int (*)(void))p;
	int got = 0;

	NEED(p != MAP_FAILED);
	memcpy(p, ret42, sizeof(ret42));
	/* Data is not code. */
	CHECK_EQ(FAULTS(got = f()), SIGSEGV);
	CHECK_EQ(fault_info.si_code, SEGV_ACCERR);
	CHECK_EQ((uintptr_t)fault_info.si_addr, (uintptr_t)p);
	CHECK_EQ(fault_regs[REG_RIP], (uintptr_t)p);
	CHECK_OK(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	CHECK_EQ(FAULTS(got = f()), 0);
	CHECK_EQ(got, 42);
	CHECK_EQ(FAULTS(TOUCH_WRITE(p)), SIGSEGV);
	CHECK_OK(mprotect(p, PAGE, RW));
	CHECK_EQ(FAULTS(got = f()), SIGSEGV);
	p[1] = 43;
	CHECK_OK(mprotect(p, PAGE, RW | PROT_EXEC));
	CHECK_EQ(FAULTS(got = f()), 0);
	CHECK_EQ(got, 43);
	CHECK_OK(munmap(p, 2 * PAGE));
}

int main(void)
{
	faults_catch(0);
	rights();
	refused();
	execution();
	return check_done();
}
