/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks run, agree with one another and with sleeping; CPU clocks count work only. */
#include "check.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>

static long long clock_ns(clockid_t id)
{
	struct timespec t = {0, 0};

	CHECK_OK(clock_gettime(id, &t));
	CHECK(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void burn_ms(long ms)
{
	long long end = now_ns() + ms * 1000000ll;

	while (now_ns() < end)
		;
}

static void *monotonic_everywhere(void *arg)
{
	static long long last;

	(void)arg;
	for (int i = 0; i < 20000; i++) {
		long long seen = __atomic_load_n(&last, __ATOMIC_SEQ_CST);
		long long now = clock_ns(CLOCK_MONOTONIC);
		if (now < seen) {
			CHECK_EQ(now - seen, 0);
			break;
		}
		while (seen < now &&
		       !__atomic_compare_exchange_n(&last, &seen, now, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
	}
	return NULL;
}

static void agreement(void)
{
	struct timeval tv;
	struct timespec t;

	long long real = clock_ns(CLOCK_REALTIME);
	CHECK_OK(gettimeofday(&tv, NULL));
	CHECK(tv.tv_sec * 1000000ll + tv.tv_usec >= real / 1000 - 1);
	CHECK(tv.tv_sec - real / 1000000000 <= 2);
	CHECK(time(NULL) - tv.tv_sec >= -1 && time(NULL) - tv.tv_sec <= 1); /* time is of the last tick */
	CHECK(real > 1700000000ll * 1000000000);
	CHECK_OK(syscall(SYS_clock_gettime, CLOCK_REALTIME, &t));
	CHECK(t.tv_sec - tv.tv_sec <= 1);
	long long a = clock_ns(CLOCK_MONOTONIC);
	CHECK_OK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t));
	long long b = clock_ns(CLOCK_MONOTONIC);
	CHECK(t.tv_sec * 1000000000ll + t.tv_nsec >= a && t.tv_sec * 1000000000ll + t.tv_nsec <= b);
	CHECK(clock_ns(CLOCK_BOOTTIME) >= a);
	CHECK(clock_ns(CLOCK_MONOTONIC_RAW) > 0);
	CHECK(clock_ns(CLOCK_MONOTONIC_COARSE) <= clock_ns(CLOCK_MONOTONIC));
	CHECK(clock_ns(CLOCK_REALTIME_COARSE) <= clock_ns(CLOCK_REALTIME));
	CHECK(clock_ns(CLOCK_TAI) > 0);
	CHECK_OK(clock_getres(CLOCK_MONOTONIC, &t));
	CHECK(t.tv_sec == 0 && t.tv_nsec >= 1 && t.tv_nsec <= 10000000);
	CHECK_OK(clock_getres(CLOCK_REALTIME, NULL));
	CHECK_ERR(clock_gettime(99, &t), EINVAL);
	CHECK_ERR(clock_getres(99, &t), EINVAL);
}

static void sleeping(void)
{
	struct timespec t = {0, 20000000}, bad = {0, 1000000000}, negative = {-1, 0};

	for (int i = 0; i < 3; i++) {
		long long a = now_ns();
		CHECK_OK(nanosleep(&t, NULL));
		long long d = now_ns() - a;
		CHECK(d >= 20000000 && d < 2000000000);
		a = now_ns();
		struct timespec until = {(a + 15000000) / 1000000000, (a + 15000000) % 1000000000};
		CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL), 0);
		CHECK(now_ns() >= a + 15000000);
		/* In the past: at once. */
		CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL), 0);
	}
	long long r = clock_ns(CLOCK_REALTIME) + 10000000;
	struct timespec until = {r / 1000000000, r % 1000000000};
	CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL), 0);
	CHECK(clock_ns(CLOCK_REALTIME) >= r);
	CHECK_ERR(nanosleep(&bad, NULL), EINVAL);
	CHECK_ERR(nanosleep(&negative, NULL), EINVAL);
	CHECK_EQ(clock_nanosleep(99, 0, &t, NULL), EINVAL);
	t.tv_nsec = 0;
	CHECK_OK(nanosleep(&t, NULL));
}

static void cpu_time(void)
{
	struct rusage ru;
	struct tms tms;

	long long thread = clock_ns(CLOCK_THREAD_CPUTIME_ID), process = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	burn_ms(40);
	long long used = clock_ns(CLOCK_THREAD_CPUTIME_ID) - thread;
	CHECK(used > 5000000 && used < 500000000);
	CHECK(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - process > 5000000);
	thread = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	sleep_ms(50);
	CHECK(clock_ns(CLOCK_THREAD_CPUTIME_ID) - thread < 25000000);
	CHECK_OK(getrusage(RUSAGE_SELF, &ru));
	CHECK(ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec + ru.ru_stime.tv_sec * 1000000 + ru.ru_stime.tv_usec >
	      5000);
	CHECK(ru.ru_maxrss > 100);
	CHECK_OK(getrusage(RUSAGE_THREAD, &ru));
	CHECK_OK(getrusage(RUSAGE_CHILDREN, &ru));
	CHECK_ERR(getrusage(55, &ru), EINVAL);
	CHECK(times(&tms) != (clock_t)-1);
	CHECK(clock() > 0);
}

int main(void)
{
	pthread_t t[3];

	agreement();
	sleeping();
	cpu_time();
	for (int i = 0; i < 3; i++)
		NEED(pthread_create(&t[i], NULL, monotonic_everywhere, NULL) == 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	return check_done();
}
