/* SPDX-License-Identifier: Apache-2.0 */
/* Code that is replaced after its calls became hot runs as replaced: overwritten, unmapped and mapped anew, written
 * through another mapping, made of another file. Nothing of the kernel's changes reaches a file. */
#include "patch.h"

static int hot(code_fn f, long want)
{
	int bad = 0;

	for (int i = 0; i < 300; i++)
		bad += f(-1, 0, 0) != want;
	return bad;
}

static void emit_return(uint8_t *at, uint32_t value)
{
	struct emitter e = {at};

	EMIT(&e, 0xb8);
	emit_u32(&e, value);
	EMIT(&e, 0xc3);
}

static void overwritten(void)
{
	uint8_t *code = code_pages(1);

	for (uint32_t round = 0; round < 50; round++) {
		emit_call(code, MOV_IMM32, SYS_getpid);
		CHECK_EQ(hot((code_fn)code, getpid()), 0);
		emit_call(code, MOV_IMM32, SYS_dup); /* only the number is another */
		CHECK_EQ(hot((code_fn)code, -EBADF), 0);
		emit_return(code, round);
		CHECK_EQ(hot((code_fn)code, (int)round), 0);
		emit_call(code + (round % 9), MOV_GAP, SYS_getppid);
		CHECK_EQ(hot((code_fn)(code + (round % 9)), getppid()), 0);
	}
	/* Just the number's bytes, as a JIT does with an immediate. */
	emit_call(code, MOV_IMM32, SYS_getpid);
	CHECK_EQ(hot((code_fn)code, getpid()), 0);
	CHECK_OK(munmap(code, PAGE));
	uint8_t *again = mmap(code, PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	NEED(again == code);
	CHECK_EQ(code[0], 0);
	emit_return(code, 77);
	CHECK_EQ(hot((code_fn)code, 77), 0);
	/* Given back to the kernel: zeros, not the old code. */
	emit_call(code, MOV_IMM32, SYS_getpid);
	CHECK_EQ(hot((code_fn)code, getpid()), 0);
	CHECK_OK(madvise(code, PAGE, MADV_DONTNEED));
	for (int i = 0; i < 16; i++)
		CHECK_EQ(code[i], 0);
	/* Written, protected, run; unprotected, rewritten, protected, run. */
	for (uint32_t round = 0; round < 30; round++) {
		CHECK_OK(mprotect(code, PAGE, PROT_READ | PROT_WRITE));
		if (round & 1)
			emit_return(code, round);
		else
			emit_call(code, (enum pattern)(round % 3), SYS_getpid);
		CHECK_OK(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
		CHECK_EQ(hot((code_fn)code, round & 1 ? (int)round : getpid()), 0);
	}
	/* Moved: the copy at the new place works. */
	CHECK_OK(mprotect(code, PAGE, RWX));
	emit_call(code, MOV_IMM32, SYS_getpid);
	CHECK_EQ(hot((code_fn)code, getpid()), 0);
	uint8_t *target = code_pages(1);
	uint8_t *moved = mremap(code, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
	NEED(moved == target);
	CHECK_EQ(hot((code_fn)moved, getpid()), 0);
}

/* JITs map one memory twice: writable here, executable there. */
static void two_mappings(void)
{
	int fd = memfd_create("jit", 0);
	NEED(fd >= 0 && ftruncate(fd, PAGE) == 0);
	uint8_t *w = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *x = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	NEED(w != MAP_FAILED && x != MAP_FAILED);
	for (uint32_t round = 0; round < 20; round++) {
		emit_call(w, MOV_IMM32, round & 1 ? SYS_getpid : SYS_getppid);
		CHECK_EQ(hot((code_fn)x, round & 1 ? getpid() : getppid()), 0);
		emit_return(w + 100, round);
		CHECK_EQ(hot((code_fn)(x + 100), (int)round), 0);
	}
	close(fd);
}

/* Code in a file: the file keeps its bytes, and other mappings of it see them. */
static void in_a_file(void)
{
	uint8_t before[64], after[64];

	scratch_enter();
	for (int shared = 0; shared < 2; shared++) {
		int fd = open("code", O_RDWR | O_CREAT | O_TRUNC, 0700);
		memset(before, 0xcc, sizeof(before));
		emit_call(before, MOV_IMM32, SYS_getpid);
		emit_call(before + 32, MOV_GAP, SYS_getppid);
		NEED(fd >= 0 && write(fd, before, sizeof(before)) == sizeof(before));
		uint8_t *x = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
		uint8_t *r = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
		NEED(x != MAP_FAILED && r != MAP_FAILED);
		CHECK_EQ(hot((code_fn)x, getpid()), 0);
		CHECK_EQ(hot((code_fn)(x + 32), getppid()), 0);
		CHECK_EQ(pread(fd, after, sizeof(after), 0), sizeof(after));
		CHECK(memcmp(before, after, sizeof(after)) == 0);
		CHECK(memcmp(before, r, sizeof(before)) == 0);
		/* Another private mapping starts from the file. */
		uint8_t *y = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
		NEED(y != MAP_FAILED);
		CHECK(memcmp(before, y, sizeof(before)) == 0);
		CHECK_EQ(hot((code_fn)y, getpid()), 0);
		close(fd);
	}
}

int main(void)
{
	overwritten();
	two_mappings();
	in_a_file();
	return check_done();
}
