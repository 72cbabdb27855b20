/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest finds in memory at its start. The first 2 MiB are for page tables. From there on, close
 * together because each page (or 2 MiB page) that a guest touches first costs it much
 * (docs/measurements.md): boot information with its strings, the vCPUs' pages, descriptor tables, the
 * kernel's writable segment, the virtqueues; then free memory.
 */
#ifndef LAMPO_VMM_BOOT_H
#define LAMPO_VMM_BOOT_H

#include "base/host/err.h"
#include "vmm/memory.h"

/* What is made present at once: page tables, and what is built here with the kernel's first allocations. In
 * small pages: where the host itself is a VM whose free memory is given back to its own host, a huge page
 * can take milliseconds, small ones come from what was in use lately. */
#define BOOT_TABLES_BYTES (16 * PAGE_BYTES)
#define BOOT_DATA_BYTES (512ull << 10)
/* Up to here the device thread goes on, while the kernel boots: what the smallest dynamic program uses. Not a
 * whole huge page, for the reason above. */
#define BOOT_AHEAD_BYTES (HUGE_PAGE_BYTES - (64ull << 10))

struct vm;

/* Makes that memory present: before anything is written there, one call instead of a fault per page. */
void boot_populate(struct memory *memory);
/* The rest up to BOOT_AHEAD_BYTES; the guest has been told already that it is there. */
void boot_populate_ahead(struct memory *memory);

/* Builds it all, activates the devices, and fills vm->start. */
int boot_build(struct vm *vm, struct err *err);

#endif
