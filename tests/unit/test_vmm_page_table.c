/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's first page tables and descriptor tables say what the layout says, and nothing else. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "vmm/arch/x86_64/page_table.h"
#include "vmm/arch/x86_64/segments.h"

#define RAM (64ull << 20)
#define ADDRESS 0x000ffffffffff000ull

static struct memory memory;
static uint64_t root;

static int setup(void **state)
{
	(void)state;
	struct err err;
	assert_int_equal(memory_init(&memory, RAM, &err), 0);
	root = memory_take_table(&memory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memory_fini(&memory);
	return 0;
}

/* A walk as the processor does it: leaf entry of va, 0 if not mapped. *large: a 2 MiB page. */
static uint64_t walk(uint64_t va, bool *large)
{
	uint64_t table = root;
	for (int shift = 39; shift >= 12; shift -= 9) {
		uint64_t entry = ((uint64_t *)memory_at(&memory, table))[va >> shift & 511];
		*large = shift == 21 && (entry & PTE_LARGE);
		if (!(entry & PTE_PRESENT))
			return 0;
		if (shift == 12 || *large)
			return entry;
		assert_true(entry & PTE_USER && entry & PTE_WRITE && !(entry & PTE_NO_EXECUTE));
		table = entry & ADDRESS;
		assert_true(table < RAM);
	}
	return 0;
}

static void small_and_large_pages_are_mapped(void **state)
{
	(void)state;
	bool large;
	assert_int_equal(page_table_map(&memory, root, LAMPO_VA_DIRECT, 0, RAM, PTE_LARGE | PTE_WRITE | PTE_NO_EXECUTE),
			 0);
	assert_int_equal(page_table_map(&memory, root, LAMPO_VA_KERNEL, LAMPO_GPA_KERNEL, 5 * PAGE_BYTES, PTE_USER), 0);
	for (uint64_t at = 0; at < RAM; at += PTE_LARGE_BYTES) {
		uint64_t entry = walk(LAMPO_VA_DIRECT + at, &large);
		assert_true(large);
		assert_int_equal(entry, at | PTE_LARGE | PTE_WRITE | PTE_NO_EXECUTE | PTE_PRESENT);
	}
	for (uint64_t at = 0; at < 5 * PAGE_BYTES; at += PAGE_BYTES) {
		assert_int_equal(walk(LAMPO_VA_KERNEL + at, &large), (LAMPO_GPA_KERNEL + at) | PTE_USER | PTE_PRESENT);
		assert_false(large);
	}
	assert_int_equal(walk(LAMPO_VA_DIRECT + RAM, &large), 0);
	assert_int_equal(walk(LAMPO_VA_KERNEL + 5 * PAGE_BYTES, &large), 0);
	assert_int_equal(walk(0, &large), 0);
	assert_int_equal(walk(LAMPO_VA_DIRECT - PAGE_BYTES, &large), 0);
}

static void a_mapping_across_tables_is_whole(void **state)
{
	(void)state;
	bool large;
	uint64_t va = LAMPO_VA_KERNEL + (1ull << 30) - 3 * PAGE_BYTES; /* into the next page directory */
	assert_int_equal(page_table_map(&memory, root, va, 0x5000, 6 * PAGE_BYTES, 0), 0);
	for (uint64_t i = 0; i < 6; i++)
		assert_int_equal(walk(va + i * PAGE_BYTES, &large) & ADDRESS, 0x5000 + i * PAGE_BYTES);
}

static void a_second_mapping_is_refused(void **state)
{
	(void)state;
	assert_int_equal(page_table_map(&memory, root, LAMPO_VA_DIRECT, 0, PTE_LARGE_BYTES, PTE_LARGE), 0);
	assert_int_equal(page_table_map(&memory, root, LAMPO_VA_DIRECT, 0, PTE_LARGE_BYTES, PTE_LARGE), -EEXIST);
	assert_int_equal(page_table_map(&memory, root, LAMPO_VA_DIRECT + PAGE_BYTES, 0, PAGE_BYTES, 0), -EEXIST);
}

static void tables_run_out_cleanly(void **state)
{
	(void)state;
	/* Each GiB needs a table of its own; there is room for about 500. */
	assert_int_equal(page_table_map(&memory, root, 0, 0, 600ull << 30, PTE_LARGE), -ENOMEM);
}

static uint64_t base_of(const uint64_t *descriptor)
{
	return (descriptor[0] >> 16 & 0xffffff) | (descriptor[0] >> 56) << 24 | descriptor[1] << 32;
}

static void descriptor_tables_follow_the_image(void **state)
{
	(void)state;
	struct lampo_image_header image = {
	    .gate_count = 2,
	    .gates = {{.va = LAMPO_VA_KERNEL + 0x1234, .vector = 14, .ist = 2},
		      {.va = LAMPO_VA_KERNEL + 0x5678, .vector = 3, .ist = 1, .dpl = 3}},
	};
	struct segments segments;
	uint64_t pages = memory_take(&memory, 3 * PAGE_BYTES, PAGE_BYTES);
	assert_int_equal(segments_build(&segments, &memory, &image, pages, 3), 0);
	const uint8_t *idt = memory_at(&memory, segments.idt_va - LAMPO_VA_DIRECT);
	assert_int_equal(segments.idt_limit, 15 * 16 - 1);
	uint16_t low, middle;
	uint32_t high;
	memcpy(&low, idt + 14 * 16, 2);
	memcpy(&middle, idt + 14 * 16 + 6, 2);
	memcpy(&high, idt + 14 * 16 + 8, 4);
	assert_int_equal((uint64_t)high << 32 | (uint64_t)middle << 16 | low, LAMPO_VA_KERNEL + 0x1234);
	assert_int_equal(idt[14 * 16 + 4], 2);    /* IST */
	assert_int_equal(idt[14 * 16 + 5], 0x8e); /* present, ring 0, interrupt gate */
	assert_int_equal(idt[3 * 16 + 5], 0xee);
	assert_int_equal(idt[13 * 16 + 5], 0); /* not given: not present */
	const uint64_t *gdt = memory_at(&memory, segments.gdt_va - LAMPO_VA_DIRECT);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t tss_va = base_of(&gdt[LAMPO_SEL_TSS / 8 + 2 * i]), ist;
		memcpy(&ist, (uint8_t *)memory_at(&memory, tss_va - LAMPO_VA_DIRECT) + 36 + 8 * 2,
		       sizeof(ist)); /* IST3 */
		assert_int_equal(ist, LAMPO_VA_DIRECT + pages + i * PAGE_BYTES + LAMPO_CPU_IST_TOP(3));
		struct kvm_sregs sregs = {0};
		segments_load(&segments, &sregs, i, 0x1000);
		assert_int_equal(sregs.tr.base, tss_va);
		assert_int_equal(sregs.cs.dpl, 3);
		assert_int_equal(sregs.cs.l, 1);
		assert_int_equal(sregs.ss.dpl, 3);
		assert_int_equal(sregs.gs.base, 0x1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(small_and_large_pages_are_mapped, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_mapping_across_tables_is_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_second_mapping_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(tables_run_out_cleanly, setup, teardown),
	    cmocka_unit_test_setup_teardown(descriptor_tables_follow_the_image, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
