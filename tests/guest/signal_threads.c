/* SPDX-License-Identifier: Apache-2.0 */
/* Signals to one thread run there; signals to the process find a thread that lets them in. */
#include "check.h"
#include <pthread.h>
#include <sys/syscall.h>

static volatile pid_t handler_tid;
static volatile int ready, stop, hits;

static void on_signal(int sig)
{
	(void)sig;
	handler_tid = (pid_t)syscall(SYS_gettid);
	__atomic_add_fetch(&hits, 1, __ATOMIC_SEQ_CST);
}

static void wait_for(volatile int *what, int value)
{
	for (int i = 0; i < 5000 && *what != value; i++)
		sleep_ms(1);
	CHECK_EQ(*what, value);
}

static void *sleeper(void *arg)
{
	*(volatile pid_t *)arg = (pid_t)syscall(SYS_gettid);
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (!stop)
		sleep_ms(1000);
	return NULL;
}

static void *spinner(void *arg)
{
	*(volatile pid_t *)arg = (pid_t)syscall(SYS_gettid);
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (!stop)
		;
	return NULL;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	pthread_t t[3];
	volatile pid_t tid[3];
	sigset_t set;

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	NEED(pthread_create(&t[0], NULL, sleeper, (void *)&tid[0]) == 0);
	NEED(pthread_create(&t[1], NULL, spinner, (void *)&tid[1]) == 0);
	wait_for(&ready, 2);
	for (int i = 0; i < 2; i++) {
		hits = 0;
		CHECK_EQ(pthread_kill(t[i], SIGUSR1), 0);
		wait_for(&hits, 1);
		CHECK_EQ(handler_tid, tid[i]);
		CHECK_OK(syscall(SYS_tgkill, getpid(), tid[i], SIGUSR1));
		wait_for(&hits, 2);
		CHECK_EQ(handler_tid, tid[i]);
		CHECK_OK(syscall(SYS_tkill, tid[i], SIGUSR1));
		wait_for(&hits, 3);
	}
	CHECK_ERR(syscall(SYS_tgkill, getpid(), 0x3ffffff0, SIGUSR1), ESRCH);
	CHECK_ERR(syscall(SYS_tgkill, getpid(), -1, SIGUSR1), EINVAL);
	CHECK_ERR(syscall(SYS_tgkill, getpid() + 100000, tid[0], SIGUSR1), ESRCH);
	CHECK_OK(syscall(SYS_tgkill, getpid(), tid[0], 0));

	/* Blocked here: another thread takes it. */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	hits = 0;
	kill(getpid(), SIGUSR2);
	wait_for(&hits, 1);
	CHECK(handler_tid == tid[0] || handler_tid == tid[1]);
	/* Blocked here and meant for this thread only: it stays pending. */
	pthread_kill(pthread_self(), SIGUSR2);
	sleep_ms(20);
	CHECK_EQ(hits, 1);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	CHECK_EQ(hits, 2);
	CHECK_EQ(handler_tid, getpid());

	/* A mask is inherited by new threads, pending signals are not. */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_kill(pthread_self(), SIGUSR2);
	ready = 0;
	NEED(pthread_create(&t[2], NULL, sleeper, (void *)&tid[2]) == 0);
	wait_for(&ready, 1);
	hits = 0;
	pthread_kill(t[2], SIGUSR2);
	sleep_ms(20);
	CHECK_EQ(hits, 0);
	stop = 1;
	for (int i = 0; i < 3; i++) {
		pthread_kill(t[i], SIGUSR1);
		pthread_join(t[i], NULL);
	}
	return check_done();
}
