/* SPDX-License-Identifier: Apache-2.0 */
/* A thread made with clone and clone3 themselves: its own stack, thread pointer, ids written and cleared. */
#include "check.h"
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define STACK 65536
#define FLAGS                                                                                                          \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |             \
	 CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)

static volatile pid_t parent_tid, child_tid, seen_tid;
static volatile uintptr_t seen_sp, seen_fs0, seen_arg;
static uintptr_t tls[16];

/* The child has another thread pointer: no libc in it. */
__attribute__((used)) static void child_body(uintptr_t sp, uintptr_t arg)
{
	long tid;

	__asm__ volatile("syscall" : "=a"(tid) : "a"(SYS_gettid) : "rcx", "r11", "memory");
	seen_tid = (pid_t)tid;
	seen_sp = sp;
	seen_arg = arg;
	__asm__ volatile("mov %%fs:0, %0" : "=r"(seen_fs0));
}

/* clone(flags, stack, ptid, ctid, tls) or clone3(args, size), the child goes to child_body with the word on its
 * stack, then exits its thread. */
long clone_raw(long nr, long a, long b, long c, long d, long e);
__asm__("clone_raw:\n"
	"	mov %rdi, %rax\n"
	"	mov %rsi, %rdi\n"
	"	mov %rdx, %rsi\n"
	"	mov %rcx, %rdx\n"
	"	mov %r8, %r10\n"
	"	mov %r9, %r8\n"
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jz 1f\n"
	"	ret\n"
	"1:	mov %rsp, %rdi\n"
	"	mov (%rsp), %rsi\n"
	"	xor %ebp, %ebp\n"
	"	and $-16, %rsp\n"
	"	call child_body\n"
	"	xor %edi, %edi\n"
	"	mov $60, %eax\n"
	"	syscall\n"
	"	hlt\n");

static void wait_cleared(void)
{
	for (pid_t v; (v = child_tid) != 0;)
		syscall(SYS_futex, &child_tid, FUTEX_WAIT, v, NULL, NULL, 0);
}

static void check_child(long tid, uintptr_t sp, uintptr_t arg)
{
	CHECK(tid > 0 && tid != getpid());
	if (tid <= 0)
		return;
	wait_cleared();
	CHECK_EQ(parent_tid, tid);
	CHECK_EQ(seen_tid, tid);
	CHECK_EQ(seen_sp, sp);
	CHECK_EQ(seen_arg, arg);
	CHECK_EQ(seen_fs0, (uintptr_t)tls);
}

int main(void)
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(stack != MAP_FAILED);
	tls[0] = (uintptr_t)tls;
	for (uintptr_t round = 0; round < 20; round++) {
		uintptr_t *top = (uintptr_t *)(stack + STACK) - 2;
		top[0] = 4000 + round;
		child_tid = 1;
		long tid = clone_raw(SYS_clone, FLAGS, (long)top, (long)&parent_tid, (long)&child_tid, (long)tls);
		check_child(tid, (uintptr_t)top, 4000 + round);

		struct clone_args args = {
		    .flags = FLAGS,
		    .child_tid = (uintptr_t)&child_tid,
		    .parent_tid = (uintptr_t)&parent_tid,
		    .stack = (uintptr_t)stack,
		    .stack_size = (uintptr_t)top - (uintptr_t)stack,
		    .tls = (uintptr_t)tls,
		};
		child_tid = 1;
		tid = clone_raw(SYS_clone3, (long)&args, sizeof(args), 0, 0, 0);
		if (tid == -ENOSYS)
			continue; /* libc takes clone then */
		check_child(tid, (uintptr_t)top, 4000 + round);
	}
	/* Combinations that make no sense. */
	CHECK_EQ(clone_raw(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), -EINVAL);
	CHECK_EQ(clone_raw(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), -EINVAL);
	CHECK_EQ(clone_raw(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0), -EINVAL);
	long r = clone_raw(SYS_clone3, 8, 88, 0, 0, 0);
	CHECK(r == -EFAULT || r == -ENOSYS);
	r = clone_raw(SYS_clone3, (long)tls, 8, 0, 0, 0);
	CHECK(r == -EINVAL || r == -ENOSYS);
	CHECK_EQ(syscall(SYS_set_tid_address, &child_tid), getpid());
	return check_done();
}
