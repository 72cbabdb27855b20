/* SPDX-License-Identifier: Apache-2.0 */
/* Anonymous mappings: zero-filled, where asked, replaced by MAP_FIXED, split by munmap; nonsense is refused. */
#include "check.h"
#include <sys/mman.h>

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static void zero_filled(void)
{
	for (size_t pages = 1; pages <= 1024; pages *= 4) {
		unsigned char *p = mmap(NULL, pages * PAGE, RW, ANON, -1, 0);
		NEED(p != MAP_FAILED);
		CHECK_EQ((uintptr_t)p % PAGE, 0);
		size_t bad = 0;
		for (size_t i = 0; i < pages * PAGE; i += 64)
			bad += p[i] != 0;
		CHECK_EQ(bad, 0);
		memset(p, 0xa5, pages * PAGE);
		CHECK_OK(munmap(p, pages * PAGE));
	}
	/* Memory given back comes again as zeros, not with what was in it. */
	unsigned char *p = mmap(NULL, 256 * PAGE, RW, ANON, -1, 0);
	NEED(p != MAP_FAILED);
	size_t bad = 0;
	for (size_t i = 0; i < 256 * PAGE; i++)
		bad += p[i] != 0;
	CHECK_EQ(bad, 0);
	CHECK_OK(munmap(p, 256 * PAGE));
}

static void placement(void)
{
	char *p = mmap(NULL, 16 * PAGE, RW, ANON, -1, 0);

	NEED(p != MAP_FAILED);
	memset(p, 1, 16 * PAGE);
	/* A hint that is taken gives another place. */
	char *q = mmap(p, PAGE, RW, ANON, -1, 0);
	CHECK(q != MAP_FAILED && (q >= p + 16 * PAGE || q < p));
	munmap(q, PAGE);
	/* MAP_FIXED replaces just its pages. */
	q = mmap(p + 4 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	CHECK(q == p + 4 * PAGE);
	CHECK(p[4 * PAGE] == 0 && p[6 * PAGE - 1] == 0 && p[4 * PAGE - 1] == 1 && p[6 * PAGE] == 1);
	/* MAP_FIXED_NOREPLACE does not. */
	CHECK_ERR((intptr_t)mmap(p + 5 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	/* munmap in the middle leaves both ends. */
	CHECK_OK(munmap(p + 8 * PAGE, 4 * PAGE));
	CHECK_EQ(FAULTS(TOUCH_READ(p + 8 * PAGE)), SIGSEGV);
	CHECK_EQ(fault_info.si_code, SEGV_MAPERR);
	CHECK_EQ((uintptr_t)fault_info.si_addr, (uintptr_t)(p + 8 * PAGE));
	CHECK_EQ(FAULTS(TOUCH_WRITE(p + 12 * PAGE - 1)), SIGSEGV);
	CHECK(p[8 * PAGE - 1] == 1 && p[12 * PAGE] == 1);
	/* The hole is taken again when asked for. */
	q = mmap(p + 8 * PAGE, 4 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(q == p + 8 * PAGE && q[0] == 0);
	CHECK_OK(munmap(p, 16 * PAGE));
	CHECK_OK(munmap(p, 16 * PAGE)); /* nothing there: no error */
}

static void refused(void)
{
	CHECK_ERR((intptr_t)mmap(NULL, 0, RW, ANON, -1, 0), EINVAL);
	CHECK_ERR((intptr_t)mmap((void *)123, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
	CHECK_ERR((intptr_t)mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERR((intptr_t)mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF);
	CHECK_ERR((intptr_t)mmap(NULL, 1ul << 62, RW, ANON | MAP_NORESERVE, -1, 0), ENOMEM);
	CHECK_ERR((intptr_t)mmap(NULL, ~0ul, RW, ANON, -1, 0), ENOMEM);
	/* More writable memory than there is at all; but address space for it may be had. */
	CHECK_ERR((intptr_t)mmap(NULL, 1ul << 45, RW, ANON, -1, 0), ENOMEM);
	char *room = mmap(NULL, 1ul << 45, PROT_NONE, ANON, -1, 0);
	CHECK(room != MAP_FAILED);
	CHECK_ERR(mprotect(room, 1ul << 45, RW), ENOMEM);
	CHECK_OK(mprotect(room, PAGE, RW));
	CHECK_ERR((intptr_t)mremap(room, PAGE, 1ul << 45, MREMAP_MAYMOVE), ENOMEM);
	CHECK_OK(munmap(room, 1ul << 45));
	room = mmap(NULL, 1ul << 45, RW, ANON | MAP_NORESERVE, -1, 0);
	CHECK(room != MAP_FAILED);
	CHECK_OK(munmap(room, 1ul << 45));
	CHECK_ERR((intptr_t)mmap((void *)0x7ffffffff000, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
	CHECK_ERR((intptr_t)mmap((void *)0xffff800000000000, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
	CHECK_ERR(munmap((void *)1, PAGE), EINVAL);
	CHECK_ERR(munmap(NULL, 0), EINVAL);
	CHECK_ERR(munmap((void *)0xffff800000000000, PAGE), EINVAL);
}

static void reservations(void)
{
	/* Runtimes reserve far more than there is, and use a little of it. */
	size_t size = 64ul << 30;
	char *p = mmap(NULL, size, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);

	NEED(p != MAP_FAILED);
	CHECK_EQ(FAULTS(TOUCH_READ(p + size / 2)), SIGSEGV);
	CHECK_EQ(fault_info.si_code, SEGV_ACCERR);
	CHECK_OK(mprotect(p + size / 2, 16 * PAGE, RW));
	p[size / 2 + 5 * PAGE] = 3;
	CHECK_EQ(p[size / 2 + 5 * PAGE], 3);
	CHECK(mmap(p + PAGE, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + PAGE);
	p[PAGE] = 1;
	CHECK_OK(munmap(p, size));
	CHECK_EQ(FAULTS(TOUCH_READ(p + size / 2 + 5 * PAGE)), SIGSEGV);
	CHECK_EQ(fault_info.si_code, SEGV_MAPERR);
	/* A length that is no multiple of the page size covers its last page. */
	p = mmap(NULL, 100, RW, ANON, -1, 0);
	NEED(p != MAP_FAILED);
	p[4095] = 1;
	CHECK_OK(munmap(p, 1));
	CHECK_EQ(FAULTS(TOUCH_READ(p + 4095)), SIGSEGV);
}

int main(void)
{
	faults_catch(0);
	zero_filled();
	placement();
	refused();
	reservations();
	return check_done();
}
