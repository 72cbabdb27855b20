/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/x86_64/segments.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

/* Code and data descriptors with base 0: present, S = 1, granularity 4 KiB, limit all ones. */
#define DESCRIPTOR(type, dpl, l, db)                                                                                   \
	(0x000f00000000ffffull | (uint64_t)(type) << 40 | 1ull << 44 | (uint64_t)(dpl) << 45 | 1ull << 47 |            \
	 (uint64_t)(l) << 53 | (uint64_t)(db) << 54 | 1ull << 55)
#define TYPE_CODE 0xbu /* execute, read, accessed */
#define TYPE_DATA 0x3u /* read, write, accessed */
#define TYPE_TSS_BUSY 0xbu
/* Clears IF: on PVM-style KVM iretq cannot return to ring 0, so no interrupt may come while the gate runs. */
#define TYPE_INTERRUPT_GATE 0xeu

#define GDT_FIXED (LAMPO_SEL_TSS / 8u) /* entries before the TSS descriptors, of two entries each */

struct tss {
	uint32_t reserved0;
	uint32_t rsp[6]; /* unaligned 64-bit fields, halves */
	uint32_t reserved1[2];
	uint32_t ist[14];
	uint32_t reserved2[2];
	uint16_t reserved3, io_map;
} __attribute__((packed));
#define TSS_STRIDE 128ull /* so that each lies within one page */
_Static_assert(sizeof(struct tss) == 104, "Intel SDM 3A, figure 7-11");

struct idt_entry {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, reserved;
};

static void tss_fill(struct tss *tss, uint64_t cpu_page_va)
{
	tss->io_map = sizeof(*tss); /* beyond the limit: no port for ring 3 */
	for (unsigned n = 1; n <= 7; n++) {
		uint64_t top = cpu_page_va + LAMPO_CPU_IST_TOP(n);
		memcpy(&tss->ist[2 * (size_t)(n - 1)], &top, sizeof(top));
	}
	/* For gates without a stack of their own. */
	uint64_t top = cpu_page_va + LAMPO_CPU_IST_TOP(1);
	memcpy(&tss->rsp[0], &top, sizeof(top));
}

static void tss_describe(uint64_t descriptor[2], uint64_t va)
{
	descriptor[0] = (sizeof(struct tss) - 1) | (va & 0xffffff) << 16 | (uint64_t)TYPE_TSS_BUSY << 40 | 1ull << 47 |
			(va >> 24 & 0xff) << 56;
	descriptor[1] = va >> 32;
}

static void idt_fill(struct idt_entry *idt, const struct lampo_image_header *image)
{
	for (unsigned i = 0; i < image->gate_count; i++) {
		const struct lampo_gate *gate = &image->gates[i];
		idt[gate->vector] = (struct idt_entry){
		    .offset0 = (uint16_t)gate->va,
		    .offset1 = (uint16_t)(gate->va >> 16),
		    .offset2 = (uint32_t)(gate->va >> 32),
		    .selector = LAMPO_SEL_KCODE,
		    .ist = gate->ist,
		    .type = (uint8_t)(0x80u | gate->dpl << 5 | TYPE_INTERRUPT_GATE),
		};
	}
}

int segments_build(struct segments *segments, struct memory *memory, const struct lampo_image_header *image,
		   uint64_t cpu_pages, unsigned cpu_count)
{
	unsigned vectors = 0;
	for (unsigned i = 0; i < image->gate_count; i++)
		vectors = image->gates[i].vector + 1u > vectors ? image->gates[i].vector + 1u : vectors;
	uint64_t idt_bytes = vectors * sizeof(struct idt_entry);
	uint64_t gdt_bytes = (GDT_FIXED + 2ull * cpu_count) * sizeof(uint64_t);
	uint64_t idt_gpa = memory_take(memory, idt_bytes + gdt_bytes + cpu_count * TSS_STRIDE, PAGE_BYTES);
	if (idt_gpa == 0)
		return -ENOMEM;
	uint64_t tss_gpa = idt_gpa, gdt_gpa = tss_gpa + cpu_count * TSS_STRIDE;
	idt_gpa = gdt_gpa + gdt_bytes;
	segments->tss_va = LAMPO_VA_DIRECT + tss_gpa;
	segments->gdt_va = LAMPO_VA_DIRECT + gdt_gpa;
	segments->idt_va = LAMPO_VA_DIRECT + idt_gpa;
	segments->gdt_limit = (uint16_t)(gdt_bytes - 1);
	segments->idt_limit = (uint16_t)(idt_bytes != 0 ? idt_bytes - 1 : 0);

	uint64_t *gdt = memory_at(memory, gdt_gpa);
	gdt[LAMPO_SEL_KCODE / 8] = DESCRIPTOR(TYPE_CODE, 0, 1, 0);
	gdt[LAMPO_SEL_KDATA / 8] = DESCRIPTOR(TYPE_DATA, 0, 0, 1);
	gdt[LAMPO_SEL_UDATA / 8] = DESCRIPTOR(TYPE_DATA, 3, 0, 1);
	gdt[LAMPO_SEL_UCODE / 8] = DESCRIPTOR(TYPE_CODE, 3, 1, 0);
	for (unsigned i = 0; i < cpu_count; i++) {
		tss_fill(memory_at(memory, tss_gpa + i * TSS_STRIDE), LAMPO_VA_DIRECT + cpu_pages + i * PAGE_BYTES);
		tss_describe(&gdt[LAMPO_SEL_TSS / 8 + 2 * i], segments->tss_va + i * TSS_STRIDE);
	}
	idt_fill(memory_at(memory, idt_gpa), image);
	return 0;
}

static struct kvm_segment segment(uint16_t selector, uint8_t type, uint8_t l, uint8_t db)
{
	return (struct kvm_segment){
	    .limit = 0xffffffff,
	    .selector = selector,
	    .type = type,
	    .present = 1,
	    .dpl = selector & 3,
	    .s = 1,
	    .g = 1,
	    .l = l,
	    .db = db,
	};
}

void segments_load(const struct segments *segments, struct kvm_sregs *sregs, unsigned index, uint64_t gs_base)
{
	sregs->cs = segment(LAMPO_SEL_UCODE, TYPE_CODE, 1, 0);
	sregs->ss = segment(LAMPO_SEL_UDATA, TYPE_DATA, 0, 1);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss;
	sregs->gs.base = gs_base;
	sregs->tr = (struct kvm_segment){
	    .base = segments->tss_va + index * TSS_STRIDE,
	    .limit = sizeof(struct tss) - 1,
	    .selector = (uint16_t)(LAMPO_SEL_TSS + 16 * index),
	    .type = TYPE_TSS_BUSY,
	    .present = 1,
	};
	sregs->ldt = (struct kvm_segment){.unusable = 1};
	sregs->gdt = (struct kvm_dtable){.base = segments->gdt_va, .limit = segments->gdt_limit};
	sregs->idt = (struct kvm_dtable){.base = segments->idt_va, .limit = segments->idt_limit};
}
