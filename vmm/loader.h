/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nucleo's ELF file. It is read as hostile: whatever is in it, parsing ends with a valid description
 * or an error. Accepted: ELF64 x86-64 ET_EXEC, first PT_LOAD read and execute at LAMPO_VA_KERNEL,
 * starting with struct lampo_image_header, then at most one PT_LOAD read and write; nothing else to
 * load.
 */
#ifndef LAMPO_VMM_LOADER_H
#define LAMPO_VMM_LOADER_H

#include <stddef.h>

#include "base/host/err.h"
#include "include/abi/boot.h"

#define LOADER_IMAGE_MAX (16ull << 20) /* of virtual addresses from LAMPO_VA_KERNEL */

/* Addresses are page-aligned for text. Data may start anywhere in a page that text does not touch. */
struct image_segment {
	uint64_t va, offset, file_bytes, memory_bytes;
};

struct image {
	const uint8_t *file; /* the whole file, mapped read-only */
	size_t file_bytes;
	struct image_segment text, data;  /* data.memory_bytes = 0: none */
	struct lampo_image_header header; /* a checked copy */
};

/* Fills text, data and header from a file in memory. -ENOEXEC: not a kernel image of this version. */
int image_parse(struct image *image, const uint8_t *file, size_t bytes, struct err *err);
/* Maps the file and parses it. */
int image_open(struct image *image, const char *path, struct err *err);
void image_close(struct image *image);

#endif
