/* SPDX-License-Identifier: Apache-2.0 */
/* memfd: a file in memory; its seals hold. */
#include "check.h"
#include <sys/mman.h>

int main(void)
{
	struct stat st;
	char buf[64], target[64];

	int fd = memfd_create("name", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	NEED(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_OK(fstat(fd, &st));
	CHECK(S_ISREG(st.st_mode) && st.st_size == 0);
	CHECK_EQ(write(fd, "content", 7), 7);
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(buf, target, sizeof(target) - 1);
	NEED(n > 0);
	target[n] = 0;
	CHECK(strcmp(target, "/memfd:name (deleted)") == 0);
	int again = open(buf, O_RDONLY);
	CHECK(again >= 0);
	CHECK_EQ(read(again, target, 7), 7);
	CHECK(memcmp(target, "content", 7) == 0);

	CHECK_EQ(fcntl(fd, F_GET_SEALS), 0);
	CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	CHECK_ERR(ftruncate(fd, 1), EPERM);
	CHECK_ERR(ftruncate(fd, 100), EPERM);
	CHECK_EQ(pwrite(fd, "C", 1, 0), 1);
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	NEED(p != MAP_FAILED);
	CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	munmap(p, 4096);
	CHECK_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL));
	CHECK_ERR(pwrite(fd, "C", 1, 0), EPERM);
	CHECK_ERR((intptr_t)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
	CHECK_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	int plain = memfd_create("plain", 0);
	CHECK_EQ(fcntl(plain, F_GET_SEALS), F_SEAL_SEAL);
	CHECK_ERR(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	CHECK_ERR(memfd_create("x", 0x4000), EINVAL);
	memset(buf, 'x', sizeof(buf));
	char longname[300];
	memset(longname, 'n', sizeof(longname));
	longname[299] = 0;
	CHECK_ERR(memfd_create(longname, 0), EINVAL);
	CHECK_ERR(fcntl(0, F_GET_SEALS), EINVAL);
	return check_done();
}
