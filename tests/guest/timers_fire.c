/* SPDX-License-Identifier: Apache-2.0 */
/* Interval timers, POSIX timers and alarm: they fire when due, again when periodic, and not once they are off. */
#include "check.h"
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static volatile int hits, value, overrun;
static volatile pid_t tid;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	hits++;
	value = info->si_value.sival_int;
	overrun = info->si_overrun;
	tid = (pid_t)syscall(SYS_gettid);
}

static void wait_hits(int want)
{
	for (int i = 0; i < 3000 && hits < want; i++)
		sleep_ms(1);
	CHECK(hits >= want);
}

static void interval_timers(void)
{
	struct itimerval t = {{0, 10000}, {0, 20000}}, old;

	hits = 0;
	long long start = now_ns();
	CHECK_OK(setitimer(ITIMER_REAL, &t, NULL));
	CHECK_OK(getitimer(ITIMER_REAL, &old));
	CHECK(old.it_value.tv_usec <= 20000 && old.it_interval.tv_usec == 10000);
	wait_hits(3);
	CHECK(now_ns() - start >= 40000000);
	memset(&t, 0, sizeof(t));
	CHECK_OK(setitimer(ITIMER_REAL, &t, &old));
	CHECK_EQ(old.it_interval.tv_usec, 10000);
	int after = hits;
	sleep_ms(30);
	CHECK_EQ(hits, after);
	CHECK_OK(getitimer(ITIMER_REAL, &old));
	CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0);
	t.it_value.tv_usec = 1000000;
	CHECK_ERR(setitimer(ITIMER_REAL, &t, NULL), EINVAL);
	CHECK_ERR(getitimer(9, &old), EINVAL);

	CHECK_EQ(alarm(100), 0);
	unsigned left = alarm(0);
	CHECK(left == 100 || left == 99);

	/* Counts CPU time: fires while working. */
	struct itimerval cpu = {{0, 0}, {0, 20000}};
	hits = 0;
	CHECK_OK(setitimer(ITIMER_PROF, &cpu, NULL));
	for (start = now_ns(); hits == 0 && now_ns() - start < 3000000000ll;)
		;
	CHECK_EQ(hits, 1);
	hits = 0;
	CHECK_OK(setitimer(ITIMER_VIRTUAL, &cpu, NULL));
	for (start = now_ns(); hits == 0 && now_ns() - start < 3000000000ll;)
		;
	CHECK_EQ(hits, 1);
}

static void posix_timers(void)
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value = {.sival_int = 99}};
	struct itimerspec t = {{0, 0}, {0, 10000000}}, now;
	timer_t id, second;

	hits = 0;
	CHECK_OK(timer_create(CLOCK_MONOTONIC, &ev, &id));
	CHECK_OK(timer_gettime(id, &now));
	CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
	CHECK_OK(timer_settime(id, 0, &t, NULL));
	wait_hits(1);
	CHECK_EQ(value, 99);
	sleep_ms(25);
	CHECK_EQ(hits, 1); /* once only */

	/* Periodic, with the signal blocked: one is pending, the others are counted as overrun. */
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	t.it_interval.tv_nsec = 5000000;
	hits = 0;
	CHECK_OK(timer_settime(id, 0, &t, NULL));
	sleep_ms(60);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	CHECK(hits >= 1);
	CHECK(overrun >= 3);
	CHECK(timer_getoverrun(id) >= 0);
	wait_hits(4);
	memset(&t, 0, sizeof(t));
	CHECK_OK(timer_settime(id, 0, &t, &now));
	CHECK_EQ(now.it_interval.tv_nsec, 5000000);

	/* At an absolute time. */
	long long at = now_ns() + 20000000;
	t.it_value = (struct timespec){at / 1000000000, at % 1000000000};
	hits = 0;
	CHECK_OK(timer_settime(id, TIMER_ABSTIME, &t, NULL));
	wait_hits(1);
	CHECK(now_ns() >= at);

	/* To one thread; without a notification; on the wall clock. */
	ev.sigev_notify = SIGEV_THREAD_ID;
	ev.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	CHECK_OK(timer_create(CLOCK_REALTIME, &ev, &second));
	t.it_value = (struct timespec){0, 5000000};
	hits = 0;
	CHECK_OK(timer_settime(second, 0, &t, NULL));
	wait_hits(1);
	CHECK_EQ(tid, ev.sigev_notify_thread_id);
	CHECK_OK(timer_delete(second));
	CHECK_OK(timer_delete(id));
	ev.sigev_notify = SIGEV_NONE;
	CHECK_OK(timer_create(CLOCK_MONOTONIC, &ev, &id));
	t.it_value.tv_sec = 100;
	CHECK_OK(timer_settime(id, 0, &t, NULL));
	CHECK_OK(timer_gettime(id, &now));
	CHECK(now.it_value.tv_sec >= 99);
	CHECK_OK(timer_delete(id));
	CHECK_ERR(syscall(SYS_timer_delete, 12345), EINVAL);
	CHECK_ERR(syscall(SYS_timer_settime, 12345, 0, &t, NULL), EINVAL);
	ev.sigev_signo = 99;
	ev.sigev_notify = SIGEV_SIGNAL;
	CHECK_ERR(timer_create(CLOCK_MONOTONIC, &ev, &id), EINVAL);
	CHECK_ERR(timer_create(99, NULL, &id), EINVAL);
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};

	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGPROF, &sa, NULL);
	sigaction(SIGVTALRM, &sa, NULL);
	sigaction(SIGRTMIN, &sa, NULL);
	interval_timers();
	posix_timers();
	return check_done();
}
