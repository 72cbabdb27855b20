/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ELF file asks the dynamic loader for: System V ABI (gABI 4.1, chapters 4 and 5), x86-64 psABI. The file is
 * hostile: every offset is checked, tables and strings are bounded, nothing is followed.
 */
#ifndef LAMPO_IMAGE_ELF_NEEDS_H
#define LAMPO_IMAGE_ELF_NEEDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/host/err.h"
#include "image/text.h"

#define ELF_NEEDS_SEGMENTS_MAX 512u
#define ELF_NEEDS_DYNAMIC_MAX 4096u /* entries looked at */
#define ELF_NEEDS_LIBRARIES_MAX 1024u
#define ELF_NEEDS_STRING_MAX 4096u

struct elf_source {
	/* Bytes read (fewer only at the end), or -errno. */
	int64_t (*read)(void *context, uint64_t offset, void *to, uint64_t bytes);
	void *context;
	uint64_t bytes; /* of the file */
};

struct elf_needs {
	bool foreign;                                 /* for another machine than x86-64: nothing else is filled in */
	bool dynamic;                                 /* has a dynamic section */
	bool no_defaults;                             /* DF_1_NODEFLIB: the default directories are not searched */
	char *interpreter, *soname, *rpath, *runpath; /* owned; NULL: none */
	struct string_list needed;
};

/* -ENOEXEC: no ELF file (*err is not set). -EINVAL: a malformed one. */
int elf_needs_read(struct elf_needs *needs, const struct elf_source *source, struct err *err);
void elf_needs_free(struct elf_needs *needs);

#endif
