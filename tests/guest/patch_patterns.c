/* SPDX-License-Identifier: Apache-2.0 */
/* A system call in code of the program's own making gives the right result at first and ever after, whatever the
 * instructions before it look like, wherever the site lies on its page. */
#include "patch.h"

static void repeat(code_fn f, enum pattern p, const char *where)
{
	long want = getpid();

	for (int i = 0; i < 3000; i++) {
		long got = p == XOR_READ ? f(-1, 0, 0) : f(p == REGISTER ? SYS_getpid : 0, 0, 0);
		if (got != (p == XOR_READ ? -EBADF : want)) {
			printf("%s, %s, call %d: %ld\n", pattern_names[p], where, i, got);
			CHECK(false);
			return;
		}
	}
}

int main(void)
{
	uint8_t *code = code_pages(PATTERNS * 4);

	for (int p = 0; p < PATTERNS; p++) {
		uint8_t *at = code + (size_t)p * 4 * PAGE;
		emit_call(at, p, SYS_getpid);
		repeat((code_fn)at, p, "page start");
		/* Across a page border, at each byte. */
		for (int shift = 1; shift < 20; shift++) {
			uint8_t *border = at + 2 * PAGE;
			memset(at + PAGE, 0xcc, 2 * PAGE);
			emit_call(border - shift, p, SYS_getpid);
			for (int i = 0; i < 20; i++)
				if (p == XOR_READ)
					CHECK_EQ(((code_fn)(border - shift))(-1, 0, 0), -EBADF);
				else
					CHECK_EQ(((code_fn)(border - shift))(SYS_getpid, 0, 0), getpid());
		}
		/* At the very end of the mapping. */
		CHECK_OK(mprotect(at + 3 * PAGE, PAGE, PROT_NONE));
		uint8_t *end = emit_call(at + PAGE, p, SYS_getpid);
		long len = end - (at + PAGE);
		emit_call(at + 3 * PAGE - len, p, SYS_getpid);
		repeat((code_fn)(at + 3 * PAGE - len), p, "mapping's end");
	}

	/* Many sites, each with a call of its own: arguments and results do not get mixed up. */
	uint8_t *many = code_pages(64);
	for (int i = 0; i < 2000; i++)
		emit_call(many + i * 32, (enum pattern)(i % 3), i & 1 ? SYS_getpid : SYS_dup);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 2000; i++) {
			long got = ((code_fn)(many + i * 32))(-5, 0, 0);
			if (got != (i & 1 ? getpid() : -EBADF)) {
				CHECK_EQ(got, i);
				return check_done();
			}
		}
	/* Numbers that do not exist, in a site that is hot. */
	emit_call(code, MOV_IMM32, 999);
	code_fn unknown = (code_fn)(code);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(unknown(0, 0, 0), -ENOSYS);
	return check_done();
}
