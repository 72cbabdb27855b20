/* SPDX-License-Identifier: Apache-2.0 */
/* ELF headers: good ones are read right, broken and hostile ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/elf.h>

#include "kernel/proc/elf.h"

#define FILE_BYTES 100000u
#define LIMIT 0x7f0000000000ull

static Elf64_Ehdr ehdr;
static Elf64_Phdr phdrs[32];

static int reset(void **state)
{
	(void)state;
	memset(phdrs, 0, sizeof(phdrs));
	ehdr = (Elf64_Ehdr){
	    .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_DYN,
	    .e_machine = EM_X86_64,
	    .e_version = EV_CURRENT,
	    .e_entry = 0x2100,
	    .e_phoff = 64,
	    .e_ehsize = 64,
	    .e_phentsize = 56,
	    .e_phnum = 5,
	};
	phdrs[0] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = 800, .p_filesz = 28, .p_flags = PF_R};
	phdrs[1] = (Elf64_Phdr){.p_type = PT_LOAD, .p_filesz = 0x1500, .p_memsz = 0x1500, .p_flags = PF_R};
	phdrs[2] = (Elf64_Phdr){.p_type = PT_LOAD,
				.p_offset = 0x2000,
				.p_vaddr = 0x2000,
				.p_filesz = 0x800,
				.p_memsz = 0x800,
				.p_flags = PF_R | PF_X};
	phdrs[3] = (Elf64_Phdr){.p_type = PT_LOAD,
				.p_offset = 0x2900,
				.p_vaddr = 0x4900,
				.p_filesz = 0x300,
				.p_memsz = 0x5000,
				.p_flags = PF_R | PF_W};
	phdrs[4] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W};
	return 0;
}

static int parse_of(uint64_t file_bytes, struct elf_image *image)
{
	struct elf_header header;
	int r = elf_parse_header(&ehdr, sizeof(ehdr), file_bytes, &header);
	if (r != 0)
		return r;
	/* Exactly the bytes that may be looked at. */
	size_t bytes = header.phdr_count * ELF_SEGMENT_BYTES;
	void *table = calloc(1, bytes);
	memcpy(table, phdrs, bytes < sizeof(phdrs) ? bytes : sizeof(phdrs));
	r = elf_parse_segments(&header, table, file_bytes, LIMIT, image);
	free(table);
	return r;
}

static int parse(void)
{
	struct elf_image image;
	return parse_of(FILE_BYTES, &image);
}

static void a_good_file_is_read(void **state)
{
	struct elf_image image;

	(void)state;
	assert_int_equal(parse_of(FILE_BYTES, &image), 0);
	assert_int_equal(image.load_count, 3);
	assert_int_equal(image.start, 0);
	assert_int_equal(image.end, 0xa000);
	assert_int_equal(image.phdr_address, 64);
	assert_int_equal(image.interpreter_offset, 800);
	assert_int_equal(image.interpreter_bytes, 28);
	assert_false(image.executable_stack);
	assert_int_equal(image.loads[1].prot, 5);
	assert_int_equal(image.loads[2].prot, 3);
	phdrs[4].p_flags |= PF_X;
	assert_int_equal(parse_of(FILE_BYTES, &image), 0);
	assert_true(image.executable_stack);
}

static void short_files_are_refused(void **state)
{
	struct elf_header header;
	struct elf_image image;

	(void)state;
	for (unsigned n = 0; n < 64; n++)
		assert_int_equal(elf_parse_header(&ehdr, n, n, &header), -ENOEXEC);
	for (uint64_t bytes = 0; bytes < 0x2c00; bytes += 64)
		assert_int_equal(parse_of(bytes, &image), -ENOEXEC);
	assert_int_equal(parse_of(0x2c00, &image), 0);
}

#define REFUSED(change)                                                                                                \
	do {                                                                                                           \
		reset(NULL);                                                                                           \
		change;                                                                                                \
		assert_int_equal(parse(), -ENOEXEC);                                                                   \
	} while (0)

static void wrong_headers_are_refused(void **state)
{
	(void)state;
	REFUSED(ehdr.e_ident[0] = 0x7e);
	REFUSED(ehdr.e_ident[3] = 'G');
	REFUSED(ehdr.e_ident[EI_CLASS] = ELFCLASS32);
	REFUSED(ehdr.e_ident[EI_DATA] = ELFDATA2MSB);
	REFUSED(ehdr.e_type = ET_REL);
	REFUSED(ehdr.e_type = ET_CORE);
	REFUSED(ehdr.e_machine = EM_386);
	REFUSED(ehdr.e_machine = EM_AARCH64);
	REFUSED(ehdr.e_phentsize = 32);
	REFUSED(ehdr.e_phnum = 0);
	REFUSED(ehdr.e_phnum = 0xffff);
	REFUSED(ehdr.e_phnum = ELF_SEGMENTS_MAX + 1);
	REFUSED(ehdr.e_phoff = FILE_BYTES - 100);
	REFUSED(ehdr.e_phoff = UINT64_MAX - 8);
	REFUSED(ehdr.e_phoff = 1ull << 63);
}

static void wrong_segments_are_refused(void **state)
{
	(void)state;
	REFUSED(phdrs[2].p_filesz = 0x801); /* more than in memory */
	REFUSED(phdrs[2].p_offset = FILE_BYTES & ~0xfffu; phdrs[2].p_filesz = phdrs[2].p_memsz = 0x1000);
	REFUSED(phdrs[2].p_offset = UINT64_MAX & ~0xfffull);
	REFUSED(phdrs[2].p_filesz = phdrs[2].p_memsz = UINT64_MAX);
	REFUSED(phdrs[3].p_memsz = UINT64_MAX - 0x4900);
	REFUSED(phdrs[3].p_memsz = LIMIT);
	REFUSED(phdrs[3].p_vaddr = LIMIT - 0x1700);
	REFUSED(phdrs[3].p_vaddr = 0x7fffffffffff9900);
	REFUSED(phdrs[3].p_vaddr = UINT64_MAX & ~0x6ffull);
	REFUSED(phdrs[2].p_offset = 0x2001); /* not congruent */
	REFUSED(phdrs[2].p_vaddr = 0x1000);  /* overlaps the first */
	REFUSED(phdrs[3].p_vaddr = 0x1900);  /* not ascending */
	REFUSED(phdrs[1].p_memsz = 0x3000);  /* overlaps the next */
	REFUSED(phdrs[1].p_type = phdrs[2].p_type = phdrs[3].p_type = PT_NOTE);
	reset(NULL); /* too many */
	ehdr.e_phnum = 32;
	for (unsigned i = 0; i < 32; i++)
		phdrs[i] =
		    (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = 0x1000 * i, .p_memsz = 0x1000, .p_flags = PF_R | PF_X};
	assert_int_equal(parse(), -ENOEXEC);
}

static void wrong_interpreters_are_refused(void **state)
{
	(void)state;
	REFUSED(phdrs[0].p_filesz = 0);
	REFUSED(phdrs[0].p_filesz = 1);
	REFUSED(phdrs[0].p_filesz = ELF_INTERPRETER_MAX + 1);
	REFUSED(phdrs[0].p_offset = FILE_BYTES - 10);
	REFUSED(phdrs[0].p_offset = UINT64_MAX);
}

static void entries_outside_of_code_are_refused(void **state)
{
	(void)state;
	REFUSED(ehdr.e_entry = 0);
	REFUSED(ehdr.e_entry = 0x1000); /* in no code */
	REFUSED(ehdr.e_entry = 0x2800); /* just behind */
	REFUSED(ehdr.e_entry = 0x4a00); /* data */
	REFUSED(ehdr.e_entry = UINT64_MAX);
	REFUSED(phdrs[2].p_flags = PF_R);
}

static void odd_but_legal_files_are_read(void **state)
{
	struct elf_image image;

	(void)state;
	phdrs[0].p_type = PT_LOAD; /* an empty one */
	phdrs[0].p_filesz = 0;
	assert_int_equal(parse_of(FILE_BYTES, &image), 0);
	assert_int_equal(image.load_count, 3);
	assert_int_equal(image.interpreter_bytes, 0);
	ehdr.e_phoff = 0x20000 - 0x10000; /* program headers that are not loaded */
	assert_int_equal(parse_of(FILE_BYTES, &image), 0);
	assert_int_equal(image.phdr_address, 0);
	phdrs[3].p_filesz = 0; /* all bss */
	assert_int_equal(parse_of(FILE_BYTES, &image), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_good_file_is_read, reset),
	    cmocka_unit_test_setup(short_files_are_refused, reset),
	    cmocka_unit_test_setup(wrong_headers_are_refused, reset),
	    cmocka_unit_test_setup(wrong_segments_are_refused, reset),
	    cmocka_unit_test_setup(wrong_interpreters_are_refused, reset),
	    cmocka_unit_test_setup(entries_outside_of_code_are_refused, reset),
	    cmocka_unit_test_setup(odd_but_legal_files_are_read, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
