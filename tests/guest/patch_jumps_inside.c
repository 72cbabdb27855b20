/* SPDX-License-Identifier: Apache-2.0 */
/* A jump to the syscall instruction itself, with the number set elsewhere, works before and after its site became
 * hot; so does a jump to any other instruction near it. */
#include "patch.h"

int main(void)
{
	uint8_t *code = code_pages(4);

	for (int kind = 0; kind < 3; kind++) {
		for (int order = 0; order < 2; order++) {
			/* f: mov $getpid, %eax; [gap]; S: syscall; ret */
			struct emitter e = {code + kind * 512 + order * 256};
			uint8_t *f = e.at;
			if (kind == 1)
				EMIT(&e, 0x48, 0xc7, 0xc0);
			else
				EMIT(&e, 0xb8);
			emit_u32(&e, SYS_getpid);
			if (kind == 2)
				EMIT(&e, 0x49, 0x89, 0xca);
			uint8_t *s = e.at;
			EMIT(&e, 0x0f, 0x05, 0xc3);
			/* g: mov $dup, %eax; jmp S */
			e.at = f + 64;
			uint8_t *g = e.at;
			EMIT(&e, 0xb8);
			emit_u32(&e, SYS_dup);
			EMIT(&e, 0xe9);
			emit_u32(&e, (uint32_t)(s - (e.at + 4)));
			/* h: the same through a call and other numbers in a register. */
			e.at = f + 96;
			uint8_t *h = e.at;
			EMIT(&e, 0x48, 0x89, 0xf8, 0xbf);
			emit_u32(&e, (uint32_t)-7);
			EMIT(&e, 0xe9);
			emit_u32(&e, (uint32_t)(s - (e.at + 4)));

			for (int i = 0; i < 500; i++) {
				if (order == 0 || i > 10)
					CHECK_EQ(((code_fn)f)(0, 0, 0), getpid());
				CHECK_EQ(((code_fn)g)(-9, 0, 0), -EBADF);
				CHECK_EQ(((code_fn)h)(SYS_close, 0, 0), -EBADF);
				CHECK_EQ(((code_fn)h)(SYS_getppid, 0, 0), getppid());
				CHECK_EQ(((code_fn)h)(999, 0, 0), -ENOSYS);
				if (check_failed > 5)
					return 1;
			}
		}
	}
	/* A loop that goes back to the syscall only: the number stays in another register. */
	struct emitter e = {code + PAGE};
	EMIT(&e, 0x53, 0x31, 0xdb); /* push %rbx; xor %ebx, %ebx */
	EMIT(&e, 0xb8);
	emit_u32(&e, SYS_getppid);
	uint8_t *s = e.at;
	EMIT(&e, 0x0f, 0x05);       /* syscall */
	EMIT(&e, 0x48, 0x89, 0xc1); /* mov %rax, %rcx */
	EMIT(&e, 0xb8);
	emit_u32(&e, SYS_getpid);
	EMIT(&e, 0xff, 0xc3); /* inc %ebx */
	EMIT(&e, 0x81, 0xfb);
	emit_u32(&e, 1000);
	EMIT(&e, 0x7c, (uint8_t)(s - (e.at + 2)));
	EMIT(&e, 0x48, 0x89, 0xc8, 0x5b, 0xc3); /* mov %rcx, %rax; pop %rbx; ret */
	for (int i = 0; i < 5; i++)
		CHECK_EQ(((code_fn)(code + PAGE))(0, 0, 0), getpid());
	return check_done();
}
