/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/proc/elf.h"

#include <linux/elf.h>

#define PROT_READ_BIT 1
#define PROT_WRITE_BIT 2
#define PROT_EXEC_BIT 4

_Static_assert(sizeof(Elf64_Ehdr) == ELF_HEADER_BYTES, "gABI");
_Static_assert(sizeof(Elf64_Phdr) == ELF_SEGMENT_BYTES, "gABI");

static bool within(uint64_t offset, uint64_t bytes, uint64_t limit)
{
	return bytes <= limit && offset <= limit - bytes;
}

int elf_parse_header(const void *data, uint64_t bytes, uint64_t file_bytes, struct elf_header *header)
{
	Elf64_Ehdr e;
	if (bytes < sizeof(e) || file_bytes < sizeof(e))
		return -ENOEXEC;
	memcpy(&e, data, sizeof(e));
	if (memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 || e.e_ident[EI_CLASS] != ELFCLASS64 ||
	    e.e_ident[EI_DATA] != ELFDATA2LSB || e.e_ident[EI_VERSION] != EV_CURRENT)
		return -ENOEXEC;
	if ((e.e_type != ET_EXEC && e.e_type != ET_DYN) || e.e_machine != EM_X86_64)
		return -ENOEXEC;
	if (e.e_phentsize != sizeof(Elf64_Phdr) || e.e_phnum == 0 || e.e_phnum > ELF_SEGMENTS_MAX ||
	    !within(e.e_phoff, (uint64_t)e.e_phnum * sizeof(Elf64_Phdr), file_bytes))
		return -ENOEXEC;
	*header = (struct elf_header){
	    .relocatable = e.e_type == ET_DYN,
	    .entry = e.e_entry,
	    .phdr_offset = e.e_phoff,
	    .phdr_count = e.e_phnum,
	};
	return 0;
}

static int add_load(struct elf_image *image, const Elf64_Phdr *p, uint64_t file_bytes, uint64_t limit)
{
	if (p->p_memsz == 0)
		return 0;
	if (image->load_count == ELF_LOADS_MAX || p->p_filesz > p->p_memsz ||
	    !within(p->p_offset, p->p_filesz, file_bytes) || !within(p->p_vaddr, p->p_memsz, limit) ||
	    (p->p_vaddr - p->p_offset) % PAGE_SIZE != 0)
		return -ENOEXEC;
	if (image->load_count > 0) {
		const struct elf_load *last = &image->loads[image->load_count - 1];
		if (p->p_vaddr < last->address + last->memory_bytes)
			return -ENOEXEC;
	} else
		image->start = align_down(p->p_vaddr, PAGE_SIZE);
	image->end = align_up(p->p_vaddr + p->p_memsz, PAGE_SIZE);
	image->loads[image->load_count++] = (struct elf_load){
	    .address = p->p_vaddr,
	    .offset = p->p_offset,
	    .file_bytes = p->p_filesz,
	    .memory_bytes = p->p_memsz,
	    .prot = ((p->p_flags & PF_R) != 0 ? PROT_READ_BIT : 0) | ((p->p_flags & PF_W) != 0 ? PROT_WRITE_BIT : 0) |
		    ((p->p_flags & PF_X) != 0 ? PROT_EXEC_BIT : 0),
	};
	return 0;
}

static int set_interpreter(struct elf_image *image, const Elf64_Phdr *p, uint64_t file_bytes)
{
	if (image->interpreter_bytes != 0)
		return 0; /* the first one counts */
	if (p->p_filesz < 2 || p->p_filesz > ELF_INTERPRETER_MAX || !within(p->p_offset, p->p_filesz, file_bytes))
		return -ENOEXEC;
	image->interpreter_offset = p->p_offset;
	image->interpreter_bytes = p->p_filesz;
	return 0;
}

/* The program headers' address, and whether the entry is code. */
static int check_places(const struct elf_header *header, struct elf_image *image)
{
	uint64_t phdr_bytes = (uint64_t)header->phdr_count * sizeof(Elf64_Phdr);
	bool entry_found = false;
	for (unsigned i = 0; i < image->load_count; i++) {
		const struct elf_load *l = &image->loads[i];
		if (header->phdr_offset >= l->offset &&
		    within(header->phdr_offset - l->offset, phdr_bytes, l->file_bytes))
			image->phdr_address = l->address + (header->phdr_offset - l->offset);
		if ((l->prot & PROT_EXEC_BIT) != 0 && header->entry >= l->address &&
		    header->entry - l->address < l->memory_bytes)
			entry_found = true;
	}
	return entry_found ? 0 : -ENOEXEC;
}

int elf_parse_segments(const struct elf_header *header, const void *data, uint64_t file_bytes, uint64_t limit,
		       struct elf_image *image)
{
	memset(image, 0, sizeof(*image));
	for (unsigned i = 0; i < header->phdr_count; i++) {
		Elf64_Phdr p;
		memcpy(&p, (const char *)data + i * sizeof(p), sizeof(p));
		int r = 0;
		if (p.p_type == PT_LOAD)
			r = add_load(image, &p, file_bytes, limit);
		else if (p.p_type == PT_INTERP)
			r = set_interpreter(image, &p, file_bytes);
		else if (p.p_type == PT_GNU_STACK)
			image->executable_stack = (p.p_flags & PF_X) != 0;
		if (r != 0)
			return r;
	}
	return image->load_count > 0 ? check_places(header, image) : -ENOEXEC;
}

uint64_t elf_first_load(const void *data, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		Elf64_Phdr p;
		memcpy(&p, (const char *)data + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_LOAD)
			return p.p_offset == 0 ? p.p_filesz : 0;
	}
	return 0;
}
