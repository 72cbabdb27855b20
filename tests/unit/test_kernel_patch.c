/* SPDX-License-Identifier: Apache-2.0 */
/* Which system call sites are patched, and how: the code patterns of glibc, musl and Go, and what
 * must be left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/entry/patch.h"

#define NUMBER 39u

static bool plan(struct patch_plan *p, const char before[9], const char *after, unsigned bytes)
{
	/* Exactly as many bytes as given, on the heap: reading beyond is a sanitizer report. */
	uint8_t *copy = malloc(bytes);

	memcpy(copy, after, bytes);
	bool result = patch_plan(p, NUMBER, (const uint8_t *)before, copy, bytes);
	free(copy);
	return result;
}

#define NOTHING_BEFORE "\x90\x90\x90\x90\x90\x90\x90\x90"

static void mov_before_the_call_is_replaced(void **state)
{
	struct patch_plan p;

	(void)state;
	assert_true(plan(&p, "\xc3\x90\x90\xb8\x27\0\0\0", "\xc3", 1));
	assert_true(p.number_before);
	assert_int_equal(p.start, 5);
	assert_int_equal(p.boundaries, 0);
	assert_true(plan(&p, "\x90\x48\xc7\xc0\x27\0\0\0", "\xc3", 1));
	assert_int_equal(p.start, 7);
}

static void mov_of_another_number_is_not(void **state)
{
	struct patch_plan p;

	(void)state;
	assert_false(plan(&p, "\xc3\x90\x90\xb8\x28\0\0\0", "\x0f\x05\x90", 3));
}

static void mov_to_r8_is_not_mov_to_eax(void **state)
{
	struct patch_plan p;

	(void)state;
	assert_false(plan(&p, "\xc3\x90\x41\xb8\x27\0\0\0", "\x0f\x05\x90", 3));
	assert_false(plan(&p, "\xc3\x90\x66\xb8\x27\0\0\0", "\x0f\x05\x90", 3));
}

static void glibc_read_is_patched_behind(void **state)
{
	struct patch_plan p;

	(void)state; /* xor eax,eax; syscall; cmp rax,-4096; ja */
	assert_true(plan(&p, "\x90\x90\x90\x90\x90\x90\x31\xc0", "\x48\x3d\x00\xf0\xff\xff\x77\x02", 8));
	assert_false(p.number_before);
	assert_int_equal(p.displaced, 6);
	assert_int_equal(p.boundaries, 1);
	assert_int_equal(p.boundary[0], 2);
	assert_false(p.ends);
}

static void ret_with_padding_is_patched(void **state)
{
	struct patch_plan p;

	(void)state;
	assert_true(plan(&p, NOTHING_BEFORE, "\xc3\x66\x90\x55", 4));
	assert_true(p.ends);
	assert_int_equal(p.displaced, 1);
	assert_true(plan(&p, NOTHING_BEFORE, "\xc3\x0f\x1f\x44\0\0", 6));
	assert_true(plan(&p, NOTHING_BEFORE, "\xc3\xcc\xcc", 3));
}

static void ret_before_the_next_function_is_left_alone(void **state)
{
	struct patch_plan p;

	(void)state;
	assert_false(plan(&p, NOTHING_BEFORE, "\xc3\x55\x48\x89\xe5", 5));
	assert_false(plan(&p, NOTHING_BEFORE, "\xc3\x90\x55", 3));
	assert_false(plan(&p, NOTHING_BEFORE, "\xc3\x90", 2));
}

static void short_instructions_have_more_boundaries(void **state)
{
	struct patch_plan p;

	(void)state; /* pop rbx; pop rbp; pop r12 */
	assert_true(plan(&p, NOTHING_BEFORE, "\x5b\x5d\x41\x5c", 4));
	assert_int_equal(p.boundaries, 3);
	assert_int_equal(p.boundary[1], 3);
	assert_int_equal(p.boundary[2], 4);
	assert_int_equal(p.displaced, 4);
}

static void branches_and_relative_addresses_stay(void **state)
{
	static const struct {
		const char *code;
		unsigned bytes;
	} cases[] = {
	    {"\x74\x05\x90\x90", 4},             /* je */
	    {"\xe8\x00\x00\x00\x00", 5},         /* call */
	    {"\x48\x8b\x05\x00\x00\x00\x00", 7}, /* mov rip-relative */
	    {"\x48\x8d\x3d\x00\x00\x00\x00", 7}, /* lea rip-relative */
	    {"\xff\x25\x00\x00\x00\x00", 6},     /* jmp indirect */
	    {"\x0f\x05\x90", 3},                 /* another syscall */
	    {"\x85\xc0\x78\x05", 4},             /* test; js */
	};
	struct patch_plan p;

	(void)state;
	for (unsigned i = 0; i < countof(cases); i++)
		assert_false(plan(&p, NOTHING_BEFORE, cases[i].code, cases[i].bytes));
}

static void truncated_code_is_left_alone(void **state)
{
	struct patch_plan p;

	(void)state;
	for (unsigned bytes = 1; bytes < 6; bytes++)
		assert_false(plan(&p, NOTHING_BEFORE, "\x48\x3d\x00\xf0\xff\xff", bytes));
	for (unsigned bytes = 1; bytes < 8; bytes++) /* mov 8(%rsp,disp32) */
		assert_false(plan(&p, NOTHING_BEFORE, "\x48\x8b\x84\x24\x08\x00\x00\x00", bytes));
	assert_true(plan(&p, NOTHING_BEFORE, "\x48\x8b\x84\x24\x08\x00\x00\x00", 8));
	assert_int_equal(p.displaced, 8);
}

static void distance_puts_invalid_opcodes_at_boundaries(void **state)
{
	struct patch_plan p = {.boundaries = 1, .boundary = {2}};

	(void)state;
	assert_true(patch_distance_fits(&p, 0x00000600));
	assert_true(patch_distance_fits(&p, 0x12340612));
	assert_false(patch_distance_fits(&p, 0x00060012));
	p = (struct patch_plan){.boundaries = 2, .boundary = {2, 4}};
	assert_true(patch_distance_fits(&p, 0x06000600));
	assert_false(patch_distance_fits(&p, 0x00060600));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mov_before_the_call_is_replaced),
	    cmocka_unit_test(mov_of_another_number_is_not),
	    cmocka_unit_test(mov_to_r8_is_not_mov_to_eax),
	    cmocka_unit_test(glibc_read_is_patched_behind),
	    cmocka_unit_test(ret_with_padding_is_patched),
	    cmocka_unit_test(ret_before_the_next_function_is_left_alone),
	    cmocka_unit_test(short_instructions_have_more_boundaries),
	    cmocka_unit_test(branches_and_relative_addresses_stay),
	    cmocka_unit_test(truncated_code_is_left_alone),
	    cmocka_unit_test(distance_puts_invalid_opcodes_at_boundaries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
