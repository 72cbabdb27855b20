/* SPDX-License-Identifier: Apache-2.0 */
/* Locks: flock and OFD locks conflict between open files, POSIX locks never within a process. */
#include "check.h"
#include <pthread.h>
#include <sys/file.h>

static int lock(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

	return fcntl(fd, cmd, &fl);
}

static volatile int got;

static void *blocked(void *arg)
{
	CHECK_OK(flock((int)(intptr_t)arg, LOCK_EX));
	got = 1;
	return NULL;
}

int main(void)
{
	pthread_t t;

	scratch_enter();
	file_make("f", "0123456789");
	int a = open("f", O_RDWR), b = open("f", O_RDWR), ro = open("f", O_RDONLY);
	NEED(a >= 0 && b >= 0);

	CHECK_OK(flock(a, LOCK_SH));
	CHECK_OK(flock(b, LOCK_SH | LOCK_NB));
	CHECK_ERR(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK_OK(flock(b, LOCK_UN));
	CHECK_OK(flock(a, LOCK_EX | LOCK_NB));
	CHECK_ERR(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	int copy = dup(a);
	CHECK_OK(flock(copy, LOCK_EX | LOCK_NB)); /* the same open file */
	NEED(pthread_create(&t, NULL, blocked, (void *)(intptr_t)b) == 0);
	sleep_ms(20);
	CHECK_EQ(got, 0);
	CHECK_OK(flock(copy, LOCK_UN));
	pthread_join(t, NULL);
	CHECK_EQ(got, 1);
	close(b); /* gives the lock back */
	CHECK_OK(flock(a, LOCK_EX | LOCK_NB));
	CHECK_OK(flock(a, LOCK_UN));
	CHECK_ERR(flock(a, 77), EINVAL);
	CHECK_ERR(flock(9999, LOCK_SH), EBADF);

	/* POSIX: one owner, the process. */
	b = open("f", O_RDWR);
	CHECK_OK(lock(a, F_SETLK, F_WRLCK, 0, 5));
	CHECK_OK(lock(b, F_SETLK, F_WRLCK, 0, 5));
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
	CHECK_OK(fcntl(b, F_GETLK, &fl));
	CHECK_EQ(fl.l_type, F_UNLCK);
	CHECK_OK(lock(a, F_SETLKW, F_UNLCK, 2, 1));
	CHECK_ERR(lock(ro, F_SETLK, F_WRLCK, 0, 1), EBADF);
	CHECK_OK(lock(ro, F_SETLK, F_RDLCK, 0, 1));
	CHECK_ERR(lock(a, F_SETLK, 99, 0, 1), EINVAL);
	CHECK_ERR(lock(a, F_SETLK, F_RDLCK, -5, 1), EINVAL);
	CHECK_OK(lock(a, F_SETLK, F_UNLCK, 0, 0));

	/* OFD: the owner is the open file. Ranges count. */
	CHECK_OK(lock(a, F_OFD_SETLK, F_WRLCK, 0, 5));
	CHECK_ERR(lock(b, F_OFD_SETLK, F_RDLCK, 4, 1), EAGAIN);
	CHECK_OK(lock(b, F_OFD_SETLK, F_WRLCK, 5, 5));
	CHECK_ERR(lock(a, F_OFD_SETLK, F_RDLCK, 9, 1), EAGAIN);
	fl = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
	CHECK_OK(fcntl(b, F_OFD_GETLK, &fl));
	CHECK_EQ(fl.l_type, F_WRLCK);
	CHECK(fl.l_start == 0 && fl.l_len == 5 && fl.l_pid == -1);
	CHECK_OK(lock(a, F_OFD_SETLK, F_UNLCK, 1, 2)); /* a hole in the middle */
	CHECK_OK(lock(b, F_OFD_SETLK, F_WRLCK, 1, 2));
	CHECK_ERR(lock(b, F_OFD_SETLK, F_WRLCK, 3, 1), EAGAIN);
	CHECK_ERR(lock(b, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
	close(a);
	CHECK_ERR(lock(b, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN); /* the duplicate holds it */
	close(copy);
	CHECK_OK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0));
	return check_done();
}
