/* SPDX-License-Identifier: Apache-2.0 */
/* What ELF files need: of files that are built here byte by byte, whole and damaged; and the loader's cache. */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "image/elf_needs.h"
#include "image/ld_cache.h"

static struct err err;

/* One loadable segment over all of the file, at BASE; interpreter, dynamic section, strings. */
#define BASE 0x400000u
static struct sample {
	Elf64_Ehdr header;
	Elf64_Phdr segments[3];
	char interpreter[32];
	Elf64_Dyn dynamic[10];
	char strings[64];
} sample;

static const char strings[] = "\0libc.so.6\0libm.so.6\0$ORIGIN/../lib\0/r\0me.so";

static void reset(void)
{
	memset(&sample, 0, sizeof(sample));
	memcpy(sample.header.e_ident, ELFMAG, SELFMAG);
	sample.header.e_ident[EI_CLASS] = ELFCLASS64;
	sample.header.e_ident[EI_DATA] = ELFDATA2LSB;
	sample.header.e_type = ET_DYN;
	sample.header.e_machine = EM_X86_64;
	sample.header.e_phoff = offsetof(struct sample, segments);
	sample.header.e_phentsize = sizeof(Elf64_Phdr);
	sample.header.e_phnum = 3;
	sample.segments[0] =
	    (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = BASE, .p_filesz = sizeof(sample), .p_memsz = sizeof(sample)};
	sample.segments[1] = (Elf64_Phdr){.p_type = PT_INTERP,
					  .p_offset = offsetof(struct sample, interpreter),
					  .p_filesz = sizeof(sample.interpreter)};
	sample.segments[2] = (Elf64_Phdr){
	    .p_type = PT_DYNAMIC, .p_offset = offsetof(struct sample, dynamic), .p_filesz = sizeof(sample.dynamic)};
	strcpy(sample.interpreter, "/lib64/ld.so");
	memcpy(sample.strings, strings, sizeof(strings));
	const Elf64_Dyn dynamic[] = {
	    {DT_NEEDED, {1}},
	    {DT_NEEDED, {11}},
	    {DT_RUNPATH, {21}},
	    {DT_RPATH, {36}},
	    {DT_SONAME, {39}},
	    {DT_STRTAB, {BASE + offsetof(struct sample, strings)}},
	    {DT_STRSZ, {sizeof(sample.strings)}},
	    {DT_FLAGS_1, {DF_1_NODEFLIB}},
	    {DT_NULL, {0}},
	};
	memcpy(sample.dynamic, dynamic, sizeof(dynamic));
}

static size_t file_bytes = sizeof(sample);
static int fail_with;

static int64_t read_sample(void *context, uint64_t offset, void *to, uint64_t bytes)
{
	(void)context;
	assert_true(offset <= file_bytes);
	if (fail_with != 0)
		return fail_with;
	bytes = min_u64(bytes, file_bytes - offset);
	memcpy(to, (char *)&sample + offset, bytes);
	return (int64_t)bytes;
}

static int read_needs(struct elf_needs *needs)
{
	const struct elf_source source = {read_sample, NULL, file_bytes};

	err = (struct err){0};
	return elf_needs_read(needs, &source, &err);
}

static void needs_are_read(void **state)
{
	struct elf_needs needs;

	(void)state;
	reset();
	assert_int_equal(read_needs(&needs), 0);
	assert_true(needs.dynamic && needs.no_defaults && !needs.foreign);
	assert_string_equal(needs.interpreter, "/lib64/ld.so");
	assert_int_equal(needs.needed.count, 2);
	assert_string_equal(needs.needed.items[0], "libc.so.6");
	assert_string_equal(needs.needed.items[1], "libm.so.6");
	assert_string_equal(needs.runpath, "$ORIGIN/../lib");
	assert_string_equal(needs.rpath, "/r");
	assert_string_equal(needs.soname, "me.so");
	elf_needs_free(&needs);
}

static void a_static_program_needs_nothing(void **state)
{
	struct elf_needs needs;

	(void)state;
	reset();
	sample.header.e_type = ET_EXEC;
	sample.header.e_phnum = 1;
	assert_int_equal(read_needs(&needs), 0);
	assert_true(!needs.dynamic && needs.interpreter == NULL && needs.needed.count == 0);
	elf_needs_free(&needs);
	reset();
	sample.header.e_type = ET_REL;
	sample.header.e_phoff = UINT64_MAX;
	assert_int_equal(read_needs(&needs), 0);
	elf_needs_free(&needs);
}

static void other_files_are_no_elf_files(void **state)
{
	struct elf_needs needs;

	(void)state;
	reset();
	sample.header.e_ident[0] = '#';
	assert_int_equal(read_needs(&needs), -ENOEXEC);
	reset();
	for (file_bytes = 0; file_bytes < SELFMAG; file_bytes++)
		assert_int_equal(read_needs(&needs), -ENOEXEC);
	file_bytes = sizeof(sample);
}

static void other_machines_are_told_apart(void **state)
{
	struct elf_needs needs;

	(void)state;
	reset();
	sample.header.e_machine = EM_AARCH64;
	assert_int_equal(read_needs(&needs), 0);
	assert_true(needs.foreign);
	reset();
	sample.header.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(read_needs(&needs), 0);
	assert_true(needs.foreign);
	reset();
	sample.header.e_ident[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(read_needs(&needs), 0);
	assert_true(needs.foreign);
}

static void expect_malformed(const char *what)
{
	struct elf_needs needs;
	int code = read_needs(&needs);

	if (code != -EINVAL || err.text[0] == '\0' || needs.needed.items != NULL || needs.interpreter != NULL)
		fail_msg("%s: %d %s", what, code, err.text);
}

#define DAMAGE(field, value)                                                                                           \
	do {                                                                                                           \
		reset();                                                                                               \
		sample.field = (value);                                                                                \
		expect_malformed(#field " = " #value);                                                                 \
	} while (0)

static void damage_is_found(void **state)
{
	(void)state;
	DAMAGE(header.e_phoff, sizeof(sample));
	DAMAGE(header.e_phoff, UINT64_MAX);
	DAMAGE(header.e_phoff, UINT64_MAX - 100);
	DAMAGE(header.e_phnum, 0xffff);
	DAMAGE(header.e_phnum, ELF_NEEDS_SEGMENTS_MAX + 1);
	DAMAGE(header.e_phnum, 400);
	DAMAGE(header.e_phentsize, 1);
	DAMAGE(header.e_phentsize, 0);
	DAMAGE(segments[1].p_offset, sizeof(sample));
	DAMAGE(segments[1].p_offset, UINT64_MAX);
	DAMAGE(segments[1].p_filesz, UINT64_MAX);
	DAMAGE(segments[1].p_filesz, 3);
	DAMAGE(segments[1].p_filesz, 0);
	DAMAGE(interpreter[0], 'x');
	DAMAGE(interpreter[0], '\0');
	DAMAGE(segments[2].p_offset, sizeof(sample));
	DAMAGE(segments[2].p_offset, UINT64_MAX - 7);
	DAMAGE(segments[2].p_filesz, UINT64_MAX);
	DAMAGE(segments[2].p_filesz, 1u << 20);
	DAMAGE(dynamic[0].d_un.d_val, sizeof(sample.strings));
	DAMAGE(dynamic[0].d_un.d_val, UINT64_MAX);
	DAMAGE(dynamic[0].d_un.d_val, 0); /* without a name */
	DAMAGE(dynamic[2].d_un.d_val, UINT64_MAX);
	DAMAGE(dynamic[3].d_un.d_val, UINT64_MAX / 2);
	DAMAGE(dynamic[4].d_un.d_val, 1u << 31);
	DAMAGE(dynamic[5].d_un.d_ptr, 0);
	DAMAGE(dynamic[5].d_un.d_ptr, BASE - 1);
	DAMAGE(dynamic[5].d_un.d_ptr, UINT64_MAX);
	DAMAGE(dynamic[5].d_un.d_ptr, BASE + sizeof(sample));
	DAMAGE(dynamic[6].d_un.d_val, UINT64_MAX);
	DAMAGE(dynamic[6].d_un.d_val, 5); /* the names lie behind the table's end */
	DAMAGE(segments[0].p_offset, UINT64_MAX);
	DAMAGE(segments[0].p_offset, sizeof(sample));
	DAMAGE(segments[0].p_vaddr, UINT64_MAX);
	/* No end to the last string. */
	reset();
	sample.dynamic[0].d_un.d_val = 1;
	memset(sample.strings, 'a', sizeof(sample.strings));
	expect_malformed("a name without an end");
	/* Names without a table. */
	reset();
	sample.dynamic[5].d_tag = DT_DEBUG;
	expect_malformed("no string table");
}

static void every_truncation_is_survived(void **state)
{
	struct elf_needs needs;

	(void)state;
	reset();
	for (file_bytes = 0; file_bytes < sizeof(sample); file_bytes++) {
		int code = read_needs(&needs);
		assert_true(code == -EINVAL || (code == -ENOEXEC && file_bytes < SELFMAG));
	}
	file_bytes = sizeof(sample);
}

static void every_byte_may_be_wrong(void **state)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
	struct elf_needs needs;

	(void)state;
	for (size_t at = 0; at < sizeof(sample); at++) {
		for (size_t i = 0; i < countof(values); i++) {
			reset();
			((uint8_t *)&sample)[at] = values[i];
			if (read_needs(&needs) == 0)
				elf_needs_free(&needs);
		}
	}
}

static void a_read_error_is_told(void **state)
{
	struct elf_needs needs;

	(void)state;
	reset();
	fail_with = -EIO;
	assert_int_equal(read_needs(&needs), -EIO);
	assert_int_not_equal(err.text[0], '\0');
	fail_with = 0;
}

static void a_table_of_needs_is_bounded(void **state)
{
	struct elf_needs needs;

	(void)state;
	/* All entries are the same library: overlapping sections make it as many as the file has room for. */
	reset();
	for (size_t i = 0; i < 8; i++)
		if (i != 5 && i != 6)
			sample.dynamic[i] = (Elf64_Dyn){DT_NEEDED, {1}};
	assert_int_equal(read_needs(&needs), 0);
	assert_int_equal(needs.needed.count, 6);
	elf_needs_free(&needs);
}

/* ---- ld.so.cache ---- */

static void a_cache_that_was_made_is_read(void **state)
{
	static const char *const paths[] = {"/lib/libc.so.6", "/lib/libx.so.9", "/a/libx.so.10",
					    "/b/libx.so.10",  "/lib/liba1b.so", "/lib/liba.so"};
	struct string_list list = {0};
	void *cache;
	size_t bytes;

	(void)state;
	for (size_t i = 0; i < countof(paths); i++)
		assert_int_equal(string_list_add_string(&list, paths[i]), 0);
	assert_int_equal(ld_cache_make(&list, &cache, &bytes), 0);
	assert_string_equal(ld_cache_find(cache, bytes, "libc.so.6"), "/lib/libc.so.6");
	assert_string_equal(ld_cache_find(cache, bytes, "libx.so.9"), "/lib/libx.so.9");
	assert_string_equal(ld_cache_find(cache, bytes, "libx.so.10"), "/a/libx.so.10"); /* the first */
	assert_null(ld_cache_find(cache, bytes, "libc.so"));
	assert_null(ld_cache_find(cache, bytes, ""));
	/* In the order of the loader's search: descending, and numbers are numbers. */
	assert_true(ld_cache_find(cache, bytes, "libx.so.10") < ld_cache_find(cache, bytes, "libx.so.9"));
	assert_true(ld_cache_find(cache, bytes, "liba1b.so") > ld_cache_find(cache, bytes, "libc.so.6"));
	/* Cut off anywhere: nothing, or the right thing. */
	for (size_t n = 0; n < bytes; n++) {
		char *copy = malloc(n != 0 ? n : 1);
		memcpy(copy, cache, n);
		const char *found = ld_cache_find(copy, n, "libc.so.6");
		assert_true(found == NULL || strcmp(found, "/lib/libc.so.6") == 0);
		free(copy);
	}
	for (size_t n = 0; n < bytes; n++) {
		uint8_t *copy = malloc(bytes);
		memcpy(copy, cache, bytes);
		copy[n] ^= 0xff;
		(void)ld_cache_find(copy, bytes, "libc.so.6");
		free(copy);
	}
	free(cache);
	string_list_free(&list);
}

static void nothing_is_in_no_cache(void **state)
{
	struct string_list list = {0};
	void *cache;
	size_t bytes;

	(void)state;
	assert_null(ld_cache_find(NULL, 0, "libc.so.6"));
	assert_null(ld_cache_find("ld.so-1.7.0\0\xff\xff\xff\xff", 16, "libc.so.6"));
	assert_int_equal(ld_cache_make(&list, &cache, &bytes), 0);
	assert_null(ld_cache_find(cache, bytes, "libc.so.6"));
	free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(needs_are_read),
	    cmocka_unit_test(a_static_program_needs_nothing),
	    cmocka_unit_test(other_files_are_no_elf_files),
	    cmocka_unit_test(other_machines_are_told_apart),
	    cmocka_unit_test(damage_is_found),
	    cmocka_unit_test(every_truncation_is_survived),
	    cmocka_unit_test(every_byte_may_be_wrong),
	    cmocka_unit_test(a_read_error_is_told),
	    cmocka_unit_test(a_table_of_needs_is_bounded),
	    cmocka_unit_test(a_cache_that_was_made_is_read),
	    cmocka_unit_test(nothing_is_in_no_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
