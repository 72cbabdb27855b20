/* SPDX-License-Identifier: Apache-2.0 */
/* A signal ends blocking calls with EINTR; with SA_RESTART those go on that Linux restarts, the others still end. */
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/time.h>

static volatile int hits;
static int pipe_fd[2];

static void on_signal(int sig)
{
	(void)sig;
	hits++;
}

/* The handler runs every 20 ms. */
static void ticks(int flags, bool on)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};
	struct itimerval t = {.it_value = {0, on ? 20000 : 0}, .it_interval = {0, on ? 20000 : 0}};

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
	hits = 0;
}

static void *writer(void *arg)
{
	sigset_t set;

	(void)arg;
	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	sleep_ms(90);
	CHECK_EQ(write(pipe_fd[1], "x", 1), 1);
	return NULL;
}

static void with_restart(void)
{
	pthread_t t;
	sigset_t set;
	char c;

	/* The writer's thread must not take the ticks. */
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	NEED(pthread_create(&t, NULL, writer, NULL) == 0);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	ticks(SA_RESTART, true);
	CHECK_EQ(read(pipe_fd[0], &c, 1), 1);
	CHECK(hits >= 1);
	/* Never restarted. */
	struct pollfd p = {.fd = pipe_fd[0], .events = POLLIN};
	CHECK_ERR(poll(&p, 1, 5000), EINTR);
	struct timespec ts = {5, 0};
	CHECK_ERR(nanosleep(&ts, &ts), EINTR);
	ticks(SA_RESTART, false);
	pthread_join(t, NULL);
}

int main(void)
{
	struct timespec ts = {5, 0}, rest = {0, 0};
	struct timeval tv = {5, 0};
	struct epoll_event ev;
	uint64_t value;
	char c;

	NEED(pipe(pipe_fd) == 0);
	ticks(0, true);
	CHECK_ERR(read(pipe_fd[0], &c, 1), EINTR);
	CHECK(hits >= 1);
	CHECK_ERR(nanosleep(&ts, &rest), EINTR);
	CHECK(rest.tv_sec == 4 && rest.tv_nsec > 500000000);
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &rest), EINTR);
	CHECK_ERR(pause(), EINTR);
	struct pollfd p = {.fd = pipe_fd[0], .events = POLLIN};
	CHECK_ERR(poll(&p, 1, 5000), EINTR);
	CHECK_ERR(poll(NULL, 0, -1), EINTR);
	fd_set set;
	FD_ZERO(&set);
	FD_SET(pipe_fd[0], &set);
	CHECK_ERR(select(pipe_fd[0] + 1, &set, NULL, NULL, &tv), EINTR);
	int ep = epoll_create1(0);
	CHECK_ERR(epoll_wait(ep, &ev, 1, 5000), EINTR);
	int efd = eventfd(0, 0);
	CHECK_ERR(read(efd, &value, 8), EINTR);
	/* A pipe that is full. */
	int full[2];
	NEED(pipe(full) == 0);
	fcntl(full[1], F_SETFL, O_NONBLOCK);
	while (write(full[1], &c, 1) == 1)
		;
	fcntl(full[1], F_SETFL, 0);
	CHECK_ERR(write(full[1], &c, 1), EINTR);
	/* Something was written already: a short count, no error. */
	char many[8192] = {0};
	CHECK_EQ(read(full[0], many, 4096), 4096);
	ssize_t n = write(full[1], many, sizeof(many));
	CHECK(n > 0 && n < (ssize_t)sizeof(many));
	ticks(0, false);
	with_restart();
	return check_done();
}
