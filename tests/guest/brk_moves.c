/* SPDX-License-Identifier: Apache-2.0 */
/* brk: the heap grows with zeros, shrinks, and does not grow into what is not there. */
#include "check.h"
#include <sys/syscall.h>

static char *brk_to(char *p) { return (char *)syscall(SYS_brk, p); }

int main(void)
{
	faults_catch(0);
	char *start = brk_to(NULL);
	NEED(start != NULL);
	CHECK(brk_to(start + 65536) == start + 65536);
	size_t bad = 0;
	for (int i = 0; i < 65536; i++)
		bad += start[i] != 0;
	CHECK_EQ(bad, 0);
	start[65535] = 3;
	start[10] = 4;
	/* Shrunk and grown again: the old content is gone, what stayed is there. */
	CHECK(brk_to(start + 4096) == start + 4096);
	uintptr_t page_end = ((uintptr_t)start + 4096 + 4095) & ~4095ul;
	CHECK_EQ(FAULTS(TOUCH_READ(page_end)), SIGSEGV);
	CHECK(brk_to(start + 65536) == start + 65536);
	CHECK_EQ(start[65535], 0);
	CHECK_EQ(start[10], 4);
	/* Refused: the break stays. */
	CHECK(brk_to((char *)1) == start + 65536);
	CHECK(brk_to((char *)0x7ffffffff000) == start + 65536);
	CHECK(brk_to((char *)~0ul) == start + 65536);
	CHECK(brk_to(start) == start);
	/* malloc still works on top of it. */
	void *m[64];
	for (int i = 0; i < 64; i++) {
		m[i] = malloc(1000 + (size_t)i * 331);
		NEED(m[i] != NULL);
		memset(m[i], i, 1000);
	}
	for (int i = 0; i < 64; i++) {
		CHECK_EQ(((char *)m[i])[999], i);
		free(m[i]);
	}
	return check_done();
}
