/* SPDX-License-Identifier: Apache-2.0 */
/* Shared file mappings: one page for all mappings and for read and write; the end of the file moves with it. */
#include "check.h"
#include <sys/mman.h>

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)

static void shared_on(int fd)
{
	char buf[16];

	NEED(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0);
	char *p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0);
	char *q = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	char *r = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	NEED(p != MAP_FAILED && q != MAP_FAILED && r != MAP_FAILED);
	strcpy(p + 10, "written");
	CHECK(strcmp(q + 10, "written") == 0);
	CHECK(strcmp(r + 10, "written") == 0); /* not touched for writing yet */
	CHECK_EQ(pread(fd, buf, 8, 10), 8);
	CHECK(strcmp(buf, "written") == 0);
	CHECK_EQ(pwrite(fd, "WR", 2, 10), 2);
	CHECK(memcmp(p + 10, "WRitten", 7) == 0 && memcmp(q + 10, "WRitten", 7) == 0);
	r[0] = 1;
	CHECK_EQ(p[0], 0);
	CHECK_OK(msync(p, 2 * PAGE, MS_SYNC));
	CHECK_OK(msync(p, 2 * PAGE, MS_ASYNC));
	CHECK_ERR(msync(p + 1, PAGE, MS_SYNC), EINVAL);
	CHECK_ERR(msync(p, PAGE, MS_SYNC | MS_ASYNC), EINVAL);

	/* Past the end: SIGBUS, until the file grows. */
	CHECK_EQ(FAULTS(TOUCH_READ(p + 3 * PAGE)), SIGBUS);
	CHECK_OK(ftruncate(fd, 4 * PAGE));
	CHECK_EQ(FAULTS(TOUCH_WRITE(p + 3 * PAGE)), 0);
	CHECK_EQ(pread(fd, buf, 1, 3 * PAGE), 1);
	CHECK_EQ(buf[0], 1);
	/* Shrunk: the pages are gone, and come back as zeros. */
	CHECK_OK(ftruncate(fd, PAGE));
	CHECK_EQ(FAULTS(TOUCH_READ(p + 3 * PAGE)), SIGBUS);
	CHECK_OK(ftruncate(fd, 4 * PAGE));
	CHECK_EQ(p[3 * PAGE], 0);
	CHECK_OK(munmap(p, 4 * PAGE));
	CHECK_OK(munmap(q, 2 * PAGE));
	CHECK_OK(munmap(r, PAGE));
	CHECK_EQ(pread(fd, buf, 8, 10), 8);
	CHECK(strcmp(buf, "WRitten") == 0);
}

int main(void)
{
	faults_catch(0);
	scratch_enter();
	shared_on(open("f", O_RDWR | O_CREAT, 0600));
	shared_on(open("/dev/shm/lampo-test-shared", O_RDWR | O_CREAT | O_TRUNC, 0600));
	unlink("/dev/shm/lampo-test-shared");
	shared_on(memfd_create("m", 0));

	/* A file opened for reading is not written through a mapping. */
	int fd = open("f", O_RDONLY);
	NEED(fd >= 0);
	CHECK_ERR((intptr_t)mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), EACCES);
	CHECK((intptr_t)mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0) != -1);

	/* Shared anonymous memory starts as zeros. */
	char *s = mmap(NULL, 64 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(s != MAP_FAILED);
	CHECK_EQ(s[63 * PAGE], 0);
	s[63 * PAGE] = 1;
	CHECK_OK(mprotect(s, 64 * PAGE, PROT_READ));
	CHECK_EQ(FAULTS(TOUCH_WRITE(s)), SIGSEGV);
	CHECK_EQ(s[63 * PAGE], 1);
	return check_done();
}
