/* SPDX-License-Identifier: Apache-2.0 */
/* Guest-physical memory as devices and monitor see it. The only way from a guest address to a host
 * pointer is guest_memory_at(). */
#ifndef LAMPO_DEV_GUEST_MEMORY_H
#define LAMPO_DEV_GUEST_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* A guest-physical address; a type of its own so that it is never mistaken for a host one. */
struct guest_addr {
	uint64_t value;
};

#define GUEST_REGIONS_MAX 8u

struct guest_region {
	uint64_t gpa, bytes;
	void *host;     /* owned by whoever built the map */
	bool read_only; /* guest_memory_at() refuses it for writing */
};

struct guest_memory {
	struct guest_region regions[GUEST_REGIONS_MAX];
	unsigned count;
};

/* Host address of [addr, addr + bytes), or NULL unless the whole range lies in one region (and the
 * region may be written, if `writable`). bytes = 0 is refused. Guest memory changes under the
 * reader at any time: copy once, then validate the copy. */
void *guest_memory_at(const struct guest_memory *memory, struct guest_addr addr, uint64_t bytes, bool writable);
/* Copies; false if the range is not wholly in one region. */
bool guest_memory_read(const struct guest_memory *memory, struct guest_addr addr, void *to, uint64_t bytes);
bool guest_memory_write(const struct guest_memory *memory, struct guest_addr addr, const void *from, uint64_t bytes);

#endif
