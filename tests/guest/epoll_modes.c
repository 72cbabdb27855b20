/* SPDX-License-Identifier: Apache-2.0 */
/* epoll: level, edge, one-shot, changes and removal, nesting, time-outs, wake-ups from other threads, refusals. */
#include "check.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static int ep;
static struct epoll_event out[8];

static int wait_now(void) { return epoll_wait(ep, out, 8, 0); }

static void control(int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = {.events = events, .data.u64 = data};

	CHECK_OK(epoll_ctl(ep, op, fd, &ev));
}

static void modes(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t v = 1;

	control(EPOLL_CTL_ADD, fd, EPOLLIN, 0x123456789abc);
	CHECK_EQ(wait_now(), 0);
	CHECK_EQ(write(fd, &v, 8), 8);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(wait_now(), 1); /* level: as long as it is so */
	CHECK_EQ(out[0].data.u64, 0x123456789abc);
	CHECK_EQ(out[0].events, EPOLLIN);

	control(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET, 2);
	CHECK_EQ(wait_now(), 1); /* the change tells of the state once */
	CHECK_EQ(wait_now(), 0);
	CHECK_EQ(write(fd, &v, 8), 8);
	CHECK_EQ(wait_now(), 1); /* edge: each time it happens */
	CHECK_EQ(wait_now(), 0);

	control(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 3);
	CHECK_EQ(wait_now(), 1);
	CHECK_EQ(wait_now(), 0);
	CHECK_EQ(write(fd, &v, 8), 8);
	CHECK_EQ(wait_now(), 0); /* disarmed */
	control(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 4);
	CHECK_EQ(wait_now(), 1);
	CHECK_EQ(out[0].data.u64, 4);

	control(EPOLL_CTL_DEL, fd, 0, 0);
	CHECK_EQ(wait_now(), 0);
	/* A closed descriptor leaves the set by itself, a duplicate keeps it. */
	control(EPOLL_CTL_ADD, fd, EPOLLIN, 5);
	int copy = dup(fd);
	close(fd);
	CHECK_EQ(wait_now(), 1);
	close(copy);
	CHECK_EQ(wait_now(), 0);
}

static void hang_up(void)
{
	int s[2];
	char c;

	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	control(EPOLL_CTL_ADD, s[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 1);
	CHECK_EQ(wait_now(), 1);
	CHECK_EQ(out[0].events, EPOLLOUT);
	CHECK_EQ(write(s[1], "x", 1), 1);
	CHECK_EQ(wait_now(), 1);
	CHECK_EQ(out[0].events, EPOLLIN | EPOLLOUT);
	CHECK_EQ(read(s[0], &c, 1), 1);
	CHECK_OK(shutdown(s[1], SHUT_WR));
	CHECK_EQ(wait_now(), 1);
	CHECK(out[0].events & EPOLLRDHUP);
	close(s[1]);
	CHECK_EQ(wait_now(), 1);
	CHECK(out[0].events & EPOLLHUP);
	close(s[0]);
}

static void *poke(void *arg)
{
	uint64_t v = 1;

	sleep_ms(20);
	CHECK_EQ(write((int)(intptr_t)arg, &v, 8), 8);
	return NULL;
}

static void *add(void *arg)
{
	sleep_ms(20);
	control(EPOLL_CTL_ADD, (int)(intptr_t)arg, EPOLLIN, 9);
	return NULL;
}

static void blocking(void)
{
	int fd = eventfd(0, 0), outer = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 77};
	uint64_t v;
	pthread_t t;

	long long start = now_ns();
	CHECK_EQ(epoll_wait(ep, out, 8, 25), 0);
	CHECK(now_ns() - start >= 24000000);
	control(EPOLL_CTL_ADD, fd, EPOLLIN, 8);
	NEED(pthread_create(&t, NULL, poke, (void *)(intptr_t)fd) == 0);
	CHECK_EQ(epoll_wait(ep, out, 8, 10000), 1);
	CHECK_EQ(out[0].data.u64, 8);
	pthread_join(t, NULL);
	/* A set in a set. */
	CHECK_OK(epoll_ctl(outer, EPOLL_CTL_ADD, ep, &ev));
	CHECK_EQ(epoll_wait(outer, out, 8, 0), 1);
	CHECK_EQ(out[0].data.u64, 77);
	CHECK_EQ(read(fd, &v, 8), 8);
	CHECK_EQ(epoll_wait(outer, out, 8, 0), 0);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, outer, &ev), ELOOP);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev), EINVAL);
	close(outer);
	/* Added while waiting, ready already. */
	control(EPOLL_CTL_DEL, fd, 0, 0);
	v = 1;
	CHECK_EQ(write(fd, &v, 8), 8);
	NEED(pthread_create(&t, NULL, add, (void *)(intptr_t)fd) == 0);
	CHECK_EQ(epoll_wait(ep, out, 8, 10000), 1);
	CHECK_EQ(out[0].data.u64, 9);
	pthread_join(t, NULL);
	close(fd);
}

static void refused(void)
{
	struct epoll_event ev = {.events = EPOLLIN};
	int fd = eventfd(0, 0), file = open("/proc/self/exe", O_RDONLY), dir = open("/tmp", O_RDONLY);

	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev), ENOENT);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_DEL, fd, &ev), ENOENT);
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), EEXIST);
	CHECK_ERR(epoll_ctl(ep, 99, fd, &ev), EINVAL);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, file, &ev), EPERM);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, dir, &ev), EPERM);
	CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, 9999, &ev), EBADF);
	CHECK_ERR(epoll_ctl(9999, EPOLL_CTL_ADD, fd, &ev), EBADF);
	CHECK_ERR(epoll_ctl(fd, EPOLL_CTL_ADD, ep, &ev), EINVAL);
	CHECK_ERR(epoll_wait(ep, out, 0, 0), EINVAL);
	CHECK_ERR(epoll_create(0), EINVAL);
	CHECK_ERR(epoll_create1(0x55), EINVAL);
	/* epoll_pwait2, where there is one. */
	struct timespec ts = {0, 10000000};
	long r = syscall(441, ep, out, 8, &ts, NULL, 0);
	CHECK(r == 0 || errno == ENOSYS);
	close(fd);
	close(file);
	close(dir);
}

static void many(void)
{
	enum { COUNT = 200 };
	int fds[COUNT];
	uint64_t v = 1;

	for (int i = 0; i < COUNT; i++) {
		fds[i] = eventfd(0, 0);
		NEED(fds[i] >= 0);
		control(EPOLL_CTL_ADD, fds[i], EPOLLIN, (uint64_t)i);
	}
	for (int i = 0; i < COUNT; i += 3)
		CHECK_EQ(write(fds[i], &v, 8), 8);
	int seen = 0;
	for (int n; (n = epoll_wait(ep, out, 8, 0)) > 0;) /* eight at a time: none is left out */
		for (int i = 0; i < n; i++) {
			CHECK_EQ(out[i].data.u64 % 3, 0);
			CHECK_EQ(read(fds[out[i].data.u64], &v, 8), 8);
			seen++;
		}
	CHECK_EQ(seen, (COUNT + 2) / 3);
	for (int i = 0; i < COUNT; i++)
		close(fds[i]);
}

int main(void)
{
	ep = epoll_create1(EPOLL_CLOEXEC);
	NEED(ep >= 0);
	modes();
	hang_up();
	blocking();
	refused();
	many();
	return check_done();
}
