/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for signals without a handler: sigtimedwait, sigwaitinfo, sigsuspend, signalfd. */
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

static volatile int handled;

static void on_signal(int sig) { handled = sig; }

static void *sender(void *arg)
{
	sleep_ms(30);
	kill(getpid(), (int)(intptr_t)arg);
	return NULL;
}

static void send_later(int sig, pthread_t *t) { NEED(pthread_create(t, NULL, sender, (void *)(intptr_t)sig) == 0); }

int main(void)
{
	sigset_t set, empty, old;
	siginfo_t info;
	struct timespec zero = {0, 0}, short_time = {0, 30000000}, bad = {0, 2000000000}, long_time = {10, 0};
	pthread_t t;

	sigemptyset(&empty);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, &old);

	CHECK_ERR(sigtimedwait(&set, &info, &zero), EAGAIN);
	long long before = now_ns();
	CHECK_ERR(sigtimedwait(&set, &info, &short_time), EAGAIN);
	CHECK(now_ns() - before >= 30000000);
	CHECK_ERR(sigtimedwait(&set, &info, &bad), EINVAL);

	CHECK_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5}));
	CHECK_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 6}));
	CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
	CHECK_EQ(info.si_value.sival_int, 5);
	CHECK_EQ(sigtimedwait(&set, &info, &zero), SIGRTMIN);
	CHECK_EQ(info.si_value.sival_int, 6);
	CHECK_EQ(info.si_code, SI_QUEUE);
	send_later(SIGUSR1, &t);
	CHECK_EQ(sigtimedwait(&set, &info, &long_time), SIGUSR1);
	CHECK_EQ(info.si_pid, getpid());
	pthread_join(t, NULL);

	/* sigsuspend: another mask for the time of the wait only. */
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	CHECK_EQ(handled, 0);
	CHECK_ERR(sigsuspend(&empty), EINTR);
	CHECK_EQ(handled, SIGUSR1);
	sigprocmask(SIG_BLOCK, NULL, &old);
	CHECK(sigismember(&old, SIGUSR1));

	/* signalfd. */
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	struct signalfd_siginfo si[4];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	NEED(fd >= 0);
	CHECK_ERR(read(fd, si, sizeof(si)), EAGAIN);
	CHECK_ERR(read(fd, si, 8), EINVAL);
	CHECK_EQ(poll(&p, 1, 0), 0);
	raise(SIGUSR1);
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 77});
	CHECK_EQ(poll(&p, 1, 1000), 1);
	CHECK_EQ(read(fd, si, sizeof(si)), 2 * (ssize_t)sizeof(si[0]));
	CHECK_EQ(si[0].ssi_signo, SIGUSR1);
	CHECK_EQ(si[0].ssi_pid, getpid());
	CHECK_EQ(si[1].ssi_signo, SIGRTMIN);
	CHECK_EQ(si[1].ssi_int, 77);
	CHECK_EQ(poll(&p, 1, 0), 0);
	/* Blocking, woken by a signal from another thread. */
	fcntl(fd, F_SETFL, 0);
	send_later(SIGUSR1, &t);
	CHECK_EQ(read(fd, si, sizeof(si)), sizeof(si[0]));
	pthread_join(t, NULL);
	/* Another set on the same descriptor. */
	sigdelset(&set, SIGUSR1);
	CHECK_EQ(signalfd(fd, &set, 0), fd);
	CHECK_ERR(signalfd(0, &set, 0), EINVAL);
	CHECK_ERR(signalfd(-1, &set, 0x1234), EINVAL);
	close(fd);
	return check_done();
}
