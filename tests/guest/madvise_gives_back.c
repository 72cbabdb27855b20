/* SPDX-License-Identifier: Apache-2.0 */
/* madvise(DONTNEED) makes private memory zero (or the file's again) at once; hints are taken, nonsense is not. */
#include "check.h"
#include <sys/mman.h>

#define PAGE 4096ul
#define RW (PROT_READ | PROT_WRITE)

int main(void)
{
	faults_catch(0);
	scratch_enter();
	char *p = mmap(NULL, 16 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(p != MAP_FAILED);
	memset(p, 5, 16 * PAGE);
	CHECK_OK(madvise(p + 4 * PAGE, 8 * PAGE, MADV_DONTNEED));
	CHECK(p[4 * PAGE - 1] == 5 && p[12 * PAGE] == 5);
	size_t bad = 0;
	for (size_t i = 4 * PAGE; i < 12 * PAGE; i++)
		bad += p[i] != 0;
	CHECK_EQ(bad, 0);
	p[5 * PAGE] = 6;
	CHECK_EQ(p[5 * PAGE], 6);

	/* A read-only page is given back too, and keeps its rights. */
	CHECK_OK(mprotect(p, PAGE, PROT_READ));
	CHECK_OK(madvise(p, PAGE, MADV_DONTNEED));
	CHECK_EQ(p[0], 0);
	CHECK_EQ(FAULTS(TOUCH_WRITE(p)), SIGSEGV);

	/* A private file page is the file's again. */
	file_make("f", "content of the file");
	int fd = open("f", O_RDONLY);
	char *f = mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0);
	NEED(f != MAP_FAILED);
	memcpy(f, "CHANGED", 7);
	CHECK_OK(madvise(f, PAGE, MADV_DONTNEED));
	CHECK(memcmp(f, "content", 7) == 0);

	/* A shared page keeps what was written. */
	char *s = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(s != MAP_FAILED);
	s[1] = 9;
	CHECK_OK(madvise(s, PAGE, MADV_DONTNEED));
	CHECK_EQ(s[1], 9);

	static const int hints[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_FREE, MADV_DONTDUMP};
	for (size_t i = 0; i < countof(hints); i++)
		CHECK_OK(madvise(p, 2 * PAGE, hints[i]));
	CHECK_OK(madvise(p, 0, MADV_DONTNEED));
	CHECK_ERR(madvise(p, PAGE, 9999), EINVAL);
	CHECK_ERR(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	CHECK_OK(munmap(p + 2 * PAGE, PAGE));
	CHECK_ERR(madvise(p, 16 * PAGE, MADV_DONTNEED), ENOMEM);
	CHECK_EQ(p[15 * PAGE], 0); /* what is there was given back all the same */
	return check_done();
}
