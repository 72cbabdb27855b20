/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image that the guest's root comes from: its file, mapped and given to the guest as memory that it can only
 * read. All VMs of a host share the pages. The monitor compares blocks with the image's Merkle tree when the
 * guest asks for it; the guest uses none before that (include/abi/doorbell.h).
 *
 * Nobody changes the files of the store. If somebody does: a block that was not in use yet fails its check; a file that
 * is cut short ends the VM.
 */
#ifndef LAMPO_VMM_ROOT_IMAGE_H
#define LAMPO_VMM_ROOT_IMAGE_H

#include <stdint.h>

#include "base/host/err.h"

struct vm;

/* Opens the image of the options into vm->root_image, if there is one: checks what names it, but not its content. */
int root_image_open(struct vm *vm, struct err *err);
/* For LAMPO_PORT_VERIFY: a bit for each block from `first` on that is as it should be. From any vCPU's thread. */
uint64_t root_image_verify(struct vm *vm, uint64_t first, uint64_t count);
/* Ends the VM, with the reason, if the file is no longer as long as it was. */
void root_image_probe(const struct vm *vm);

#endif
