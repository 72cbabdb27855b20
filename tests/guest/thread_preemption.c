/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that never calls the kernel does not starve others, not even those that share its processor, and vector
 * registers of threads that take turns are not mixed up. */
#include "check.h"
#include <pthread.h>
#include <sched.h>

static volatile int stop, avx_bad;
static volatile uint64_t spins[4];

static void pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
}

static void *spin(void *arg)
{
	volatile uint64_t *count = arg;

	pin();
	while (!stop)
		(*count)++;
	return NULL;
}

static void *vectors(void *arg)
{
	uint64_t in[4], out[4];
	uint32_t csr = 0x1f80 | ((uint32_t)(uintptr_t)arg & 3) << 13, csr_out;

	pin();
	for (int i = 0; i < 4; i++)
		in[i] = 0x0101010101010101ull * ((uintptr_t)arg + (uintptr_t)i);
	__asm__ volatile("ldmxcsr %0" : : "m"(csr));
	while (!stop) {
		__asm__ volatile("movups (%0), %%xmm3; movups 16(%0), %%xmm14\n"
				 "mov $20000, %%ecx\n1: dec %%ecx; jnz 1b\n"
				 "movups %%xmm3, (%1); movups %%xmm14, 16(%1)\n"
				 "stmxcsr %2"
				 :
				 : "r"(in), "r"(out), "m"(csr_out)
				 : "xmm3", "xmm14", "ecx", "memory", "cc");
		if (memcmp(in, out, sizeof(in)) != 0 || (csr_out & ~0x3fu) != csr)
			avx_bad = 1;
	}
	return NULL;
}

int main(void)
{
	pthread_t t[4];

	pin();
	CHECK_EQ(sched_getcpu(), 0);
	for (int i = 0; i < 4; i++)
		NEED(pthread_create(&t[i], NULL, spin, (void *)&spins[i]) == 0);
	/* We and all of them get time, in bits that are not too long. */
	for (int i = 0; i < 10; i++)
		sleep_ms(10);
	long long start = now_ns(), longest = 0, last = start;
	while (last - start < 300000000) {
		long long now = now_ns();
		if (now - last > longest)
			longest = now - last;
		last = now;
	}
	CHECK(longest < 2000000000);
	for (int i = 0; i < 4; i++)
		CHECK(spins[i] > 0);
	stop = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);

	stop = 0;
	for (uintptr_t i = 0; i < 4; i++)
		NEED(pthread_create(&t[i], NULL, vectors, (void *)(i * 16 + i)) == 0);
	sleep_ms(250);
	stop = 1;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(avx_bad, 0);
	return check_done();
}
