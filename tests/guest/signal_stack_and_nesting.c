/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers within handlers, the alternate stack and its rules, and returns through a changed context. */
#include "check.h"
#include <sys/mman.h>

#define ALT_SIZE 32768
static char *alt;
static volatile int depth, max_depth, on_alt;
static volatile int alt_flags, change_errno;

static bool here_is_alt(void)
{
	char here;

	return &here >= alt && &here < alt + ALT_SIZE;
}

static void nest(int sig)
{
	stack_t ss;

	depth++;
	if (depth > max_depth)
		max_depth = depth;
	on_alt += here_is_alt();
	sigaltstack(NULL, &ss);
	alt_flags = ss.ss_flags;
	ss.ss_flags = 0;
	ss.ss_size = ALT_SIZE;
	if (here_is_alt())
		change_errno = sigaltstack(&ss, NULL) == -1 ? errno : 0;
	if (sig == SIGUSR1)
		raise(SIGUSR2);
	if (sig == SIGUSR2)
		raise(SIGTERM);
	depth--;
}

static void nesting(int flags)
{
	struct sigaction sa = {.sa_handler = nest, .sa_flags = flags};

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	depth = max_depth = on_alt = 0;
	raise(SIGUSR1);
	CHECK_EQ(max_depth, 3);
	CHECK_EQ(depth, 0);
}

static int levels;

static void recurse(int sig)
{
	if (++levels < 50)
		raise(sig);
}

/* Skips a two-byte instruction, and gives the interrupted code a value. */
static void on_ud2(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)sig, (void)info;
	u->uc_mcontext.gregs[REG_RIP] += 2;
	u->uc_mcontext.gregs[REG_RBX] = 4711;
	u->uc_mcontext.gregs[REG_EFL] |= 1; /* carry */
	sigaddset(&u->uc_sigmask, SIGUSR2);
}

static ucontext_t main_context, side_context;
static volatile int side_steps;

static void side(int a, int b)
{
	side_steps = a + b;
	swapcontext(&side_context, &main_context);
	side_steps++;
}

int main(void)
{
	stack_t ss = {.ss_size = ALT_SIZE}, old;

	nesting(0);
	CHECK_EQ(on_alt, 0);
	CHECK_EQ(alt_flags, SS_DISABLE);

	alt = mmap(NULL, ALT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(alt != MAP_FAILED);
	ss.ss_sp = alt;
	CHECK_OK(sigaltstack(&ss, NULL));
	CHECK_OK(sigaltstack(NULL, &old));
	CHECK(old.ss_sp == alt && old.ss_size == ALT_SIZE && old.ss_flags == 0);
	nesting(SA_ONSTACK);
	CHECK_EQ(on_alt, 3);
	CHECK_EQ(alt_flags, SS_ONSTACK);
	CHECK_EQ(change_errno, EPERM);
	nesting(0); /* without SA_ONSTACK: the normal stack */
	CHECK_EQ(on_alt, 0);
	ss.ss_size = 100;
	CHECK_ERR(sigaltstack(&ss, NULL), ENOMEM);
	ss.ss_flags = 0x77;
	CHECK_ERR(sigaltstack(&ss, NULL), EINVAL);
	ss.ss_flags = SS_DISABLE;
	CHECK_OK(sigaltstack(&ss, NULL));

	struct sigaction sa = {.sa_handler = recurse, .sa_flags = SA_NODEFER};
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	CHECK_EQ(levels, 50);

	sa = (struct sigaction){.sa_sigaction = on_ud2, .sa_flags = SA_SIGINFO};
	sigaction(SIGILL, &sa, NULL);
	long rbx = 1;
	unsigned char carry = 0;
	__asm__ volatile("clc; ud2; setc %1" : "+b"(rbx), "=q"(carry)::"cc");
	CHECK_EQ(rbx, 4711);
	CHECK_EQ(carry, 1);
	sigset_t mask;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	CHECK(sigismember(&mask, SIGUSR2)); /* the mask in the context is the one after return */

#ifdef __GLIBC__
	static char stack[32768];
	CHECK_OK(getcontext(&side_context));
	side_context.uc_stack.ss_sp = stack;
	side_context.uc_stack.ss_size = sizeof(stack);
	side_context.uc_link = &main_context;
	makecontext(&side_context, (void (*)(void))side, 2, 20, 22);
	CHECK_OK(swapcontext(&main_context, &side_context));
	CHECK_EQ(side_steps, 42);
	CHECK_OK(swapcontext(&main_context, &side_context));
	CHECK_EQ(side_steps, 43);
#endif
	return check_done();
}
