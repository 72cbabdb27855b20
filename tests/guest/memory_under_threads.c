/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that map, write, protect, move and unmap at the same time: nobody sees another one's memory, rights hold for
 * all of them at once. */
#include "check.h"

#include <pthread.h>
#include <sys/mman.h>

#define THREADS 4
#define ROUNDS 300
#define PAGES 24
#define PAGE 4096u

static _Atomic int stop;
static char *volatile shared_page;
static _Atomic long reads;

static void *churn(void *argument)
{
	unsigned seed = (unsigned)(uintptr_t)argument * 77 + 1;

	for (int round = 0; round < ROUNDS; round++) {
		unsigned pages = 1 + rand_r(&seed) % PAGES;
		unsigned char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p != MAP_FAILED);
		for (unsigned i = 0; i < pages; i++) {
			CHECK(p[i * PAGE] == 0 && p[i * PAGE + PAGE - 1] == 0);
			memset(p + i * PAGE, (int)(i + (uintptr_t)argument), PAGE);
		}
		switch (rand_r(&seed) % 4) {
		case 0: { /* the middle goes */
			unsigned middle = pages / 2;
			CHECK_EQ(munmap(p + middle * PAGE, PAGE), 0);
			for (unsigned i = 0; i < pages; i++)
				if (i != middle)
					CHECK_EQ(p[i * PAGE + 7], (unsigned char)(i + (uintptr_t)argument));
			/* Another thread may have the hole by now. */
			if (middle > 0)
				CHECK_EQ(munmap(p, middle * PAGE), 0);
			p += (middle + 1) * PAGE;
			pages -= middle + 1;
			break;
		}
		case 1: { /* it moves */
			unsigned char *q = mremap(p, pages * PAGE, (pages + 5) * PAGE, MREMAP_MAYMOVE);
			CHECK(q != MAP_FAILED);
			for (unsigned i = 0; i < pages + 5; i++)
				CHECK_EQ(q[i * PAGE + 9], i < pages ? (unsigned char)(i + (uintptr_t)argument) : 0);
			munmap(q + pages * PAGE, 5 * PAGE);
			p = q;
			break;
		}
		case 2: /* it is forgotten */
			CHECK_EQ(madvise(p, pages * PAGE, MADV_DONTNEED), 0);
			for (unsigned i = 0; i < pages; i++)
				CHECK_EQ(p[i * PAGE + 11], 0);
			break;
		default: /* rights go and come back */
			CHECK_EQ(mprotect(p, pages * PAGE, PROT_NONE), 0);
			CHECK_EQ(mprotect(p, pages * PAGE, PROT_READ | PROT_WRITE), 0);
			for (unsigned i = 0; i < pages; i++)
				CHECK_EQ(p[i * PAGE + 13], (unsigned char)(i + (uintptr_t)argument));
			break;
		}
		if (pages > 0)
			CHECK_EQ(munmap(p, pages * PAGE), 0);
	}
	return NULL;
}

static __thread sigjmp_buf out;

static void on_segv(int signal, siginfo_t *info, void *context) { siglongjmp(out, 1); }

/* Writes to a page whose rights another thread changes: each write happens or faults, none after the change. */
static _Atomic int writable, writes_while_protected;

static void *writer(void *argument)
{
	while (!stop) {
		if (sigsetjmp(out, 1) != 0)
			continue;
		int before = writable;
		shared_page[64]++;
		/* It went through although protected before and after? */
		if (before == 0 && writable == 0)
			writes_while_protected++;
		reads++;
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	for (long i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);

	struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER};
	sigaction(SIGSEGV, &action, NULL);
	shared_page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	writable = 1;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, writer, NULL), 0);
	for (int round = 0; round < 200; round++) {
		CHECK_EQ(mprotect(shared_page, PAGE, PROT_READ), 0);
		writable = 0;
		char value = shared_page[64];
		for (int i = 0; i < 50; i++)
			CHECK_EQ(shared_page[64], value);
		writable = 1;
		CHECK_EQ(mprotect(shared_page, PAGE, PROT_READ | PROT_WRITE), 0);
	}
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(writes_while_protected, 0);
	return check_failed != 0;
}
