/* SPDX-License-Identifier: Apache-2.0 */
/* The ELF parser over hostile bytes: never reads out of bounds, and what it accepts keeps its promises. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/proc/elf.h"

#define LIMIT 0x2a8000000000ull

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check(const struct elf_header *header, const struct elf_image *image, uint64_t file_bytes)
{
	uint64_t end = 0;
	bool entry = false;

	require(image->load_count > 0 && image->load_count <= ELF_LOADS_MAX);
	require(image->start % PAGE_SIZE == 0 && image->end % PAGE_SIZE == 0 && image->start < image->end);
	for (unsigned i = 0; i < image->load_count; i++) {
		const struct elf_load *l = &image->loads[i];
		require(l->memory_bytes > 0 && l->file_bytes <= l->memory_bytes);
		require(l->address >= end && l->address >= image->start);
		end = l->address + l->memory_bytes;
		require(end > l->address && end <= LIMIT && end <= image->end);
		require(l->offset <= file_bytes && l->file_bytes <= file_bytes - l->offset);
		require((l->address - l->offset) % PAGE_SIZE == 0);
		entry |= (l->prot & 4) != 0 && header->entry >= l->address && header->entry < end;
	}
	require(entry);
	if (image->interpreter_bytes != 0) {
		require(image->interpreter_bytes >= 2 && image->interpreter_bytes <= ELF_INTERPRETER_MAX);
		require(image->interpreter_offset + image->interpreter_bytes <= file_bytes);
	}
	if (image->phdr_address != 0)
		require(image->phdr_address >= image->start &&
			image->phdr_address + header->phdr_count * ELF_SEGMENT_BYTES <= image->end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_header header;
	static struct elf_image image;

	if (elf_parse_header(data, size, size, &header) != 0)
		return 0;
	require(header.phdr_offset <= size && header.phdr_count * ELF_SEGMENT_BYTES <= size - header.phdr_offset);
	void *table = malloc(header.phdr_count * ELF_SEGMENT_BYTES);
	require(table != NULL);
	memcpy(table, data + header.phdr_offset, header.phdr_count * ELF_SEGMENT_BYTES);
	if (elf_parse_segments(&header, table, size, LIMIT, &image) == 0)
		check(&header, &image, size);
	free(table);
	return 0;
}
