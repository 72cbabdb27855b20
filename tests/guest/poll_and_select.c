/* SPDX-License-Identifier: Apache-2.0 */
/* poll, ppoll, select, pselect: readiness, time-outs, bad descriptors, masks for the time of the wait. */
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sys/select.h>
#include <sys/socket.h>

static volatile int handled;

static void on_signal(int sig) { handled = sig; }

static void *poke(void *arg)
{
	sleep_ms(25);
	CHECK_EQ(write((int)(intptr_t)arg, "x", 1), 1);
	return NULL;
}

int main(void)
{
	int fd[2], s[2], file = open("/proc/self/exe", O_RDONLY);
	char c;
	pthread_t t;
	sigset_t usr1, none;

	NEED(pipe(fd) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	struct pollfd p[5] = {{.fd = fd[0], .events = POLLIN},
			      {.fd = fd[1], .events = POLLOUT},
			      {.fd = -1, .events = POLLIN},
			      {.fd = 999, .events = POLLIN},
			      {.fd = file, .events = POLLIN | POLLOUT}};
	CHECK_EQ(poll(p, 5, 0), 3);
	CHECK_EQ(p[0].revents, 0);
	CHECK_EQ(p[1].revents, POLLOUT);
	CHECK_EQ(p[2].revents, 0);
	CHECK_EQ(p[3].revents, POLLNVAL);
	CHECK_EQ(p[4].revents, POLLIN | POLLOUT); /* a file is always ready */
	long long start = now_ns();
	CHECK_EQ(poll(p, 1, 25), 0);
	CHECK(now_ns() - start >= 24000000);
	CHECK_EQ(poll(NULL, 0, 10), 0);
	NEED(pthread_create(&t, NULL, poke, (void *)(intptr_t)fd[1]) == 0);
	CHECK_EQ(poll(p, 1, 10000), 1);
	pthread_join(t, NULL);
	CHECK_EQ(p[0].revents, POLLIN);
	CHECK_ERR(poll((void *)8, 1, 0), EFAULT);

	/* select changes its sets and the time. */
	fd_set r, w, e;
	struct timeval tv = {5, 0};
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(fd[0], &r);
	FD_SET(s[0], &r);
	FD_SET(fd[1], &w);
	FD_SET(s[0], &e);
	int max = s[1] + 1;
	CHECK_EQ(select(max, &r, &w, &e, &tv), 2);
	CHECK(FD_ISSET(fd[0], &r) && !FD_ISSET(s[0], &r) && FD_ISSET(fd[1], &w) && !FD_ISSET(s[0], &e));
	CHECK_EQ(read(fd[0], &c, 1), 1);
	FD_ZERO(&r);
	FD_SET(fd[0], &r);
	tv = (struct timeval){0, 20000};
	start = now_ns();
	CHECK_EQ(select(max, &r, NULL, NULL, &tv), 0);
	CHECK(now_ns() - start >= 19000000);
	CHECK(!FD_ISSET(fd[0], &r) && tv.tv_sec == 0 && tv.tv_usec == 0);
	FD_SET(60, &r);
	CHECK_ERR(select(61, &r, NULL, NULL, &tv), EBADF);
	CHECK_ERR(select(-1, NULL, NULL, NULL, &tv), EINVAL);
	tv.tv_usec = 5000;
	CHECK_EQ(select(0, NULL, NULL, NULL, &tv), 0);
	struct timespec bad = {0, 1000000000}, some = {5, 0};
	CHECK_ERR(pselect(0, NULL, NULL, NULL, &bad, NULL), EINVAL);

	/* The mask of ppoll and pselect lets a pending signal in, then the old mask is back. */
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	CHECK_EQ(handled, 0);
	CHECK_ERR(ppoll(p, 1, &some, &none), EINTR);
	CHECK_EQ(handled, SIGUSR1);
	handled = 0;
	raise(SIGUSR1);
	FD_ZERO(&r);
	FD_SET(fd[0], &r);
	CHECK_ERR(pselect(max, &r, NULL, NULL, &some, &none), EINTR);
	CHECK_EQ(handled, SIGUSR1);
	sigset_t now;
	sigprocmask(SIG_BLOCK, NULL, &now);
	CHECK(sigismember(&now, SIGUSR1));
	CHECK_EQ(fcntl(fd[0], F_GETFD), 0);
	return check_done();
}
