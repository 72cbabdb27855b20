/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ELF files (System V gABI, chapters 4 and 5; AMD64 psABI). Portable and without memory of its
 * own: hostile bytes in, checked numbers out. */
#ifndef NUCLEO_PROC_ELF_H
#define NUCLEO_PROC_ELF_H

#include "kernel/kernel.h"

#define ELF_HEADER_BYTES 64u
#define ELF_SEGMENT_BYTES 56u     /* one program header */
#define ELF_SEGMENTS_MAX 1170u    /* program headers in a file: 64 KiB of them */
#define ELF_LOADS_MAX 24u         /* of these, PT_LOAD */
#define ELF_INTERPRETER_MAX 4096u /* with its NUL */

/* From the file header. */
struct elf_header {
	bool relocatable; /* ET_DYN: position independent */
	uint64_t entry;
	uint64_t phdr_offset; /* of the program headers in the file */
	unsigned phdr_count;
};

struct elf_load {
	uint64_t address, offset, file_bytes, memory_bytes;
	int prot; /* PROT_* */
};

struct elf_image {
	unsigned load_count;
	struct elf_load loads[ELF_LOADS_MAX];           /* ascending, not overlapping */
	uint64_t start, end;                            /* page-aligned range of addresses */
	uint64_t phdr_address;                          /* of the program headers in memory; 0: not loaded */
	uint64_t interpreter_offset, interpreter_bytes; /* with NUL; 0: none */
	bool executable_stack;
};

/* `data` is the file's beginning, `bytes` of it, at most ELF_HEADER_BYTES are looked at. -ENOEXEC. */
int elf_parse_header(const void *data, uint64_t bytes, uint64_t file_bytes, struct elf_header *header);
/* `data`: the program headers, header->phdr_count * ELF_SEGMENT_BYTES. limit: end of addresses. -ENOEXEC. */
int elf_parse_segments(const struct elf_header *header, const void *data, uint64_t file_bytes, uint64_t limit,
		       struct elf_image *image);
/* Bytes of the first PT_LOAD in the file, unchecked; 0: none. */
uint64_t elf_first_load(const void *data, unsigned count);

#endif
