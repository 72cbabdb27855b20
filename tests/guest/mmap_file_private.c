/* SPDX-License-Identifier: Apache-2.0 */
/* Private file mappings: the file's content, copy on write, SIGBUS past the end, alive after close and unlink. */
#include "check.h"
#include <sys/mman.h>

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)

int main(void)
{
	faults_catch(0);
	scratch_enter();
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	NEED(fd >= 0);
	char block[PAGE];
	for (int i = 0; i < 4; i++) {
		memset(block, 'a' + i, PAGE);
		CHECK_EQ(pwrite(fd, block, PAGE, (off_t)(i * PAGE)), PAGE);
	}
	CHECK_EQ(pwrite(fd, "tail", 4, 4 * PAGE), 4);

	char *p = mmap(NULL, 8 * PAGE, RW, MAP_PRIVATE, fd, 0);
	NEED(p != MAP_FAILED);
	CHECK(p[0] == 'a' && p[PAGE] == 'b' && p[4 * PAGE - 1] == 'd');
	CHECK(memcmp(p + 4 * PAGE, "tail\0\0\0", 7) == 0);
	CHECK_EQ(p[5 * PAGE - 1], 0);
	CHECK_EQ(FAULTS(TOUCH_READ(p + 5 * PAGE + 3)), SIGBUS);
	CHECK_EQ(fault_info.si_code, BUS_ADRERR);
	CHECK_EQ((uintptr_t)fault_info.si_addr, (uintptr_t)(p + 5 * PAGE + 3));
	CHECK_EQ(FAULTS(TOUCH_WRITE(p + 7 * PAGE)), SIGBUS);

	/* A write is ours alone. */
	p[0] = 'X';
	p[4 * PAGE] = 'Y';
	CHECK_EQ(pread(fd, block, 1, 0), 1);
	CHECK_EQ(block[0], 'a');
	char *q = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	NEED(q != MAP_FAILED);
	CHECK_EQ(q[0], 'a');
	/* A write to the file does not come through to a page that is ours. */
	CHECK_EQ(pwrite(fd, "Z", 1, 0), 1);
	CHECK_EQ(p[0], 'X');

	/* From an offset; an offset off the page grid is refused. */
	char *r = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 2 * PAGE);
	NEED(r != MAP_FAILED);
	CHECK_EQ(r[5], 'c');
	CHECK_ERR((intptr_t)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100), EINVAL);

	/* The mapping outlives descriptor and name. */
	close(fd);
	CHECK_OK(unlink("f"));
	CHECK_EQ(r[PAGE - 1], 'c');
	CHECK_EQ(p[3 * PAGE], 'd');
	CHECK_OK(munmap(p, 8 * PAGE));

	/* What may not be read cannot be mapped; a directory cannot either. */
	fd = open("w", O_WRONLY | O_CREAT, 0600);
	NEED(fd >= 0);
	CHECK_ERR((intptr_t)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EACCES);
	close(fd);
	fd = open(".", O_RDONLY);
	CHECK_ERR((intptr_t)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
	close(fd);

	/* A big read-only file of the system: compare the mapping with read. */
	fd = open("/proc/self/exe", O_RDONLY);
	NEED(fd >= 0);
	struct stat st;
	NEED(fstat(fd, &st) == 0 && st.st_size > 4096);
	p = mmap(NULL, (size_t)st.st_size, RW, MAP_PRIVATE, fd, 0);
	NEED(p != MAP_FAILED);
	for (off_t at = 0; at < st.st_size;) {
		ssize_t n = pread(fd, block, PAGE, at);
		NEED(n > 0);
		CHECK(memcmp(block, p + at, (size_t)n) == 0);
		at += n;
	}
	p[100] ^= 1; /* copy of a read-only file's page */
	CHECK_EQ(pread(fd, block, 1, 100), 1);
	CHECK(block[0] != p[100]);
	return check_done();
}
