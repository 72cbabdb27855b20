/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual shared object that nucleo maps into every program: vdso(7). */
#include <linux/errno.h>
#include <linux/time.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/vdso/data.h"

#define NS_PER_SECOND 1000000000ull
#define NR_gettimeofday 96
#define NR_time 201
#define NR_clock_gettime 228
#define NR_clock_getres 229
#define NR_getcpu 309

extern const volatile struct vdso_data vdso_data __attribute__((visibility("hidden"))); /* vdso.ld */

struct timezone;
int __vdso_clock_gettime(int32_t clock, struct __kernel_timespec *ts);
int __vdso_clock_getres(int32_t clock, struct __kernel_timespec *ts);
int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz);
long __vdso_time(long *t);
long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

static inline long vdso_call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

static inline uint64_t vdso_tsc(void)
{
	uint32_t low, high;

	/* lfence: the counter is not read before what the program did earlier. */
	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline uint64_t vdso_now(int realtime)
{
	const volatile struct vdso_data *data = &vdso_data;
	uint64_t base, multiplier;
	int64_t ticks;
	uint32_t seq;

	do {
		seq = __atomic_load_n(&data->seq, __ATOMIC_ACQUIRE); /* the values are read after it */
		base = realtime ? data->realtime_ns : data->monotonic_ns;
		multiplier = data->multiplier;
		ticks = (int64_t)(vdso_tsc() - data->tsc_base);
		__atomic_thread_fence(__ATOMIC_ACQUIRE); /* ... and before it is read again */
	} while ((seq & 1) != 0 || seq != data->seq);
	if (ticks < 0)
		ticks = 0;
	return base + (uint64_t)(((unsigned __int128)(uint64_t)ticks * multiplier) >> CLOCK_SHIFT);
}

int __vdso_clock_gettime(int32_t clock, struct __kernel_timespec *ts)
{
	/* All clocks that run with wall time, by bit: REALTIME MONOTONIC RAW both COARSE BOOTTIME TAI. */
	const uint32_t realtime = 1u << CLOCK_REALTIME | 1u << CLOCK_REALTIME_COARSE | 1u << CLOCK_TAI;
	const uint32_t monotonic =
	    1u << CLOCK_MONOTONIC | 1u << CLOCK_MONOTONIC_RAW | 1u << CLOCK_MONOTONIC_COARSE | 1u << CLOCK_BOOTTIME;

	if ((uint32_t)clock >= 32 || ((realtime | monotonic) >> clock & 1) == 0)
		return (int)vdso_call(NR_clock_gettime, clock, (long)ts, 0);
	uint64_t ns = vdso_now((int)(realtime >> clock & 1));
	ts->tv_sec = (int64_t)(ns / NS_PER_SECOND);
	ts->tv_nsec = (int64_t)(ns % NS_PER_SECOND);
	return 0;
}

int __vdso_clock_getres(int32_t clock, struct __kernel_timespec *ts)
{
	return (int)vdso_call(NR_clock_getres, clock, (long)ts, 0);
}

int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz)
{
	if (tz != NULL)
		return (int)vdso_call(NR_gettimeofday, (long)tv, (long)tz, 0);
	if (tv != NULL) {
		uint64_t ns = vdso_now(1);
		tv->tv_sec = (int64_t)(ns / NS_PER_SECOND);
		tv->tv_usec = (int64_t)(ns % NS_PER_SECOND / 1000);
	}
	return 0;
}

long __vdso_time(long *t)
{
	long seconds = (long)(vdso_now(1) / NS_PER_SECOND);

	if (t != NULL)
		*t = seconds;
	return seconds;
}

long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
	if (vdso_data.cpus != 1)
		return vdso_call(NR_getcpu, (long)cpu, (long)node, (long)unused);
	if (cpu != NULL)
		*cpu = 0;
	if (node != NULL)
		*node = 0;
	return 0;
}

int clock_gettime(int32_t clock, struct __kernel_timespec *ts) __attribute__((weak, alias("__vdso_clock_gettime")));
int clock_getres(int32_t clock, struct __kernel_timespec *ts) __attribute__((weak, alias("__vdso_clock_getres")));
int gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz)
    __attribute__((weak, alias("__vdso_gettimeofday")));
long time(long *t) __attribute__((weak, alias("__vdso_time")));
long getcpu(unsigned *cpu, unsigned *node, void *unused) __attribute__((weak, alias("__vdso_getcpu")));
