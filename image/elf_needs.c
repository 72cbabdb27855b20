/* SPDX-License-Identifier: Apache-2.0 */
#include "image/elf_needs.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

struct reader {
	const struct elf_source *source;
	Elf64_Phdr segments[ELF_NEEDS_SEGMENTS_MAX];
	unsigned segment_count;
	uint64_t strings, strings_bytes; /* the string table: offset in the file */
	struct err *err;
};

static int malformed(struct reader *r, const char *what)
{
	return err_set(r->err, -EINVAL, "the ELF file is malformed: %s!", what);
}

/* All of the bytes, which must lie in the file. */
static int read_all(struct reader *r, uint64_t offset, void *to, uint64_t bytes, const char *what)
{
	if (offset > r->source->bytes || bytes > r->source->bytes - offset)
		return malformed(r, what);
	int64_t n = r->source->read(r->source->context, offset, to, bytes);
	if (n < 0)
		return err_set(r->err, (int)n, "cannot read the ELF file");
	return (uint64_t)n == bytes ? 0 : malformed(r, what);
}

/* The file offset of `bytes` bytes at an address, which must lie in one segment; false: they do not. */
static bool find_address(const struct reader *r, uint64_t address, uint64_t bytes, uint64_t *offset)
{
	for (unsigned i = 0; i < r->segment_count; i++) {
		const Elf64_Phdr *p = &r->segments[i];
		if (p->p_type != PT_LOAD || address < p->p_vaddr || address - p->p_vaddr > p->p_filesz ||
		    bytes > p->p_filesz - (address - p->p_vaddr))
			continue;
		return !add_overflows(p->p_offset, address - p->p_vaddr, offset);
	}
	return false;
}

static int read_string(struct reader *r, uint64_t offset, uint64_t room, char **string, const char *what)
{
	char buffer[ELF_NEEDS_STRING_MAX];
	uint64_t bytes = min_u64(room, sizeof(buffer));
	int code = read_all(r, offset, buffer, bytes, what);

	if (code < 0)
		return code;
	size_t length = strnlen(buffer, bytes);
	if (length == bytes)
		return malformed(r, what);
	char *copy = strndup(buffer, length);
	if (copy == NULL)
		return err_set(r->err, -ENOMEM, "cannot read the ELF file");
	free(*string);
	*string = copy;
	return 0;
}

static int table_string(struct reader *r, uint64_t index, char **string)
{
	if (index >= r->strings_bytes)
		return malformed(r, "a name lies outside of the string table");
	return read_string(r, r->strings + index, r->strings_bytes - index, string, "a name has no end");
}

static int add_needed(struct reader *r, struct elf_needs *needs, uint64_t index)
{
	char *name = NULL;

	if (needs->needed.count == ELF_NEEDS_LIBRARIES_MAX)
		return malformed(r, "it needs too many libraries");
	int code = table_string(r, index, &name);
	if (name == NULL)
		return code;
	if (*name == '\0')
		code = malformed(r, "it needs a library without a name");
	if (code == 0 && string_list_add_string(&needs->needed, name) < 0)
		code = err_set(r->err, -ENOMEM, "cannot read the ELF file");
	free(name);
	return code;
}

static int take_entry(struct reader *r, struct elf_needs *needs, const Elf64_Dyn *entry)
{
	switch (entry->d_tag) {
	case DT_NEEDED:
		return add_needed(r, needs, entry->d_un.d_val);
	case DT_SONAME:
		return table_string(r, entry->d_un.d_val, &needs->soname);
	case DT_RPATH:
		return table_string(r, entry->d_un.d_val, &needs->rpath);
	case DT_RUNPATH:
		return table_string(r, entry->d_un.d_val, &needs->runpath);
	case DT_FLAGS_1:
		needs->no_defaults = (entry->d_un.d_val & DF_1_NODEFLIB) != 0;
		return 0;
	default:
		return 0;
	}
}

static int find_strings(struct reader *r, const Elf64_Dyn *entries, uint64_t count)
{
	uint64_t address = 0;
	bool have = false;

	for (uint64_t i = 0; i < count && entries[i].d_tag != DT_NULL; i++) {
		if (entries[i].d_tag == DT_STRTAB) {
			address = entries[i].d_un.d_ptr;
			have = true;
		} else if (entries[i].d_tag == DT_STRSZ) {
			r->strings_bytes = entries[i].d_un.d_val;
		}
	}
	if (have && !find_address(r, address, r->strings_bytes, &r->strings))
		return malformed(r, "the string table lies outside of the segments");
	if (!have)
		r->strings_bytes = 0;
	return 0;
}

static int read_dynamic(struct reader *r, struct elf_needs *needs, const Elf64_Phdr *segment)
{
	uint64_t count = min_u64(segment->p_filesz / sizeof(Elf64_Dyn), ELF_NEEDS_DYNAMIC_MAX);
	Elf64_Dyn *entries = malloc(count != 0 ? count * sizeof(entries[0]) : 1);

	if (entries == NULL)
		return err_set(r->err, -ENOMEM, "cannot read the ELF file");
	int code =
	    read_all(r, segment->p_offset, entries, count * sizeof(entries[0]), "the dynamic section lies outside");
	if (code == 0)
		code = find_strings(r, entries, count);
	for (uint64_t i = 0; code == 0 && i < count && entries[i].d_tag != DT_NULL; i++)
		code = take_entry(r, needs, &entries[i]);
	free(entries);
	needs->dynamic = true;
	return code;
}

static int read_segments(struct reader *r, struct elf_needs *needs)
{
	bool dynamic = false, interpreter = false;
	int code = 0;

	for (unsigned i = 0; i < r->segment_count && code == 0; i++) {
		const Elf64_Phdr *p = &r->segments[i];
		if (p->p_type == PT_INTERP && !interpreter) {
			interpreter = true;
			code = read_string(r, p->p_offset, p->p_filesz, &needs->interpreter,
					   "the interpreter's name lies outside or has no end");
			if (code == 0 && needs->interpreter[0] != '/')
				code = malformed(r, "the interpreter's name is not absolute");
		} else if (p->p_type == PT_DYNAMIC && !dynamic) {
			dynamic = true;
			code = read_dynamic(r, needs, p);
		}
	}
	return code;
}

static int read_header(struct reader *r, struct elf_needs *needs)
{
	Elf64_Ehdr h = {0};

	if (r->source->bytes < SELFMAG)
		return -ENOEXEC;
	int64_t n = r->source->read(r->source->context, 0, &h, min_u64(sizeof(h), r->source->bytes));
	if (n < 0)
		return err_set(r->err, (int)n, "cannot read the file");
	if (n < SELFMAG || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	if (n < (int64_t)sizeof(Elf32_Ehdr))
		return malformed(r, "the header is cut off");
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_machine != EM_X86_64) {
		needs->foreign = true;
		return 0;
	}
	if (n < (int64_t)sizeof(h))
		return malformed(r, "the header is cut off");
	if (h.e_type != ET_EXEC && h.e_type != ET_DYN)
		return 0; /* an object file or a core: asks the loader for nothing */
	if (h.e_phnum > ELF_NEEDS_SEGMENTS_MAX || (h.e_phnum != 0 && h.e_phentsize != sizeof(Elf64_Phdr)))
		return malformed(r, "the table of segments has an odd size");
	r->segment_count = h.e_phnum;
	return read_all(r, h.e_phoff, r->segments, h.e_phnum * sizeof(Elf64_Phdr),
			"the table of segments lies outside");
}

int elf_needs_read(struct elf_needs *needs, const struct elf_source *source, struct err *err)
{
	*needs = (struct elf_needs){0};
	struct reader *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, -ENOMEM, "cannot read the ELF file");
	r->source = source;
	r->err = err;
	int code = read_header(r, needs);
	if (code == 0)
		code = read_segments(r, needs);
	free(r);
	if (code < 0)
		elf_needs_free(needs);
	return code;
}

void elf_needs_free(struct elf_needs *needs)
{
	free(needs->interpreter);
	free(needs->soname);
	free(needs->rpath);
	free(needs->runpath);
	string_list_free(&needs->needed);
	*needs = (struct elf_needs){0};
}
