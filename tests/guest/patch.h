/* SPDX-License-Identifier: Apache-2.0 */
/* Code made at run time, for the tests of system-call sites that the kernel patches on first use. */
#ifndef TESTS_GUEST_PATCH_H
#define TESTS_GUEST_PATCH_H

#include "check.h"
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGE 4096ul
#define RWX (PROT_READ | PROT_WRITE | PROT_EXEC)

typedef long (*code_fn)(long a, long b, long c);

struct emitter {
	uint8_t *at;
};

static inline void emit(struct emitter *e, const void *bytes, size_t n)
{
	memcpy(e->at, bytes, n);
	e->at += n;
}

#define EMIT(e, ...) emit(e, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static inline void emit_u32(struct emitter *e, uint32_t v) { emit(e, &v, 4); }

/* How the number gets into rax before the syscall. */
enum pattern {
	MOV_IMM32,   /* b8 imm32; 0f 05: glibc's most */
	MOV_IMM64,   /* 48 c7 c0 imm32; 0f 05 */
	MOV_GAP,     /* b8 imm32; mov %rcx,%r10; 0f 05 */
	MOV_LONGGAP, /* b8 imm32; a jump over bytes; 0f 05 */
	XOR_READ,    /* 31 c0; 0f 05: number 0 */
	REGISTER,    /* mov %rdi,%rax; arguments move down; 0f 05: musl's syscall_cp, Go */
	STACK,       /* 48 8b 44 24 08; 0f 05: Go's old ABI */
	PUSH_POP,    /* 6a imm8; 58; 0f 05 */
	PATTERNS
};

__attribute__((unused)) static const char *const pattern_names[PATTERNS] = {
    "mov imm32", "mov imm64", "mov, gap", "mov, long gap", "xor", "register", "stack", "push pop"};

/* Emits a function: system call `nr` (the first argument for REGISTER, always 0 for XOR_READ). Returns its end. */
__attribute__((unused)) static uint8_t *emit_call(uint8_t *at, enum pattern p, uint32_t nr)
{
	struct emitter e = {at};

	switch (p) {
	case MOV_IMM32:
		EMIT(&e, 0xb8);
		emit_u32(&e, nr);
		break;
	case MOV_IMM64:
		EMIT(&e, 0x48, 0xc7, 0xc0);
		emit_u32(&e, nr);
		break;
	case MOV_GAP:
		EMIT(&e, 0xb8);
		emit_u32(&e, nr);
		EMIT(&e, 0x49, 0x89, 0xca);
		break;
	case MOV_LONGGAP:
		EMIT(&e, 0xb8);
		emit_u32(&e, nr);
		EMIT(&e, 0xeb, 0x06, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc);
		break;
	case XOR_READ:
		EMIT(&e, 0x31, 0xc0);
		break;
	case REGISTER:
		EMIT(&e, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6);
		break;
	case STACK:
		EMIT(&e, 0x68); /* push imm32; push %rax */
		emit_u32(&e, nr);
		EMIT(&e, 0x50, 0x48, 0x8b, 0x44, 0x24, 0x08);
		break;
	case PUSH_POP:
		EMIT(&e, 0x6a, (uint8_t)nr, 0x58);
		break;
	default:
		break;
	}
	EMIT(&e, 0x0f, 0x05);
	if (p == STACK)
		EMIT(&e, 0x48, 0x83, 0xc4, 0x10);
	EMIT(&e, 0xc3);
	return e.at;
}

__attribute__((unused)) static uint8_t *code_pages(size_t pages)
{
	uint8_t *p = mmap(NULL, pages * PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	NEED(p != MAP_FAILED);
	return p;
}

#endif
