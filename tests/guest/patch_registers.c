/* SPDX-License-Identifier: Apache-2.0 */
/* A system call changes rax, rcx and r11 and no other register: direction flag, vector registers and the red zone
 * below the stack pointer stay, at the first call of a site, at its second and at its thousandth. (The arithmetic flags
 * may change: compilers take them as lost in every inline assembly.) */
#include "patch.h"
#include <stddef.h>

struct regs {
	uint64_t rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rax, flags, rsp_before, rsp_after;
	uint64_t zone[16]; /* the red zone, lowest first */
	uint8_t xmm[16][32];
	uint32_t mxcsr, pad;
};

/* Loads all registers from `in`, fills the red zone, jumps to code (ends with jmp *r11-free return through memory),
 * stores all registers in `out`. The code returns by `jmp *return_to(%rip)`-like sequence emitted behind it. */
void run_site(const struct regs *in, struct regs *out, const void *code);
uintptr_t run_site_return; /* where the emitted code jumps back to */
uintptr_t saved_out, saved_sp, saved_code;

__asm__(".globl run_site\n"
	"run_site:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsi, saved_out(%rip)\n"
	"	mov %rdx, saved_code(%rip)\n"
	"	mov %rsp, saved_sp(%rip)\n"
	"	lea 1f(%rip), %rax\n"
	"	mov %rax, run_site_return(%rip)\n"
	"	mov %rdi, %rax\n"
	"	mov 0(%rax), %rbx; mov 8(%rax), %rcx; mov 16(%rax), %rdx; mov 24(%rax), %rsi\n"
	"	mov 40(%rax), %rbp; mov 48(%rax), %r8; mov 56(%rax), %r9; mov 64(%rax), %r10\n"
	"	mov 72(%rax), %r11; mov 80(%rax), %r12; mov 88(%rax), %r13; mov 96(%rax), %r14; mov 104(%rax), %r15\n"
	"	.set i, 0\n"
	"	.rept 16\n"
	"	mov 144 + i * 8(%rax), %rdi\n"
	"	mov %rdi, -128 + i * 8(%rsp)\n"
	"	.set i, i + 1\n"
	"	.endr\n"
	"	ldmxcsr 784(%rax)\n"
	"	mov 32(%rax), %rdi\n"
	"	testb $1, have_avx(%rip)\n"
	"	jz 2f\n"
	"	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	vmovups 272 + \\n * 32(%rax), %ymm\\n\n"
	"	.endr\n"
	"	jmp 3f\n"
	"2:	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	movups 272 + \\n * 32(%rax), %xmm\\n\n"
	"	.endr\n"
	/* The flags last: carry, zero, sign, overflow, parity all set; direction, too. */
	"3:	mov 120(%rax), %rax\n"
	"	lea -128(%rsp), %rsp\n"
	"	push %rax\n"
	"	popfq\n"
	"	lea 128(%rsp), %rsp\n"
	"	jmp *saved_code(%rip)\n"
	/* The code jumps here. */
	"1:	mov %rax, saved_code(%rip)\n"
	"	mov saved_out(%rip), %rax\n"
	"	mov %rbx, 0(%rax); mov %rcx, 8(%rax); mov %rdx, 16(%rax); mov %rsi, 24(%rax); mov %rdi, 32(%rax)\n"
	"	mov %rbp, 40(%rax); mov %r8, 48(%rax); mov %r9, 56(%rax); mov %r10, 64(%rax); mov %r11, 72(%rax)\n"
	"	mov %r12, 80(%rax); mov %r13, 88(%rax); mov %r14, 96(%rax); mov %r15, 104(%rax)\n"
	"	mov %rsp, 136(%rax)\n"
	"	.set i, 0\n"
	"	.rept 16\n"
	"	mov -128 + i * 8(%rsp), %rdi\n"
	"	mov %rdi, 144 + i * 8(%rax)\n"
	"	.set i, i + 1\n"
	"	.endr\n"
	"	mov saved_sp(%rip), %rsp\n"
	"	mov saved_sp(%rip), %rdi\n"
	"	mov %rdi, 128(%rax)\n"
	"	mov saved_code(%rip), %rdi\n"
	"	mov %rdi, 112(%rax)\n"
	"	lea -256(%rsp), %rsp\n"
	"	pushfq\n"
	"	pop %rdi\n"
	"	lea 256(%rsp), %rsp\n"
	"	mov %rdi, 120(%rax)\n"
	"	cld\n"
	"	stmxcsr 784(%rax)\n"
	"	testb $1, have_avx(%rip)\n"
	"	jz 4f\n"
	"	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	vmovups %ymm\\n, 272 + \\n * 32(%rax)\n"
	"	.endr\n"
	"	vzeroupper\n"
	"	jmp 5f\n"
	"4:	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	movups %xmm\\n, 272 + \\n * 32(%rax)\n"
	"	.endr\n"
	"5:	lea default_csr(%rip), %rdi\n"
	"	ldmxcsr (%rdi)\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

uint8_t have_avx;
uint32_t default_csr = 0x1f80;
_Static_assert(offsetof(struct regs, zone) == 144 && offsetof(struct regs, xmm) == 272, "layout of the code above");
_Static_assert(offsetof(struct regs, mxcsr) == 784, "layout of the code above");

/* The number, the syscall, then a jump back that touches no register: jmp *disp32 through an absolute word. */
static void emit_site(uint8_t *at, int kind, uint32_t nr)
{
	struct emitter e = {at};

	if (kind == 0) {
		EMIT(&e, 0xb8);
		emit_u32(&e, nr);
	} else if (kind == 1) {
		EMIT(&e, 0x48, 0xc7, 0xc0);
		emit_u32(&e, nr);
	} else if (kind == 2) {
		EMIT(&e, 0xb8);
		emit_u32(&e, nr);
		EMIT(&e, 0x90, 0x90, 0x90);
	} else {
		EMIT(&e, 0x48, 0x8b, 0x05); /* mov rip-relative word into rax */
		uint32_t disp = 64 - 7;
		emit_u32(&e, disp);
		uint64_t word = nr;
		memcpy(at + 64, &word, 8);
	}
	EMIT(&e, 0x0f, 0x05);
	EMIT(&e, 0xff, 0x25, 0, 0, 0, 0); /* jmp *0(%rip) */
	emit(&e, &run_site_return, 8);
}

static void compare(const struct regs *in, const struct regs *out, int kind, int round, long want)
{
	static const char *const names[] = {"rbx", NULL,  "rdx", "rsi", "rdi", "rbp", "r8",
					    "r9",  "r10", NULL,  "r12", "r13", "r14", "r15"};
	const uint64_t *a = &in->rbx, *b = &out->rbx;
	bool bad = false;

	for (size_t i = 0; i < countof(names); i++)
		if (names[i] != NULL && a[i] != b[i]) {
			printf("%s is %#lx instead of %#lx: ", names[i], b[i], a[i]);
			bad = true;
		}
	for (int i = 0; i < 16; i++)
		if (in->zone[i] != out->zone[i]) {
			printf("red zone at -%d: ", 128 - i * 8);
			bad = true;
		}
	for (int i = 0; i < 16; i++)
		if (memcmp(in->xmm[i], out->xmm[i], have_avx ? 32 : 16) != 0) {
			printf("vector register %d: ", i);
			bad = true;
		}
	if ((in->flags ^ out->flags) & 0x400) {
		printf("flags %#lx instead of %#lx: ", out->flags, in->flags);
		bad = true;
	}
	if (out->rsp_before != out->rsp_after) {
		printf("stack pointer moved by %ld: ", (long)(out->rsp_after - out->rsp_before));
		bad = true;
	}
	if (in->mxcsr != out->mxcsr) {
		printf("mxcsr %#x instead of %#x: ", out->mxcsr, in->mxcsr);
		bad = true;
	}
	if ((long)out->rax != want) {
		printf("result %ld instead of %ld: ", (long)out->rax, want);
		bad = true;
	}
	if (bad)
		printf("pattern %d, round %d\n", kind, round);
	CHECK(!bad);
}

int main(void)
{
	struct regs in, out;
	uint8_t *code = code_pages(4);

	have_avx = __builtin_cpu_supports("avx") != 0;
	/* One run to learn where the code jumps back to. */
	static const struct {
		uint32_t nr;
		bool df;
	} calls[] = {
	    {SYS_getpid, false}, {SYS_getppid, true}, {SYS_clock_gettime, false}, {SYS_futex, false}, {999, true}};
	for (int kind = 0; kind < 4; kind++)
		for (size_t c = 0; c < countof(calls); c++) {
			uint8_t *site = code + kind * 1024 + c * 128;
			for (int round = 0; round < 200; round++) {
				uint8_t *p = (uint8_t *)&in;
				for (size_t i = 0; i < sizeof(in); i++)
					p[i] = (uint8_t)(i * 7 + (size_t)round * 13 + 1);
				in.mxcsr = 0x1f80 | (uint32_t)(round & 3) << 13;
				in.flags = 0x202 | 0x8d5 | (calls[c].df ? 0x400 : 0);
				if (round & 1)
					in.flags &= ~0x8d5ul;
				/* Arguments that fail in the kernel in a known way. */
				in.rdi = 12345;
				in.rsi = 999;
				long want = calls[c].nr == SYS_getpid    ? getpid()
					    : calls[c].nr == SYS_getppid ? getppid()
					    : calls[c].nr == 999         ? -ENOSYS
					    : calls[c].nr == SYS_futex   ? -ENOSYS
									 : -EINVAL;
				if (round == 0) {
					if (run_site_return == 0) { /* learn the address with a plain jump */
						struct emitter e = {code + 3 * PAGE};
						EMIT(&e, 0x48, 0xb8);
						uintptr_t word = (uintptr_t)&run_site_return;
						emit(&e, &word, 8);
						EMIT(&e, 0xff, 0x20); /* jmp *(%rax) */
						run_site(&in, &out, code + 3 * PAGE);
					}
					emit_site(site, kind, calls[c].nr);
				}
				run_site(&in, &out, site);
				compare(&in, &out, kind, round, want);
				if (check_failed > 10)
					return 1;
			}
		}
	return check_done();
}
