/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: lowest number first, duplicates share position and flags, close-on-exec is each one's own, limits hold.
 */
#include "check.h"
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

int main(void)
{
	char buf[16];

	scratch_enter();
	file_make("f", "0123456789");
	int a = open("f", O_RDWR | O_CLOEXEC);
	NEED(a >= 0);
	int b = dup(a);
	CHECK(b > a);
	CHECK_EQ(read(a, buf, 4), 4);
	CHECK_EQ(read(b, buf, 2), 2);
	CHECK_EQ(buf[0], '4');
	CHECK_EQ(lseek(a, 0, SEEK_CUR), 6);
	CHECK_EQ(fcntl(a, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(b, F_GETFD), 0);
	CHECK_OK(fcntl(a, F_SETFL, O_APPEND | O_NONBLOCK));
	CHECK_EQ(fcntl(b, F_GETFL) & (O_APPEND | O_NONBLOCK | O_ACCMODE), O_APPEND | O_NONBLOCK | O_RDWR);
	/* Another open is another position. */
	int c = open("f", O_RDONLY);
	CHECK_EQ(lseek(c, 0, SEEK_CUR), 0);

	close(a);
	CHECK_EQ(dup(c), a); /* the lowest free number */
	CHECK_ERR(close(9999), EBADF);
	CHECK_OK(close(b));
	CHECK_ERR(close(b), EBADF);
	CHECK_ERR(read(b, buf, 1), EBADF);
	CHECK_EQ(dup2(c, c), c);
	CHECK_EQ(dup2(c, 77), 77);
	CHECK_EQ(read(77, buf, 3), 3);
	CHECK_EQ(lseek(c, 0, SEEK_CUR), 3);
	CHECK_ERR(dup2(9999, 5), EBADF);
	CHECK_ERR(dup3(c, c, 0), EINVAL);
	CHECK_ERR(dup3(c, 78, 0x777), EINVAL);
	CHECK_EQ(dup3(c, 78, O_CLOEXEC), 78);
	CHECK_EQ(fcntl(78, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(c, F_DUPFD, 100), 100);
	CHECK_EQ(fcntl(c, F_DUPFD_CLOEXEC, 100), 101);
	CHECK_EQ(fcntl(101, F_GETFD), FD_CLOEXEC);
	CHECK_ERR(fcntl(c, F_DUPFD, -1), EINVAL);
	CHECK_ERR(fcntl(c, 12345), EINVAL);
	CHECK_OK(fcntl(c, F_SETFD, FD_CLOEXEC));
	CHECK_OK(ioctl(c, FIONCLEX));
	CHECK_EQ(fcntl(c, F_GETFD), 0);
	CHECK_ERR(ioctl(c, TCGETS, buf), ENOTTY);
	CHECK_EQ(isatty(c), 0);

	CHECK_OK(syscall(SYS_close_range, 77, 101, 0));
	CHECK_ERR(fcntl(78, F_GETFD), EBADF);
	CHECK_ERR(fcntl(101, F_GETFD), EBADF);
	CHECK_OK(fcntl(c, F_GETFD));
	CHECK_ERR(syscall(SYS_close_range, 10, 5, 0), EINVAL);

	/* The limit: EMFILE, and a number beyond it is refused. */
	struct rlimit old, small = {50, 0};
	NEED(getrlimit(RLIMIT_NOFILE, &old) == 0);
	small.rlim_max = old.rlim_max;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &small));
	int last = -1, n = 0;
	for (int fd; (fd = dup(c)) >= 0 && n < 100; n++)
		last = fd;
	CHECK_EQ(errno, EMFILE);
	CHECK_EQ(last, 49);
	CHECK_ERR(open("f", O_RDONLY), EMFILE);
	CHECK_ERR(dup2(c, 50), EBADF);
	CHECK_ERR(fcntl(c, F_DUPFD, 50), EINVAL);
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &old));
	CHECK_EQ(dup(c), 50);
	/* Many. */
	for (int i = 0; i < 300; i++)
		NEED(dup(c) >= 0);
	return check_done();
}
