/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd: counter and semaphore, limits, blocking, readiness. */
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

static void *add_later(void *arg)
{
	uint64_t v = 3;

	sleep_ms(20);
	CHECK_EQ(write((int)(intptr_t)arg, &v, 8), 8);
	return NULL;
}

int main(void)
{
	int fd = eventfd(5, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t v = 0;
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
	pthread_t t;

	NEED(fd >= 0);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN | POLLOUT);
	CHECK_EQ(read(fd, &v, 8), 8);
	CHECK_EQ(v, 5);
	CHECK_ERR(read(fd, &v, 8), EAGAIN);
	CHECK_ERR(read(fd, &v, 7), EINVAL);
	v = 2;
	CHECK_EQ(write(fd, &v, 8), 8);
	CHECK_EQ(write(fd, &v, 8), 8);
	CHECK_EQ(read(fd, &v, 8), 8);
	CHECK_EQ(v, 4);
	v = ~0ull;
	CHECK_ERR(write(fd, &v, 8), EINVAL);
	v = ~0ull - 1;
	CHECK_EQ(write(fd, &v, 8), 8);
	v = 1;
	CHECK_ERR(write(fd, &v, 8), EAGAIN);
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN);
	CHECK_ERR(write(fd, &v, 4), EINVAL);
	CHECK_ERR(write(fd, (void *)8, 8), EFAULT);
	close(fd);

	fd = eventfd(3, EFD_SEMAPHORE);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(read(fd, &v, 8), 8);
		CHECK_EQ(v, 1);
	}
	NEED(pthread_create(&t, NULL, add_later, (void *)(intptr_t)fd) == 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(read(fd, &v, 8), 8); /* blocks until added */
	pthread_join(t, NULL);
	CHECK_ERR(eventfd(0, 0x123), EINVAL);
	return check_done();
}
