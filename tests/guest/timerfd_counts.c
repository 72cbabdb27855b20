/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd: readable when due, counts expirations, absolute and relative, and can be polled. */
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

int main(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct itimerspec t = {{0, 5000000}, {0, 20000000}}, now;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t n = 0;

	NEED(fd >= 0);
	CHECK_ERR(read(fd, &n, 8), EAGAIN);
	CHECK_EQ(poll(&p, 1, 0), 0);
	long long start = now_ns();
	CHECK_OK(timerfd_settime(fd, 0, &t, NULL));
	CHECK_OK(timerfd_gettime(fd, &now));
	CHECK(now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 20000000 && now.it_interval.tv_nsec == 5000000);
	CHECK_EQ(poll(&p, 1, 5000), 1);
	CHECK(now_ns() - start >= 20000000);
	sleep_ms(30);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK(n >= 5 && n < 1000);
	CHECK_ERR(read(fd, &n, 4), EINVAL);
	CHECK_ERR(write(fd, &n, 8), EINVAL);
	/* Off: nothing more. */
	memset(&t, 0, sizeof(t));
	CHECK_OK(timerfd_settime(fd, 0, &t, &now));
	CHECK_EQ(now.it_interval.tv_nsec, 5000000);
	CHECK_EQ(poll(&p, 1, 20), 0);
	/* Absolute, in the past: at once. */
	t.it_value.tv_nsec = 1;
	CHECK_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL));
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 55};
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	ev.data.u64 = 0;
	CHECK_EQ(epoll_wait(ep, &ev, 1, 5000), 1);
	CHECK_EQ(ev.data.u64, 55);
	CHECK_EQ(read(fd, &n, 8), 8);
	CHECK_EQ(n, 1);
	CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	/* Blocking, on the wall clock. */
	int real = timerfd_create(CLOCK_REALTIME, 0);
	NEED(real >= 0);
	t.it_value.tv_nsec = 15000000;
	start = now_ns();
	CHECK_OK(timerfd_settime(real, 0, &t, NULL));
	CHECK_EQ(read(real, &n, 8), 8);
	CHECK(now_ns() - start >= 14000000);
	CHECK_EQ(n, 1);
	CHECK_ERR(timerfd_create(99, 0), EINVAL);
	CHECK_ERR(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
	t.it_value.tv_nsec = 1000000000;
	CHECK_ERR(timerfd_settime(fd, 0, &t, NULL), EINVAL);
	CHECK_ERR(timerfd_settime(ep, 0, &t, NULL), EINVAL);
	CHECK_ERR(timerfd_gettime(999, &t), EBADF);
	return check_done();
}
