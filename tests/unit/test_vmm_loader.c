/* SPDX-License-Identifier: Apache-2.0 */
/* The ELF loader takes a good kernel image and refuses every malformed one. */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "vmm/loader.h"

#define TEXT_OFFSET 4096u
#define TEXT_BYTES 8000u
#define DATA_OFFSET 12288u
#define DATA_BYTES 100u
#define FILE_BYTES (DATA_OFFSET + DATA_BYTES)

/* A good image in a heap block of exactly its size, so that the sanitizer sees every byte too many. */
struct sample {
	uint8_t *file;
	Elf64_Ehdr elf;
	Elf64_Phdr ph[2];
	struct lampo_image_header header;
};

static int setup(void **state)
{
	struct sample *s = calloc(1, sizeof(*s));
	s->file = calloc(1, FILE_BYTES);
	s->elf = (Elf64_Ehdr){
	    .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_EXEC,
	    .e_machine = EM_X86_64,
	    .e_phoff = sizeof(Elf64_Ehdr),
	    .e_phentsize = sizeof(Elf64_Phdr),
	    .e_phnum = 2,
	};
	s->ph[0] = (Elf64_Phdr){
	    .p_type = PT_LOAD,
	    .p_flags = PF_R | PF_X,
	    .p_offset = TEXT_OFFSET,
	    .p_vaddr = LAMPO_VA_KERNEL,
	    .p_filesz = TEXT_BYTES,
	    .p_memsz = TEXT_BYTES,
	};
	s->ph[1] = (Elf64_Phdr){
	    .p_type = PT_LOAD,
	    .p_flags = PF_R | PF_W,
	    .p_offset = DATA_OFFSET,
	    .p_vaddr = LAMPO_VA_KERNEL + 8192,
	    .p_filesz = DATA_BYTES,
	    .p_memsz = 50000,
	};
	s->header = (struct lampo_image_header){
	    .magic = LAMPO_IMAGE_MAGIC,
	    .abi_version = LAMPO_ABI_VERSION,
	    .gate_count = 1,
	    .entry = LAMPO_VA_KERNEL + 3000,
	    .syscall_entry = LAMPO_VA_KERNEL + 4000,
	    .gates = {{.va = LAMPO_VA_KERNEL + 5000, .vector = 32, .ist = 1}},
	};
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct sample *s = *state;
	free(s->file);
	free(s);
	return 0;
}

static int parse(struct sample *s, size_t bytes)
{
	struct image image;
	struct err err;
	memcpy(s->file, &s->elf, sizeof(s->elf));
	memcpy(s->file + sizeof(s->elf), s->ph, sizeof(s->ph));
	memcpy(s->file + TEXT_OFFSET, &s->header, sizeof(s->header));
	uint8_t *copy = malloc(bytes);
	memcpy(copy, s->file, bytes);
	int r = image_parse(&image, copy, bytes, &err);
	if (r == 0) {
		assert_int_equal(image.text.va, LAMPO_VA_KERNEL);
		assert_true(image.text.offset + image.text.file_bytes <= bytes);
		assert_true(image.data.offset + image.data.file_bytes <= bytes);
	} else {
		assert_int_equal(r, -ENOEXEC);
		assert_true(err.text[0] != '\0');
	}
	free(copy);
	return r;
}

static void good_image_is_taken(void **state)
{
	struct sample *s = *state;
	assert_int_equal(parse(s, FILE_BYTES), 0);
	s->elf.e_phnum = 1; /* no data */
	assert_int_equal(parse(s, FILE_BYTES), 0);
}

static void every_truncation_is_refused(void **state)
{
	for (size_t bytes = 1; bytes < FILE_BYTES; bytes++)
		assert_int_equal(parse(*state, bytes), -ENOEXEC);
}

#define REFUSED(change)                                                                                                \
	do {                                                                                                           \
		struct sample saved = *s;                                                                              \
		change;                                                                                                \
		if (parse(s, FILE_BYTES) == 0)                                                                         \
			fail_msg("taken with %s", #change);                                                            \
		*s = saved;                                                                                            \
	} while (0)

static void wrong_files_are_refused(void **state)
{
	struct sample *s = *state;
	REFUSED(s->elf.e_ident[0] = 'x');
	REFUSED(s->elf.e_ident[EI_CLASS] = ELFCLASS32);
	REFUSED(s->elf.e_ident[EI_DATA] = ELFDATA2MSB);
	REFUSED(s->elf.e_type = ET_DYN);
	REFUSED(s->elf.e_machine = EM_AARCH64);
	REFUSED(s->elf.e_phnum = 0);
	REFUSED(s->elf.e_phnum = 17);
	REFUSED(s->elf.e_phnum = 65535);
	REFUSED(s->elf.e_phentsize = 55);
	REFUSED(s->elf.e_phoff = FILE_BYTES - 56);
	REFUSED(s->elf.e_phoff = UINT64_MAX - 10);
	REFUSED(s->ph[1].p_type = PT_INTERP);
	REFUSED(s->ph[1].p_type = PT_DYNAMIC);
}

static void wrong_segments_are_refused(void **state)
{
	struct sample *s = *state;
	REFUSED(s->ph[0].p_offset = UINT64_MAX - 100);
	REFUSED(s->ph[0].p_filesz = UINT64_MAX);
	REFUSED(s->ph[0].p_filesz = s->ph[0].p_memsz = FILE_BYTES);
	REFUSED(s->ph[0].p_memsz = 100);
	REFUSED(s->ph[0].p_memsz = TEXT_BYTES + 1); /* bss in the text */
	REFUSED(s->ph[0].p_vaddr = LAMPO_VA_KERNEL + 4096);
	REFUSED(s->ph[0].p_vaddr = 0);
	REFUSED(s->ph[0].p_offset = TEXT_OFFSET + 1);
	REFUSED(s->ph[0].p_flags = PF_R | PF_W | PF_X);
	REFUSED(s->ph[0].p_memsz = s->ph[0].p_filesz = 0);
	REFUSED(s->ph[1].p_vaddr = LAMPO_VA_KERNEL + 4096);       /* overlaps text */
	REFUSED(s->ph[1].p_vaddr = LAMPO_VA_KERNEL + TEXT_BYTES); /* in the last page of text */
	REFUSED(s->ph[1].p_vaddr = UINT64_MAX - 100);
	REFUSED(s->ph[1].p_vaddr = LAMPO_VA_DIRECT);
	REFUSED(s->ph[1].p_memsz = UINT64_MAX);
	REFUSED(s->ph[1].p_memsz = LOADER_IMAGE_MAX);
	REFUSED(s->ph[1].p_flags = PF_R | PF_X);
	REFUSED(s->ph[1].p_flags = PF_R | PF_W | PF_X);
}

static void wrong_headers_are_refused(void **state)
{
	struct sample *s = *state;
	REFUSED(s->header.magic++);
	REFUSED(s->header.abi_version++);
	REFUSED(s->header.gate_count = LAMPO_GATES_MAX + 1);
	REFUSED(s->header.gate_count = UINT32_MAX);
	REFUSED(s->header.entry = LAMPO_VA_KERNEL + TEXT_BYTES);
	REFUSED(s->header.entry = 0);
	REFUSED(s->header.syscall_entry = LAMPO_VA_KERNEL - 1);
	REFUSED(s->header.gates[0].va = 0xffffffff81000000);
	REFUSED(s->header.gates[0].ist = 8);
	REFUSED(s->header.gates[0].dpl = 1);
}

static void missing_file_says_which(void **state)
{
	(void)state;
	struct image image;
	struct err err;
	assert_int_equal(image_open(&image, "/nowhere/nucleo", &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/nucleo"));
	assert_int_equal(image_open(&image, "/", &err), -ENOEXEC);
	assert_int_equal(image_open(&image, "/dev/null", &err), -ENOEXEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(good_image_is_taken, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_truncation_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(wrong_files_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(wrong_segments_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(wrong_headers_are_refused, setup, teardown),
	    cmocka_unit_test(missing_file_says_which),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
