/* SPDX-License-Identifier: Apache-2.0 */
/* mincore tells which pages are there; mlock and its kin accept what programs ask. */
#include "check.h"
#include <sys/mman.h>
#include <sys/resource.h>

#define PAGE 4096ul

int main(void)
{
	unsigned char vec[4];
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(p != MAP_FAILED);
	CHECK_OK(madvise(p, 4 * PAGE, MADV_NOHUGEPAGE));
	p[PAGE] = 1;
	CHECK_OK(mincore(p, 4 * PAGE, vec));
	CHECK_EQ(vec[1] & 1, 1);
	CHECK_ERR(mincore(p + 1, PAGE, vec), EINVAL);
	CHECK_OK(munmap(p + 2 * PAGE, PAGE));
	CHECK_ERR(mincore(p, 4 * PAGE, vec), ENOMEM);
	CHECK_OK(mlock(p, PAGE));
	CHECK_OK(munlock(p, PAGE));
	CHECK_ERR(mlock(p + 2 * PAGE, PAGE), ENOMEM);
	/* MAP_POPULATE: the pages are there and zero. */
	char *q = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	NEED(q != MAP_FAILED);
	CHECK_OK(mincore(q, 4 * PAGE, vec));
	CHECK(vec[0] & vec[1] & vec[2] & vec[3] & 1);
	CHECK_EQ(q[3 * PAGE], 0);
	return check_done();
}
