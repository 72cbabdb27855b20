/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that come to a site at the same moment, for the first time of it, all get the right result. */
#include "patch.h"
#include <pthread.h>

#define THREADS 4
#define SITES 800

static uint8_t *code;
static volatile int front, bad;
static pthread_barrier_t barrier;

static void *body(void *arg)
{
	long pid = getpid();

	pthread_barrier_wait(&barrier);
	for (int i = 0; i < SITES; i++) {
		/* All wait for the slowest now and then, and go to the same site in the same instant. */
		if (i % 8 == 0) {
			__atomic_add_fetch(&front, 1, __ATOMIC_SEQ_CST);
			for (long spin = 0; __atomic_load_n(&front, __ATOMIC_SEQ_CST) < (i / 8 + 1) * THREADS; spin++)
				if (spin > 20000)
					sched_yield();
		}
		code_fn f = (code_fn)(code + i * 40 + (i % 13));
		for (int j = 0; j < 3; j++)
			if (f(i % PATTERNS == REGISTER ? SYS_getpid : -1, 0, 0) !=
			    (i % PATTERNS == XOR_READ ? -EBADF : pid))
				__atomic_add_fetch(&bad, 1, __ATOMIC_SEQ_CST);
	}
	return arg;
}

int main(void)
{
	pthread_t t[THREADS];

	code = code_pages(SITES * 40 / PAGE + 2);
	memset(code, 0xcc, SITES * 40);
	for (int i = 0; i < SITES; i++)
		emit_call(code + i * 40 + (i % 13), (enum pattern)(i % PATTERNS), SYS_getpid);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		NEED(pthread_create(&t[i], NULL, body, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(bad, 0);
	return check_done();
}
