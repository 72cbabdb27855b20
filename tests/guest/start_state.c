/* SPDX-License-Identifier: Apache-2.0 */
/* Build: -nostdlib -static -ffreestanding -fno-stack-protector -fcf-protection=none -no-pie */
/* The first instruction sees the psABI's process state: aligned stack, argc, argv, envp, auxv, cleared DF, default
 * FPU control words. No libc. */
#include <stdint.h>

#define NR_WRITE 1
#define NR_EXIT_GROUP 231

static long call(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
}

static long length(const char *s)
{
	long n = 0;

	while (s[n])
		n++;
	return n;
}

static void check(int ok, const char *what, int *failed)
{
	if (ok)
		return;
	call(NR_WRITE, 1, (long)what, length(what));
	call(NR_WRITE, 1, (long)"\n", 1);
	*failed = 1;
}

__attribute__((used)) static void start(uintptr_t *sp, uint64_t flags)
{
	int failed = 0;
	uint32_t mxcsr;
	uint16_t fcw;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(fcw));
	check(((uintptr_t)sp & 15) == 0, "rsp is 16-byte aligned", &failed);
	check(mxcsr == 0x1f80, "mxcsr is 0x1f80", &failed);
	check(fcw == 0x37f, "x87 control word is 0x37f", &failed);
	check((flags & 0x400) == 0, "direction flag is clear", &failed);
	check((flags & 0x200) != 0, "interrupts are on", &failed);
	long argc = (long)sp[0];
	check(argc >= 1 && argc < 1000, "argc", &failed);
	char **argv = (char **)(sp + 1);
	check(argv[argc] == 0, "argv ends with NULL", &failed);
	check(argv[0] && length(argv[0]) > 0, "argv[0]", &failed);
	char **envp = argv + argc + 1;
	while (*envp) {
		int eq = 0;
		for (const char *s = *envp; *s; s++)
			eq |= *s == '=';
		check(eq, "every environment string has =", &failed);
		envp++;
	}
	const uintptr_t *av = (const uintptr_t *)(envp + 1);
	int pagesz = 0, base = 0;
	for (; av[0] != 0; av += 2) {
		pagesz |= av[0] == 6 && av[1] == 4096;
		base |= av[0] == 7 && av[1] != 0;
	}
	check(pagesz, "AT_PAGESZ", &failed);
	check(!base, "no interpreter: AT_BASE is 0", &failed);
	call(NR_EXIT_GROUP, failed, 0, 0);
	for (;;)
		;
}

__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	pushfq\n"
	"	pop %rsi\n"
	"	xor %ebp, %ebp\n"
	"	call start\n");
