/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is unmapped is free again: far more than the machine has passes through, a part at a time. */
#include "check.h"
#include <sys/mman.h>

int main(void)
{
	size_t size = 24ul << 20;

	for (int round = 0; round < 16; round++) {
		volatile uint64_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		NEED(p != MAP_FAILED);
		for (size_t i = 0; i < size / 8; i += 512) {
			if (p[i] != 0) {
				CHECK(p[i] == 0);
				break;
			}
			p[i] = i + (size_t)round;
		}
		for (size_t i = 0; i < size / 8; i += 512)
			if (p[i] != i + (size_t)round) {
				CHECK_EQ(p[i], i + (size_t)round);
				break;
			}
		/* By turns: unmap, or give back with madvise and unmap then. */
		if (round & 1)
			CHECK_OK(madvise((void *)p, size, MADV_DONTNEED));
		CHECK_OK(munmap((void *)p, size));
	}
	return check_done();
}
