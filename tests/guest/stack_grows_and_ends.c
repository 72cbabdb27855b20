/* SPDX-License-Identifier: Apache-2.0 */
/* The stack grows on demand to its limit; beyond it SIGSEGV comes on the alternate stack, with the address, and the
 * program can go on. The same for a thread's guard page. */
#include "check.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

static char *volatile deepest;
static volatile bool on_alt;
static char *alt_base;
#define ALT_SIZE 65536

__attribute__((noinline, optimize("O0"))) static int descend(long bytes)
{
	volatile char frame[4096];

	frame[0] = (char)bytes;
	deepest = (char *)frame;
	if (bytes <= 0)
		return frame[0];
	return descend(bytes - 4096) + frame[0];
}

static void on_overflow(int sig, siginfo_t *info, void *context)
{
	char here;

	on_alt = &here >= alt_base && &here < alt_base + ALT_SIZE;
	fault_handler(sig, info, context);
}

static void overflow_survives(void)
{
	struct sigaction sa = {.sa_sigaction = on_overflow, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t ss = {.ss_size = ALT_SIZE}, old;

	alt_base = mmap(NULL, ALT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(alt_base != MAP_FAILED);
	ss.ss_sp = alt_base;
	NEED(sigaltstack(&ss, NULL) == 0);
	sigaction(SIGSEGV, &sa, NULL);
	for (int round = 0; round < 3; round++) {
		on_alt = false;
		CHECK_EQ(FAULTS(descend(1L << 40)), SIGSEGV);
		CHECK(on_alt);
		char *at = fault_info.si_addr;
		CHECK(at < deepest + 8192 && at > deepest - 16384);
		NEED(sigaltstack(NULL, &old) == 0);
		CHECK_EQ(old.ss_flags, 0);
	}
	ss.ss_flags = SS_DISABLE;
	CHECK_OK(sigaltstack(&ss, NULL));
	munmap(alt_base, ALT_SIZE);
}

static void *thread_body(void *arg)
{
	(void)arg;
	overflow_survives();
	return NULL;
}

int main(void)
{
	struct rlimit limit;
	pthread_t t;
	pthread_attr_t attr;

	NEED(getrlimit(RLIMIT_STACK, &limit) == 0);
	CHECK(limit.rlim_cur >= (1 << 20));
	/* Half of the limit is there without any ado. */
	long want = limit.rlim_cur > (16L << 20) ? 7L << 20 : (long)limit.rlim_cur / 2;
	CHECK_OK(descend(want) * 0);
	if (limit.rlim_cur <= (64L << 20))
		overflow_survives();
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	NEED(pthread_create(&t, &attr, thread_body, NULL) == 0);
	NEED(pthread_join(t, NULL) == 0);
	return check_done();
}
