/* SPDX-License-Identifier: Apache-2.0 */
/* GDT, IDT and task-state segments (Intel SDM volume 3A, 3.4.5, 6.14, 7.7), and the segment registers
 * of a vCPU that starts in ring 3. */
#ifndef LAMPO_VMM_SEGMENTS_H
#define LAMPO_VMM_SEGMENTS_H

#include <linux/kvm.h>

#include "include/abi/boot.h"
#include "vmm/memory.h"

struct segments {
	uint64_t gdt_va, idt_va, tss_va; /* one GDT and IDT for all vCPUs, one TSS for each */
	uint16_t gdt_limit, idt_limit;
};

/* Builds the tables in guest RAM. cpu_pages is the guest address of the per-vCPU pages, which hold the
 * interrupt stacks. -ENOMEM: no RAM left. */
int segments_build(struct segments *segments, struct memory *memory, const struct lampo_image_header *image,
		   uint64_t cpu_pages, unsigned cpu_count);
/* Sets the segment and table registers of vCPU `index` in *sregs; leaves the rest of it alone. */
void segments_load(const struct segments *segments, struct kvm_sregs *sregs, unsigned index, uint64_t gs_base);

#endif
