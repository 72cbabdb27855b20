/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory on the host's side: RAM, one sealed memfd mapped from guest address 0, and the kernel image's
 * read-only segment, which maps the image's file so that all VMs share it.
 *
 * KVM takes time and memory for a slot in proportion to its size (with shadow paging 2.5 KiB and 0.4 us per
 * MiB). So RAM becomes known to it in slots that double, as the guest announces what it is going to use
 * (LAMPO_PORT_POPULATE); memory_reach() does the same for a guest that does not. */
#ifndef LAMPO_VMM_MEMORY_H
#define LAMPO_VMM_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/host/err.h"
#include "dev/guest_memory.h"

#define PAGE_BYTES 4096ull
#define HUGE_PAGE_BYTES (2ull << 20)

#define MEMORY_FIRST_SLOT_BYTES (64ull << 20)

struct memory {
	struct guest_memory map; /* what devices see: RAM, then nucleo's text */
	const void *image;       /* the root's image, which devices have no business with; NULL: none */
	uint64_t image_bytes;
	int ram_fd;
	uint8_t *ram;
	uint64_t ram_bytes;
	int vm_fd;
	pthread_mutex_t slots_lock;
	_Atomic uint64_t slots_end; /* RAM up to here is known to KVM */
	uint64_t next_table, next;  /* first free guest addresses of the two allocators below */
};

int memory_init(struct memory *memory, uint64_t bytes, struct err *err);
void memory_fini(struct memory *memory);
/* Adds a read-only region; `host` stays the caller's. */
void memory_add_read_only(struct memory *memory, uint64_t gpa, const void *host, uint64_t bytes);
/* The EROFS of the root's image, for LAMPO_GPA_IMAGE; `host` stays the caller's. */
void memory_set_image(struct memory *memory, const void *host, uint64_t bytes);
/* Gives KVM the read-only regions and the first RAM. vm_fd stays the caller's and open. */
int memory_set_slots(struct memory *memory, int vm_fd, struct err *err);
/* Gives KVM RAM up to at least `end`, or all of it. From any thread. */
int memory_reach(struct memory *memory, uint64_t end, struct err *err);

/* Take zeroed RAM for what the guest finds at its start: a page table from the first 2 MiB, all else from
 * there on. Apart, because KVM maps a 2 MiB block in which it shadows page tables in small pages only.
 * align is a power of two. 0: none left. */
uint64_t memory_take_table(struct memory *memory);
uint64_t memory_take(struct memory *memory, uint64_t bytes, uint64_t align);
/* Host address of RAM that was taken. */
void *memory_at(const struct memory *memory, uint64_t gpa);

/* Makes [gpa, gpa + bytes) of RAM present on the host and known to KVM, whole 2 MiB blocks as huge pages. Only a hint:
 * failure does no harm. */
void memory_populate(struct memory *memory, uint64_t gpa, uint64_t bytes);
/* Gives the whole pages in [gpa, gpa + bytes) back to the host; they read as zero afterwards.
 * -EINVAL: not in RAM. */
int memory_release(const struct memory *memory, uint64_t gpa, uint64_t bytes);
/* Bytes of RAM that the host holds for the guest. */
uint64_t memory_resident(const struct memory *memory);

#endif
