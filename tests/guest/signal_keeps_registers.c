/* SPDX-License-Identifier: Apache-2.0 */
/* A handler may trash every register: the interrupted code finds all of its own again, vector state included. */
#include "check.h"
#include <cpuid.h>
#include <sys/time.h>

static volatile int hits;
static bool have_avx;

__attribute__((target("avx"))) static void trash_avx(void)
{
	__asm__ volatile("vpcmpeqd %%xmm0, %%xmm0, %%xmm0; vinsertf128 $1, %%xmm0, %%ymm0, %%ymm0\n"
			 "vmovaps %%ymm0, %%ymm1; vmovaps %%ymm0, %%ymm7; vmovaps %%ymm0, %%ymm15\n" ::
			     : "xmm0", "xmm1", "xmm7", "xmm15");
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	uint32_t csr = 0x5f80;
	ucontext_t *u = context;

	(void)sig, (void)info;
	hits++;
	CHECK(u->uc_mcontext.fpregs != NULL);
	CHECK_EQ((uintptr_t)u->uc_mcontext.fpregs % 64, 0);
	__asm__ volatile("fninit; fldpi; fldpi; fldpi; fldpi; fldpi; fldpi; fldpi; fldpi");
	__asm__ volatile("ldmxcsr %0" : : "m"(csr));
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm1, %%xmm1; pcmpeqd %%xmm7, %%xmm7; "
			 "pcmpeqd %%xmm15, %%xmm15" ::
			     : "xmm0", "xmm1", "xmm7", "xmm15");
	if (have_avx)
		trash_avx();
	__asm__ volatile("mov $-1, %%rax; mov %%rax, %%rbx; mov %%rax, %%rcx; mov %%rax, %%rdx; mov %%rax, %%rsi\n"
			 "mov %%rax, %%rdi; mov %%rax, %%r8; mov %%rax, %%r9; mov %%rax, %%r10; mov %%rax, %%r11\n"
			 "mov %%rax, %%r12; mov %%rax, %%r13; mov %%rax, %%r14; mov %%rax, %%r15; std; cld" ::
			     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
			       "r15", "cc");
}

/* Spins until a signal came, with a pattern in every general register and below the stack pointer. */
static uint64_t spin_general(void)
{
	uint64_t bad = 0;
	uint64_t hits_at = (uintptr_t)&hits;

	__asm__ volatile("mov %1, %%rax\n"
			 "mov $0x1111, %%rbx; mov $0x2222, %%rcx; mov $0x3333, %%rdx; mov $0x4444, %%rsi\n"
			 "mov $0x5555, %%rdi; mov $0x6666, %%r8; mov $0x7777, %%r9; mov $0x8888, %%r10\n"
			 "mov $0x9999, %%r11; mov $0xaaaa, %%r12; mov $0xbbbb, %%r13; mov $0xcccc, %%r14\n"
			 "mov $0xdddd, %%r15\n"
			 "movq $0x1234, -8(%%rsp); movq $0x5678, -64(%%rsp); movq $0x9abc, -128(%%rsp)\n"
			 "stc\n"
			 "1: pause; jnc 2f\n"
			 "   mov (%%rax), %%r15d; jnc 2f\n"
			 "   inc %%r15d; dec %%r15d; jrcxz 3f\n" /* inc, dec leave the carry */
			 "   lea -1(%%r15), %%r15; bt $63, %%r15; jc 1b\n"
			 "3: xor %0, %0\n"
			 "   cmp $0x1111, %%rbx; setne %b0\n"
			 "   cmp $0x2222, %%rcx; jne 2f; cmp $0x3333, %%rdx; jne 2f; cmp $0x4444, %%rsi; jne 2f\n"
			 "   cmp $0x5555, %%rdi; jne 2f; cmp $0x6666, %%r8; jne 2f; cmp $0x7777, %%r9; jne 2f\n"
			 "   cmp $0x8888, %%r10; jne 2f; cmp $0x9999, %%r11; jne 2f; cmp $0xaaaa, %%r12; jne 2f\n"
			 "   cmp $0xbbbb, %%r13; jne 2f; cmp $0xcccc, %%r14; jne 2f\n"
			 "   cmpq $0x1234, -8(%%rsp); jne 2f; cmpq $0x5678, -64(%%rsp); jne 2f\n"
			 "   cmpq $0x9abc, -128(%%rsp); jne 2f\n"
			 "   jmp 4f\n"
			 "2: mov $1, %0\n"
			 "4:\n"
			 : "=&a"(bad)
			 : "m"(hits_at)
			 : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
			   "cc", "memory");
	return bad;
}

/* The same with the x87 and SSE state. */
static void spin_vectors(void)
{
	static const uint64_t pattern[4] = {0x0123456789abcdef, 0xfedcba9876543210, 0x1122334455667788,
					    0x99aabbccddeeff00};
	uint64_t out[4][2];
	double fp = 0;
	uint32_t csr = 0x3f80, csr_out = 0;

	__asm__ volatile(
	    "fninit; fld1; fldl2t\n"
	    "ldmxcsr %[csr]\n"
	    "movups (%[p]), %%xmm0; movups 16(%[p]), %%xmm1; movups (%[p]), %%xmm7; movups 16(%[p]), %%xmm15\n"
	    "1: pause; cmpl $0, %[hits]; je 1b\n"
	    "movups %%xmm0, (%[o]); movups %%xmm1, 16(%[o]); movups %%xmm7, 32(%[o]); movups %%xmm15, 48(%[o])\n"
	    "stmxcsr %[csr_out]\n"
	    "fstp %%st(0); fstpl %[fp]; fninit\n"
	    : [csr_out] "=m"(csr_out), [fp] "=m"(fp)
	    : [csr] "m"(csr), [p] "r"(pattern), [o] "r"(out), [hits] "m"(hits)
	    : "xmm0", "xmm1", "xmm7", "xmm15", "memory", "cc");
	uint32_t dflt = 0x1f80;
	__asm__ volatile("ldmxcsr %0" : : "m"(dflt));
	CHECK(fp == 1.0);
	CHECK_EQ(csr_out & ~0x3fu, 0x3f80);
	CHECK(memcmp(out[0], pattern, 16) == 0 && memcmp(out[1], pattern + 2, 16) == 0);
	CHECK(memcmp(out[2], pattern, 16) == 0 && memcmp(out[3], pattern + 2, 16) == 0);
}

__attribute__((target("avx"))) static void spin_avx(void)
{
	static const uint64_t pattern[4] = {0x0123456789abcdef, 0xfedcba9876543210, 0x1122334455667788,
					    0x99aabbccddeeff00};
	uint64_t out[2][4];

	__asm__ volatile("vmovups (%[p]), %%ymm1; vmovups (%[p]), %%ymm15\n"
			 "1: pause; cmpl $0, %[hits]; je 1b\n"
			 "vmovups %%ymm1, (%[o]); vmovups %%ymm15, 32(%[o]); vzeroupper\n"
			 :
			 : [p] "r"(pattern), [o] "r"(out), [hits] "m"(hits)
			 : "xmm1", "xmm15", "memory", "cc");
	CHECK(memcmp(out[0], pattern, 32) == 0 && memcmp(out[1], pattern, 32) == 0);
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	struct itimerval t = {.it_value = {0, 5000}};

	have_avx = __builtin_cpu_supports("avx");
	sigaction(SIGALRM, &sa, NULL);
	for (int round = 0; round < 5; round++) {
		hits = 0;
		setitimer(ITIMER_REAL, &t, NULL);
		CHECK_EQ(spin_general(), 0);
		hits = 0;
		setitimer(ITIMER_REAL, &t, NULL);
		spin_vectors();
		if (have_avx) {
			hits = 0;
			setitimer(ITIMER_REAL, &t, NULL);
			spin_avx();
		}
	}
	return check_done();
}
