/* SPDX-License-Identifier: Apache-2.0 */
#include "dev/guest_memory.h"

#include <stddef.h>
#include <string.h>

void *guest_memory_at(const struct guest_memory *memory, struct guest_addr addr, uint64_t bytes, bool writable)
{
	if (bytes == 0)
		return NULL;
	for (unsigned i = 0; i < memory->count; i++) {
		const struct guest_region *region = &memory->regions[i];
		if (addr.value < region->gpa)
			continue;
		/* Differences only, never addr + bytes: that sum could wrap. */
		uint64_t offset = addr.value - region->gpa;
		if (offset >= region->bytes || bytes > region->bytes - offset)
			continue;
		if (writable && region->read_only)
			return NULL;
		return (char *)region->host + offset;
	}
	return NULL;
}

bool guest_memory_read(const struct guest_memory *memory, struct guest_addr addr, void *to, uint64_t bytes)
{
	const void *from = guest_memory_at(memory, addr, bytes, false);
	if (from == NULL)
		return false;
	memcpy(to, from, bytes);
	return true;
}

bool guest_memory_write(const struct guest_memory *memory, struct guest_addr addr, const void *from, uint64_t bytes)
{
	void *to = guest_memory_at(memory, addr, bytes, true);
	if (to == NULL)
		return false;
	memcpy(to, from, bytes);
	return true;
}
