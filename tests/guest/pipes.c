/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes: order, end of file, broken pipes, capacity, atomic writes, blocking between threads. */
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static int fd[2];
static char big[1 << 20];

static void *feed(void *arg)
{
	(void)arg;
	size_t done = 0;
	while (done < sizeof(big)) {
		ssize_t n = write(fd[1], big + done, sizeof(big) - done);
		NEED(n > 0);
		done += (size_t)n;
	}
	close(fd[1]);
	return NULL;
}

static volatile int bad_record;

static void *records(void *arg)
{
	char rec[512];

	memset(rec, (int)(intptr_t)arg, sizeof(rec));
	for (int i = 0; i < 300; i++)
		if (write(fd[1], rec, sizeof(rec)) != sizeof(rec))
			bad_record = 1;
	return NULL;
}

int main(void)
{
	char buf[8192];
	pthread_t t[3];
	int n = 0;

	signal(SIGPIPE, SIG_IGN);
	NEED(pipe2(fd, O_CLOEXEC) == 0);
	CHECK(fcntl(fd[0], F_GETFD) & FD_CLOEXEC);
	CHECK_EQ(fcntl(fd[0], F_GETFL) & O_ACCMODE, O_RDONLY);
	CHECK_EQ(fcntl(fd[1], F_GETFL) & O_ACCMODE, O_WRONLY);
	CHECK_EQ(write(fd[1], "hello", 5), 5);
	CHECK_OK(ioctl(fd[0], FIONREAD, &n));
	CHECK_EQ(n, 5);
	CHECK_EQ(read(fd[0], buf, 2), 2);
	struct iovec v[2] = {{buf, 1}, {buf + 10, 100}};
	CHECK_EQ(readv(fd[0], v, 2), 3);
	CHECK(buf[0] == 'l' && buf[10] == 'l' && buf[11] == 'o');
	CHECK_ERR(write(fd[0], "x", 1), EBADF);
	CHECK_ERR(read(fd[1], buf, 1), EBADF);
	CHECK_ERR(lseek(fd[0], 0, SEEK_CUR), ESPIPE);
	CHECK_ERR(pread(fd[0], buf, 1, 0), ESPIPE);
	CHECK_EQ(write(fd[1], "", 0), 0);
	struct stat st;
	CHECK_OK(fstat(fd[0], &st));
	CHECK(S_ISFIFO(st.st_mode));

	/* Not blocking: EAGAIN when empty and when full; capacity is 64 KiB. */
	CHECK_OK(fcntl(fd[0], F_SETFL, O_NONBLOCK));
	CHECK_OK(fcntl(fd[1], F_SETFL, O_NONBLOCK));
	CHECK_ERR(read(fd[0], buf, 1), EAGAIN);
	CHECK_EQ(fcntl(fd[1], F_GETPIPE_SZ), 65536);
	long total = 0;
	for (ssize_t w; (w = write(fd[1], buf, 4096)) > 0;)
		total += w;
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(total, 65536);
	struct pollfd p[2] = {{.fd = fd[0], .events = POLLIN}, {.fd = fd[1], .events = POLLOUT}};
	CHECK_EQ(poll(p, 2, 0), 1);
	CHECK_EQ(p[0].revents, POLLIN);
	CHECK_EQ(read(fd[0], buf, 4096), 4096);
	CHECK_EQ(poll(p + 1, 1, 0), 1);
	CHECK_OK(fcntl(fd[1], F_SETPIPE_SZ, 131072));
	CHECK_EQ(fcntl(fd[1], F_GETPIPE_SZ), 131072);
	while (read(fd[0], buf, sizeof(buf)) > 0)
		;
	/* Broken. */
	close(fd[0]);
	CHECK_ERR(write(fd[1], "x", 1), EPIPE);
	CHECK_EQ(poll(p + 1, 1, 0), 1);
	CHECK(p[1].revents & POLLERR);
	close(fd[1]);

	/* A megabyte through, with the end seen after the last byte. */
	NEED(pipe(fd) == 0);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 256);
	NEED(pthread_create(&t[0], NULL, feed, NULL) == 0);
	size_t done = 0, bad = 0;
	for (ssize_t r; (r = read(fd[0], buf, sizeof(buf))) > 0; done += (size_t)r)
		bad += memcmp(buf, big + done, (size_t)r) != 0;
	CHECK_EQ(done, sizeof(big));
	CHECK_EQ(bad, 0);
	p[0].fd = fd[0];
	CHECK_EQ(poll(p, 1, 0), 1);
	CHECK_EQ(p[0].revents, POLLHUP);
	pthread_join(t[0], NULL);
	close(fd[0]);

	/* Writes up to PIPE_BUF are not mixed. */
	NEED(pipe(fd) == 0);
	for (intptr_t i = 0; i < 3; i++)
		NEED(pthread_create(&t[i], NULL, records, (void *)('a' + i)) == 0);
	for (int i = 0; i < 900; i++) {
		size_t have = 0;
		while (have < 512) {
			ssize_t r = read(fd[0], buf + have, 512 - have);
			NEED(r > 0);
			have += (size_t)r;
		}
		for (int j = 1; j < 512; j++)
			bad_record |= buf[j] != buf[0];
	}
	CHECK_EQ(bad_record, 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	CHECK_ERR(pipe2(fd, 0x1234567), EINVAL);
	CHECK_ERR(pipe((int *)8), EFAULT);
	return check_done();
}
