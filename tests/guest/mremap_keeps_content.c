/* SPDX-License-Identifier: Apache-2.0 */
/* mremap: growing and moving keep what is in the pages, new pages are zero, what is cut off is gone. */
#include "check.h"
#include <sys/mman.h>

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static void fill(uint32_t *p, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		p[i * 1024] = 0x1000u + (uint32_t)i;
}

static bool holds(const uint32_t *p, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		if (p[i * 1024] != 0x1000u + i)
			return false;
	return true;
}

int main(void)
{
	faults_catch(0);
	uint32_t *p = mmap(NULL, 8 * PAGE, RW, ANON, -1, 0);
	NEED(p != MAP_FAILED);
	fill(p, 8);

	/* Grow, moving if there is need: many steps. */
	size_t pages = 8;
	for (; pages < 2048; pages *= 2) {
		uint32_t *q = mremap(p, pages * PAGE, 2 * pages * PAGE, MREMAP_MAYMOVE);
		NEED(q != MAP_FAILED);
		p = q;
		CHECK(holds(p, pages));
		CHECK_EQ(p[pages * 1024], 0);
		CHECK_EQ(p[2 * pages * 1024 - 1], 0);
		fill(p, 2 * pages);
	}
	/* Shrink: stays in place, the rest faults. */
	CHECK(mremap(p, pages * PAGE, 4 * PAGE, 0) == p);
	CHECK(holds(p, 4));
	CHECK_EQ(FAULTS(TOUCH_READ(p + 4 * 1024)), SIGSEGV);

	/* In place when the place is free, ENOMEM when it is not and moving is not allowed. */
	uint32_t *wall = mmap(p + 4 * 1024, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(wall == p + 4 * 1024);
	CHECK_ERR((intptr_t)mremap(p, 4 * PAGE, 8 * PAGE, 0), ENOMEM);
	uint32_t *q = mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p && holds(q, 4));
	CHECK_EQ(FAULTS(TOUCH_READ(p)), SIGSEGV);
	munmap(wall, PAGE);

	/* To a place of our choice, over what was there. */
	uint32_t *target = mmap(NULL, 16 * PAGE, RW, ANON, -1, 0);
	NEED(target != MAP_FAILED);
	memset(target, 9, 16 * PAGE);
	CHECK(mremap(q, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + 2 * 1024) == target + 2 * 1024);
	CHECK(holds(target + 2 * 1024, 4));
	CHECK_EQ(target[0], 0x09090909);
	CHECK_EQ(target[6 * 1024], 0x09090909);
	CHECK_EQ(FAULTS(TOUCH_READ(q)), SIGSEGV);

	CHECK_ERR((intptr_t)mremap(target + 1, PAGE, PAGE, 0), EINVAL);
	CHECK_ERR((intptr_t)mremap(target, PAGE, 0, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERR((intptr_t)mremap(target, PAGE, PAGE, MREMAP_FIXED, target), EINVAL);
	CHECK_ERR((intptr_t)mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
	/* Rights move along. */
	CHECK_OK(mprotect(target, PAGE, PROT_READ));
	q = mremap(target, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED);
	CHECK_EQ(FAULTS(TOUCH_WRITE(q)), SIGSEGV);
	CHECK_EQ(FAULTS(TOUCH_READ(q)), 0);

	/* A file mapping grows into the file. */
	scratch_enter();
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	NEED(fd >= 0 && ftruncate(fd, 8 * PAGE) == 0);
	CHECK_EQ(pwrite(fd, "page5", 5, 5 * PAGE), 5);
	char *f = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	NEED(f != MAP_FAILED);
	f = mremap(f, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	NEED(f != MAP_FAILED);
	CHECK(memcmp(f + 5 * PAGE, "page5", 5) == 0);
	munmap(f, 8 * PAGE);
	close(fd);
	return check_done();
}
