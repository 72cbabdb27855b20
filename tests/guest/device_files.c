/* SPDX-License-Identifier: Apache-2.0 */
/* The files of /dev do what they are named for. */
#include "check.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

static int zeros(const unsigned char *p, size_t n)
{
	int count = 0;

	for (size_t i = 0; i < n; i++)
		count += p[i] == 0;
	return count;
}

int main(void)
{
	unsigned char a[256], b[256];
	struct stat st;

	int fd = open("/dev/null", O_RDWR);
	NEED(fd >= 0);
	CHECK_EQ(write(fd, a, 200), 200);
	CHECK_EQ(read(fd, a, 200), 0);
	CHECK_OK(fstat(fd, &st));
	CHECK(S_ISCHR(st.st_mode) && major(st.st_rdev) == 1 && minor(st.st_rdev) == 3);
	CHECK_EQ(lseek(fd, 100, SEEK_SET), 0);
	CHECK_OK(close(open("/dev/null", O_WRONLY | O_TRUNC | O_CREAT, 0666)));
	close(fd);

	fd = open("/dev/zero", O_RDWR);
	NEED(fd >= 0);
	memset(a, 1, sizeof(a));
	CHECK_EQ(read(fd, a, 256), 256);
	CHECK_EQ(zeros(a, 256), 256);
	CHECK_EQ(write(fd, a, 256), 256);
	unsigned char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED && zeros(p, 4096) == 4096);
	close(fd);

	fd = open("/dev/full", O_RDWR);
	NEED(fd >= 0);
	CHECK_ERR(write(fd, a, 1), ENOSPC);
	CHECK_EQ(read(fd, a, 16), 16);
	close(fd);

	static const char *const names[] = {"/dev/random", "/dev/urandom"};
	for (size_t i = 0; i < countof(names); i++) {
		fd = open(names[i], O_RDONLY);
		NEED(fd >= 0);
		CHECK_EQ(read(fd, a, 256), 256);
		CHECK_EQ(read(fd, b, 256), 256);
		CHECK(memcmp(a, b, 256) != 0);
		CHECK(zeros(a, 256) < 20);
		struct pollfd pf = {.fd = fd, .events = POLLIN};
		CHECK_EQ(poll(&pf, 1, 0), 1);
		close(fd);
	}
	CHECK_EQ(getrandom(a, 256, 0), 256);
	CHECK_EQ(getrandom(b, 256, GRND_NONBLOCK), 256);
	CHECK(memcmp(a, b, 256) != 0);
	CHECK_EQ(getrandom(a, 0, 0), 0);
	CHECK_ERR(getrandom(a, 1, 0x100), EINVAL);
	CHECK_ERR(syscall(SYS_getrandom, 8, 16, 0), EFAULT);

	/* Descriptors by name. */
	int pipe_fd[2];
	char name[64];
	NEED(pipe(pipe_fd) == 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", pipe_fd[1]);
	fd = open(name, O_WRONLY);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(read(pipe_fd[0], a, 8), 1);
	CHECK_OK(stat("/dev/stdin", &st));
	CHECK_OK(stat("/dev/stdout", &st));
	CHECK_OK(stat("/dev/stderr", &st));

	fd = open("/dev/shm/lampo-test", O_RDWR | O_CREAT, 0600);
	NEED(fd >= 0);
	CHECK_OK(ftruncate(fd, 4096));
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	p[0] = 7;
	CHECK_EQ(pread(fd, a, 1, 0), 1);
	CHECK_EQ(a[0], 7);
	CHECK_OK(unlink("/dev/shm/lampo-test"));
	CHECK_OK(stat("/dev/shm", &st));
	CHECK(S_ISDIR(st.st_mode) && (st.st_mode & 01000));

	/* No terminal here: it is said so. */
	fd = open("/dev/tty", O_RDWR);
	CHECK(fd >= 0 || errno == ENXIO);
	return check_done();
}
