/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a kernel image, or changes to a good one: whatever it is, what the loader accepts lies inside
 * the file and inside the kernel's addresses. */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "tests/fuzz/input.h"
#include "vmm/loader.h"
#include "vmm/memory.h"

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void segment_check(const struct image_segment *segment, size_t bytes)
{
	must(segment->offset <= bytes && segment->file_bytes <= bytes - segment->offset);
	must(segment->file_bytes <= segment->memory_bytes && segment->memory_bytes <= LOADER_IMAGE_MAX);
	must(segment->va >= LAMPO_VA_KERNEL &&
	     segment->va + segment->memory_bytes <= LAMPO_VA_KERNEL + LOADER_IMAGE_MAX);
}

#define TEXT_OFFSET 4096u
#define GOOD_BYTES (TEXT_OFFSET + sizeof(struct lampo_image_header) + 64)

static void good_image(uint8_t *file)
{
	uint64_t text_bytes = GOOD_BYTES - TEXT_OFFSET;
	Elf64_Ehdr elf = {
	    .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_EXEC,
	    .e_machine = EM_X86_64,
	    .e_phoff = sizeof(elf),
	    .e_phentsize = sizeof(Elf64_Phdr),
	    .e_phnum = 2,
	};
	Elf64_Phdr ph[2] = {
	    {.p_type = PT_LOAD,
	     .p_flags = PF_R | PF_X,
	     .p_offset = TEXT_OFFSET,
	     .p_vaddr = LAMPO_VA_KERNEL,
	     .p_filesz = text_bytes,
	     .p_memsz = text_bytes},
	    {.p_type = PT_LOAD,
	     .p_flags = PF_R | PF_W,
	     .p_offset = 256,
	     .p_vaddr = LAMPO_VA_KERNEL + 8192,
	     .p_filesz = 100,
	     .p_memsz = 9000},
	};
	struct lampo_image_header header = {
	    .magic = LAMPO_IMAGE_MAGIC,
	    .abi_version = LAMPO_ABI_VERSION,
	    .gate_count = 1,
	    .entry = LAMPO_VA_KERNEL + 100,
	    .syscall_entry = LAMPO_VA_KERNEL + 100,
	    .gates = {{.va = LAMPO_VA_KERNEL + 100, .vector = 14, .ist = 1}},
	};
	memset(file, 0, GOOD_BYTES);
	memcpy(file, &elf, sizeof(elf));
	memcpy(file + sizeof(elf), ph, sizeof(ph));
	memcpy(file + TEXT_OFFSET, &header, sizeof(header));
}

static void parse(const uint8_t *file, size_t size)
{
	struct image image;
	struct err err = {0};
	if (image_parse(&image, file, size, &err) < 0) {
		must(err.code < 0 && err.text[0] != '\0');
		return;
	}
	segment_check(&image.text, size);
	if (image.data.memory_bytes != 0) {
		segment_check(&image.data, size);
		must(align_down(image.data.va, PAGE_BYTES) >=
		     align_up(image.text.va + image.text.memory_bytes, PAGE_BYTES));
	}
	must(image.header.gate_count <= LAMPO_GATES_MAX);
}

/* In a block of exactly its size, so that the sanitizer sees every byte too many. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	if (input_u8(&in) & 1) {
		uint8_t *file = malloc(in.left + 1);
		memcpy(file, in.at, in.left);
		parse(file, in.left);
		free(file);
		return 0;
	}
	uint8_t *file = malloc(GOOD_BYTES);
	good_image(file);
	while (in.left >= 3) {
		/* Headers are where it matters: the first 256 bytes of file and of text. */
		uint16_t where = input_u16(&in);
		size_t at = (where & 0xff) + (where & 0x100 ? TEXT_OFFSET : 0), bytes = where >> 14 == 0   ? 1
											: where >> 14 == 1 ? 2
													   : 8;
		input_bytes(&in, file + at, bytes);
	}
	parse(file, GOOD_BYTES);
	free(file);
	return 0;
}
