/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image that the guest's root comes from: its file, mapped and given to the guest as memory that it can only
 * read. All VMs of a host share the pages. The monitor compares blocks with the image's Merkle tree when the guest
 * asks for it, and notes in the guest's memory which are good; the guest uses no others (include/abi/doorbell.h).
 *
 * Nobody changes the files of the store. If somebody does: a block that was not in use yet fails its check; a file that
 * is cut short ends the VM.
 */
#ifndef LAMPO_VMM_ROOT_IMAGE_H
#define LAMPO_VMM_ROOT_IMAGE_H

#include <pthread.h>
#include <stdint.h>

#include "base/host/err.h"

struct vm;

#define ROOT_IMAGE_RANGES_MAX 16u

/* What is to be verified by the device thread, while the guest goes on: the last range first. */
struct root_image_work {
	int event_fd;
	pthread_mutex_t lock; /* for the others */
	unsigned count;
	struct {
		uint64_t first, count; /* blocks */
	} ranges[ROOT_IMAGE_RANGES_MAX];
};

/* Opens the image of the options into vm->root_image, if there is one: checks what names it, but not its content. After
 * the event loop's init. */
int root_image_open(struct vm *vm, struct err *err);
/* Where the guest's bitmap is. What every guest looks at first is verified from now on. */
void root_image_use(struct vm *vm, uint64_t *verified);
/* For LAMPO_PORT_VERIFY: verifies blocks and notes those that are good. From any thread. */
void root_image_verify(struct vm *vm, uint64_t first, uint64_t count);
/* For LAMPO_PORT_COPY: the same, and copies those that are good to pages of the guest. From any vCPU's thread. */
void root_image_copy(struct vm *vm, uint64_t first, const uint64_t *gpas, unsigned count);
/* Has the device thread verify, soon. When there is too much to do already, the oldest is forgotten. */
void root_image_ahead(struct vm *vm, uint64_t first, uint64_t count);
/* Ends the VM, with the reason, if the file is no longer as long as it was. */
void root_image_probe(const struct vm *vm);

#endif
