/* SPDX-License-Identifier: Apache-2.0 */
/* Pages, heap, mappings and faults: against what POSIX and the Linux man pages say, and against a simple
 * model under random operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <asm/siginfo.h>
#include <asm/signal.h>

#include "kernel/mm/vma.h"
#include "tests/unit/kernel_files.h"
#include "tests/unit/kernel_host.h"

#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define READ 0u
#define WRITE 2u
#define FETCH 16u

static struct mm *mm;

static int reset(void **state)
{
	(void)state;
	host_reset(32u << 20);
	assert_int_equal(mm_new(&mm), 0);
	host_process.mm = mm;
	mm->stack_limit = 8u << 20;
	return 0;
}

static int finish(void **state)
{
	(void)state;
	mm_put(mm);
	host_process.mm = NULL;
	return 0;
}

static uint64_t map(uint64_t at, uint64_t pages, int prot, int flags)
{
	assert_int_equal(mm_map(mm, &at, pages * PAGE_SIZE, prot, flags, NULL, 0), 0);
	return at;
}

static int fault(uint64_t va, uint32_t error, int *code)
{
	*code = 0;
	return mm_fault(mm, va, error, code);
}

static void expect_fault(uint64_t va, uint32_t error, int signal, int code)
{
	int got;
	assert_int_equal(fault(va, error, &got), signal);
	if (signal != 0)
		assert_int_equal(got, code);
}

static uint64_t free_pages(void)
{
	struct page_statistics s;
	page_statistics(&s);
	return s.free;
}

/* ---- pages and heap ---- */

static void pages_are_zero_and_come_back(void **state)
{
	struct page *pages[2000];
	uint64_t before = free_pages();

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < countof(pages); i++) {
			pages[i] = page_alloc();
			const uint8_t *data = page_address(pages[i]);
			assert_int_equal(data[0] | data[4095], 0);
			memset(page_address(pages[i]), 0xff, PAGE_SIZE);
			assert_ptr_equal(page_of_gpa(page_gpa(pages[i])), pages[i]);
		}
		for (unsigned i = 0; i < countof(pages); i++)
			page_put(pages[(i * 7) % countof(pages)]);
	}
	assert_int_equal(free_pages(), before);
}

static void untouched_memory_stays_untouched(void **state)
{
	(void)state;
	host_reset(64u << 20);
	for (unsigned i = 0; i < 100; i++)
		page_alloc();
	/* Announced in chunks, not page by page, and not all of it. */
	assert_true(host_counts.populates >= 1 && host_counts.populates <= 4);
	assert_true(host_counts.populated_end < HOST_FREE_GPA + (2u << 20));
	for (uint64_t gpa = HOST_FREE_GPA + (64u << 10); gpa < 60u << 20; gpa += PAGE_SIZE) /* behind the metadata */
		assert_int_equal(nucleo_host_ram[gpa], 0);
	host_reset(32u << 20);
	assert_int_equal(mm_new(&mm), 0);
}

static void blocks_are_aligned_and_join_again(void **state)
{
	uint64_t before = free_pages();
	void *blocks[40];
	unsigned count = 0;

	(void)state;
	for (unsigned order = 0; order <= 9; order++) {
		for (unsigned i = 0; i < 3; i++) {
			void *block = pages_alloc(order);
			assert_non_null(block);
			assert_int_equal(arch_virt_to_phys(block) % (PAGE_SIZE << order), 0);
			for (uint64_t at = 0; at < PAGE_SIZE << order; at += 512)
				assert_int_equal(((uint8_t *)block)[at], 0);
			memset(block, 0xaa, PAGE_SIZE << order);
			blocks[count++] = block;
		}
	}
	for (unsigned i = 0; i < count; i++)
		pages_free(blocks[i], i / 3);
	assert_int_equal(free_pages(), before);
	/* Single pages do not break up memory for good. */
	while (page_alloc_program(false) != NULL)
		;
	host_reset(32u << 20);
	assert_int_equal(mm_new(&mm), 0);
}

static void heap_objects_do_not_overlap(void **state)
{
	static struct {
		uint8_t *at;
		size_t bytes;
		uint8_t fill;
	} objects[500];
	uint32_t random = 1;

	(void)state;
	for (unsigned step = 0; step < 50000; step++) {
		random = random * 1664525 + 1013904223;
		unsigned i = (random >> 8) % countof(objects);
		if (objects[i].at == NULL) {
			size_t bytes = (random >> 4) % 17 == 0 ? (random >> 10) % 20000 : (random >> 10) % 700;
			bool zeroed = (random & 0x80000000) != 0;
			objects[i].at = zeroed ? kzalloc(bytes) : kmalloc(bytes);
			assert_non_null(objects[i].at);
			assert_int_equal((uintptr_t)objects[i].at % 16, 0);
			for (size_t b = 0; zeroed && b < bytes; b++)
				assert_int_equal(objects[i].at[b], 0);
			objects[i].bytes = bytes;
			objects[i].fill = (uint8_t)random;
			memset(objects[i].at, objects[i].fill, bytes);
		} else {
			for (size_t b = 0; b < objects[i].bytes; b++)
				assert_int_equal(objects[i].at[b], objects[i].fill);
			if ((random >> 28) == 3) {
				objects[i].at = krealloc(objects[i].at, objects[i].bytes * 2 + 1);
				assert_non_null(objects[i].at);
				for (size_t b = 0; b < objects[i].bytes; b++)
					assert_int_equal(objects[i].at[b], objects[i].fill);
			}
			kfree(objects[i].at);
			objects[i].at = NULL;
		}
	}
	for (unsigned i = 0; i < countof(objects); i++)
		kfree(objects[i].at);
	memset(objects, 0, sizeof(objects));
	assert_null(kmalloc(3u << 20));
}

/* ---- mmap and friends ---- */

static void bad_arguments_are_refused(void **state)
{
	uint64_t at = 0;

	(void)state;
	assert_int_equal(mm_map(mm, &at, 0, RW, ANON, NULL, 0), -EINVAL);
	assert_int_equal(mm_map(mm, &at, 4096, RW, MAP_ANONYMOUS, NULL, 0), -EINVAL);
	assert_int_equal(mm_map(mm, &at, 4096, RW, ANON, NULL, 123), -EINVAL);
	assert_int_equal(mm_map(mm, &at, UINT64_MAX, RW, ANON, NULL, 0), -ENOMEM);
	assert_int_equal(mm_map(mm, &at, USER_MAX, RW, ANON, NULL, 0), -ENOMEM);
	at = 0x10001000 + 5;
	assert_int_equal(mm_map(mm, &at, 4096, RW, ANON | MAP_FIXED, NULL, 0), -EINVAL);
	at = 0;
	assert_int_equal(mm_map(mm, &at, 4096, RW, ANON | MAP_FIXED, NULL, 0), -EPERM);
	at = USER_MAX - 4096;
	assert_int_equal(mm_map(mm, &at, 8192, RW, ANON | MAP_FIXED, NULL, 0), -ENOMEM);
	at = LAMPO_VA_KERNEL;
	assert_int_equal(mm_map(mm, &at, 4096, RW, ANON | MAP_FIXED, NULL, 0), -ENOMEM);
	at = UINT64_MAX & PAGE_MASK;
	assert_int_equal(mm_map(mm, &at, 4096, RW, ANON | MAP_FIXED, NULL, 0), -ENOMEM);
	assert_int_equal(mm_unmap(mm, 0x1001, 4096), -EINVAL);
	assert_int_equal(mm_unmap(mm, 0x1000, 0), -EINVAL);
	assert_int_equal(mm_unmap(mm, 0x1000, UINT64_MAX), -EINVAL);
	assert_int_equal(mm_unmap(mm, LAMPO_VA_DIRECT, 4096), -EINVAL);
	assert_int_equal(mm_unmap(mm, 0x1000, 4096), 0);
	assert_int_equal(mm_protect(mm, 0x12345000, 4096, RW), -ENOMEM);
	assert_int_equal(mm_protect(mm, 0x12345001, 4096, RW), -EINVAL);
	assert_int_equal(mm_protect(mm, LAMPO_VA_KERNEL, 4096, RW), -ENOMEM);
	assert_int_equal(mm_advise(mm, 0x1000, 4096, 9999), -EINVAL);
	assert_int_equal(mm_advise(mm, 0x1000, 4096, MADV_DONTNEED), -ENOMEM);
	assert_int_equal(mm_remap(mm, 0x1000, 4096, 8192, MREMAP_MAYMOVE, 0), -EFAULT);
}

static void fresh_memory_is_zero_and_keeps_what_is_written(void **state)
{
	uint64_t at = map(0, 1000, RW, ANON);
	uint64_t value = 0;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		value = 1;
		assert_int_equal(user_get(&value, at + i * PAGE_SIZE + 8), 0);
		assert_int_equal(value, 0);
		value = i + 77;
		assert_int_equal(user_put(at + i * PAGE_SIZE + 8, &value), 0);
	}
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(user_get(&value, at + i * PAGE_SIZE + 8), 0);
		assert_int_equal(value, i + 77);
	}
	/* Sequential faults became rare. */
	assert_true(mm->faults < 20);
	assert_int_equal(host_counts.flushes, 0);
	assert_int_equal(mm->resident_pages, 1000);
}

static void sparse_use_costs_little_memory(void **state)
{
	uint64_t at = map(0, 1u << 20, RW, ANON | MAP_NORESERVE); /* 4 GiB in a VM of 32 MiB */
	uint64_t before = free_pages();
	uint64_t value = 5;

	(void)state;
	for (uint64_t i = 0; i < 50; i++)
		assert_int_equal(user_put(at + (i * 20011 % (1u << 20)) * PAGE_SIZE, &value), 0);
	assert_true(before - free_pages() <= 50 * 18);
	map(0, 1u << 28, PROT_NONE, ANON | MAP_NORESERVE); /* 1 TiB */
}

static void signals_tell_why(void **state)
{
	uint64_t at = map(0, 4, PROT_READ, ANON);
	uint64_t none = map(0, 1, PROT_NONE, ANON);
	uint64_t code = map(0, 1, PROT_READ | PROT_EXEC, ANON);

	(void)state;
	expect_fault(0, READ, SIGSEGV, SEGV_MAPERR);
	expect_fault(0x12345678, WRITE, SIGSEGV, SEGV_MAPERR);
	expect_fault(LAMPO_VA_DIRECT, READ, SIGSEGV, SEGV_MAPERR);
	expect_fault(LAMPO_VA_KERNEL + 64, WRITE, SIGSEGV, SEGV_MAPERR);
	expect_fault(UINT64_MAX, READ, SIGSEGV, SEGV_MAPERR);
	expect_fault(at, WRITE, SIGSEGV, SEGV_ACCERR);
	expect_fault(at, FETCH, SIGSEGV, SEGV_ACCERR);
	expect_fault(at, READ, 0, 0);
	expect_fault(at, WRITE, SIGSEGV, SEGV_ACCERR);
	expect_fault(none, READ, SIGSEGV, SEGV_ACCERR);
	expect_fault(code, FETCH, 0, 0);
	uint8_t byte;
	assert_int_equal(user_read(&byte, none, 1), -EFAULT);
	assert_int_equal(user_write(at, &byte, 1), -EFAULT);
	assert_int_equal(user_read(&byte, LAMPO_VA_DIRECT, 1), -EFAULT);
	assert_int_equal(user_read(&byte, USER_MAX - 1, 2), -EFAULT);
	assert_int_equal(user_read(&byte, UINT64_MAX, 2), -EFAULT);
	assert_int_equal(user_read(&byte, 1, UINT64_MAX), -EFAULT);
	assert_null(user_page(none, false, NULL));
}

static void unmapping_splits_and_frees(void **state)
{
	uint64_t at = map(0, 64, RW, ANON);
	uint64_t value = 1;

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		user_put(at + i * PAGE_SIZE, &value);
	uint64_t before = free_pages();
	host_counts.flushes = 0;
	assert_int_equal(mm_unmap(mm, at + 16 * PAGE_SIZE, 16 * PAGE_SIZE), 0);
	assert_int_equal(host_counts.flushes, 1);
	assert_int_equal(free_pages(), before + 16);
	assert_int_equal(mm->vma_count, 2);
	expect_fault(at + 20 * PAGE_SIZE, READ, SIGSEGV, SEGV_MAPERR);
	expect_fault(at + 40 * PAGE_SIZE, READ, 0, 0);
	assert_int_equal(mm_unmap(mm, at + 16 * PAGE_SIZE, 16 * PAGE_SIZE), 0);
	assert_int_equal(host_counts.flushes, 1);
	/* The hole is filled again: one mapping. */
	map(at + 16 * PAGE_SIZE, 16, RW, ANON | MAP_FIXED_NOREPLACE);
	assert_int_equal(mm->vma_count, 1);
	assert_int_equal(mm->mapped_pages, 64);
	uint64_t where = at;
	assert_int_equal(mm_map(mm, &where, PAGE_SIZE, RW, ANON | MAP_FIXED_NOREPLACE, NULL, 0), -EEXIST);
	assert_int_equal(mm_unmap(mm, at, 64 * PAGE_SIZE), 0);
	assert_int_equal(mm->vma_count, 0);
	assert_int_equal(mm->resident_pages, 0);
}

static void fixed_mappings_replace(void **state)
{
	uint64_t at = map(0, 3, RW, ANON), value = 9;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		user_put(at + i * PAGE_SIZE, &value);
	map(at + PAGE_SIZE, 1, RW, ANON | MAP_FIXED);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(user_get(&value, at + i * PAGE_SIZE), 0);
		assert_int_equal(value, i == 1 ? 0 : 9);
	}
	assert_int_equal(mm->vma_count, 1);
}

static void protection_changes_and_comes_back(void **state)
{
	uint64_t at = map(0, 10, RW, ANON), value = 3;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		user_put(at + i * PAGE_SIZE, &value);
	host_counts.flushes = 0;
	assert_int_equal(mm_protect(mm, at + 2 * PAGE_SIZE, 3 * PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(host_counts.flushes, 1);
	assert_int_equal(mm->vma_count, 3);
	assert_int_equal(user_put(at + 3 * PAGE_SIZE, &value), -EFAULT);
	assert_int_equal(mm_protect(mm, at + 2 * PAGE_SIZE, 3 * PAGE_SIZE, PROT_NONE), 0);
	assert_int_equal(user_get(&value, at + 3 * PAGE_SIZE), -EFAULT);
	host_counts.flushes = 0;
	assert_int_equal(mm_protect(mm, at + 2 * PAGE_SIZE, 3 * PAGE_SIZE, RW), 0);
	assert_int_equal(host_counts.flushes, 0);
	assert_int_equal(mm->vma_count, 1);
	assert_int_equal(user_get(&value, at + 3 * PAGE_SIZE), 0);
	assert_int_equal(value, 3);
	uint64_t faults = mm->faults;
	assert_int_equal(user_put(at + 3 * PAGE_SIZE, &value), 0);
	assert_int_equal(mm->faults, faults);
	/* A hole: what lies before it is changed, then ENOMEM. */
	mm_unmap(mm, at + 5 * PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(mm_protect(mm, at, 10 * PAGE_SIZE, PROT_READ), -ENOMEM);
	expect_fault(at, WRITE, SIGSEGV, SEGV_ACCERR);
	expect_fault(at + 9 * PAGE_SIZE, WRITE, 0, 0);
}

static void code_changes_are_announced(void **state)
{
	uint64_t at = map(0, 4, PROT_READ | PROT_EXEC, ANON);

	(void)state;
	host_patch_changes = 0;
	mm_protect(mm, at, PAGE_SIZE, RW | PROT_EXEC);
	assert_int_equal(host_patch_changes, 1);
	mm_unmap(mm, at + PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(host_patch_changes, 2);
	map(at + 2 * PAGE_SIZE, 1, RW, ANON | MAP_FIXED);
	assert_int_equal(host_patch_changes, 3);
	mm_remap(mm, at + 3 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, 0x20000000);
	assert_true(host_patch_changes >= 4);
}

static void forgotten_memory_is_zero_again(void **state)
{
	uint64_t at = map(0, 100, RW, ANON), value = 8;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		user_put(at + i * PAGE_SIZE, &value);
	uint64_t before = free_pages();
	assert_int_equal(mm_advise(mm, at + PAGE_SIZE, 50 * PAGE_SIZE, MADV_DONTNEED), 0);
	assert_int_equal(free_pages(), before + 50);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(user_get(&value, at + i * PAGE_SIZE), 0);
		assert_int_equal(value, i >= 1 && i <= 50 ? 0 : 8);
	}
	assert_int_equal(mm_advise(mm, at, PAGE_SIZE, MADV_HUGEPAGE), 0);
	assert_int_equal(mm_advise(mm, at, 100 * PAGE_SIZE, MADV_FREE), 0);
}

static void remapping_keeps_the_content(void **state)
{
	uint64_t at = map(0, 10, RW, ANON), value;

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		user_put(at + i * PAGE_SIZE, &i);
	map(at + 10 * PAGE_SIZE, 1, PROT_READ, ANON | MAP_FIXED); /* in the way */
	assert_int_equal(mm_remap(mm, at, 10 * PAGE_SIZE, 2000 * PAGE_SIZE, 0, 0), -ENOMEM);
	int64_t moved = mm_remap(mm, at, 10 * PAGE_SIZE, 2000 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
	assert_true(moved > 0 && (uint64_t)moved != at);
	expect_fault(at, READ, SIGSEGV, SEGV_MAPERR);
	for (uint64_t i = 0; i < 2000; i += 5) {
		assert_int_equal(user_get(&value, (uint64_t)moved + i * PAGE_SIZE), 0);
		assert_int_equal(value, i < 10 ? i : 0);
	}
	assert_int_equal(mm_remap(mm, (uint64_t)moved, 2000 * PAGE_SIZE, 5 * PAGE_SIZE, 0, 0), moved);
	expect_fault((uint64_t)moved + 5 * PAGE_SIZE, READ, SIGSEGV, SEGV_MAPERR);
	/* In place. */
	assert_int_equal(mm_remap(mm, (uint64_t)moved, 5 * PAGE_SIZE, 7 * PAGE_SIZE, 0, 0), moved);
	expect_fault((uint64_t)moved + 6 * PAGE_SIZE, WRITE, 0, 0);
	/* To a place. */
	assert_int_equal(mm_remap(mm, (uint64_t)moved, 5 * PAGE_SIZE, 5 * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
				  (uint64_t)moved + PAGE_SIZE),
			 -EINVAL);
	assert_int_equal(
	    mm_remap(mm, (uint64_t)moved, 5 * PAGE_SIZE, 3 * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, 0x40000000),
	    0x40000000);
	user_get(&value, 0x40000000 + 2 * PAGE_SIZE);
	assert_int_equal(value, 2);
	expect_fault(0x40000000 + 3 * PAGE_SIZE, READ, SIGSEGV, SEGV_MAPERR);
	assert_int_equal(mm_remap(mm, 0x40000000, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, LAMPO_VA_KERNEL),
			 -EINVAL);
}

static void the_heap_grows_and_shrinks(void **state)
{
	uint64_t value = 4;

	(void)state;
	mm->brk_start = mm->brk = 0x10000000 + 100;
	assert_int_equal(mm_set_brk(mm, 0), mm->brk_start);
	assert_int_equal(mm_set_brk(mm, 0x10100000), 0x10100000);
	assert_int_equal(user_put(0x100fff00, &value), 0);
	assert_int_equal(mm_set_brk(mm, 0x10050001), 0x10050001);
	assert_int_equal(user_put(0x100fff00, &value), -EFAULT);
	assert_int_equal(user_put(0x10050ff0, &value), 0);
	assert_int_equal(mm_set_brk(mm, 0x10100000), 0x10100000);
	assert_int_equal(user_get(&value, 0x100fff00), 0);
	assert_int_equal(value, 0);
	struct vma_info info;
	assert_true(mm_vma_info(mm, 0x10050000, &info));
	assert_string_equal(info.name, "[heap]");
	map(0x10200000, 1, RW, ANON | MAP_FIXED);
	assert_int_equal(mm_set_brk(mm, 0x10300000), 0x10100000);
	assert_int_equal(mm_set_brk(mm, USER_MAX + 1), 0x10100000);
}

static void stacks_grow_to_their_limit(void **state)
{
	uint64_t top = 0x700000000000, value = 1;

	(void)state;
	map(top - 4 * PAGE_SIZE, 4, RW, ANON | MAP_FIXED | MAP_GROWSDOWN);
	mm->stack_start = top - 16;
	for (uint64_t depth = PAGE_SIZE; depth < 4u << 20; depth += PAGE_SIZE)
		assert_int_equal(user_put(top - depth, &value), 0);
	expect_fault(top - (8u << 20) - PAGE_SIZE, WRITE, SIGSEGV, SEGV_MAPERR);
	/* A neighbour keeps its distance. */
	map(top - (6u << 20), 1, RW, ANON | MAP_FIXED);
	expect_fault(top - (6u << 20) + 2 * PAGE_SIZE, WRITE, SIGSEGV, SEGV_MAPERR);
	expect_fault(top - (4u << 20) - 50 * PAGE_SIZE, WRITE, 0, 0);
}

/* ---- files ---- */

static uint64_t map_file(struct host_file *file, uint64_t pages, int prot, int flags, uint64_t offset)
{
	uint64_t at = 0;
	assert_int_equal(mm_map(mm, &at, pages * PAGE_SIZE, prot, flags, &file->file, offset), 0);
	return at;
}

static void private_file_mappings_read_and_copy(void **state)
{
	struct host_file *file = host_file_new(300 * PAGE_SIZE + 100, O_RDONLY);
	uint64_t at = map_file(file, 302, RW, MAP_PRIVATE, 0);
	uint8_t byte, x = 0xee;

	(void)state;
	for (uint64_t i = 0; i < 300; i++) {
		assert_int_equal(user_get(&byte, at + i * PAGE_SIZE + 5), 0);
		assert_int_equal(byte, host_file_byte(i * PAGE_SIZE + 5));
	}
	assert_true(file->fills <= 10);
	assert_true(mm->faults <= 10);
	for (uint64_t i = 0; i < 300; i += 3)
		assert_int_equal(user_put(at + i * PAGE_SIZE, &x), 0);
	for (uint64_t i = 0; i < 300; i++) {
		assert_int_equal(user_get(&byte, at + i * PAGE_SIZE), 0);
		assert_int_equal(byte, i % 3 == 0 ? 0xee : host_file_byte(i * PAGE_SIZE));
		assert_int_equal(user_get(&byte, at + i * PAGE_SIZE + 1), 0);
		assert_int_equal(byte, host_file_byte(i * PAGE_SIZE + 1));
	}
	assert_int_equal(cache_read(&file->cache, 0, (uint64_t)&byte, 1, false), 1);
	assert_int_equal(byte, host_file_byte(0));
	/* Behind the end: zero within the page, SIGBUS beyond. */
	assert_int_equal(user_get(&byte, at + 300 * PAGE_SIZE + 99), 0);
	assert_int_equal(byte, host_file_byte(300 * PAGE_SIZE + 99));
	assert_int_equal(user_get(&byte, at + 300 * PAGE_SIZE + 100), 0);
	assert_int_equal(byte, 0);
	expect_fault(at + 301 * PAGE_SIZE, READ, SIGBUS, BUS_ADRERR);
	expect_fault(at + 301 * PAGE_SIZE, WRITE, SIGBUS, BUS_ADRERR);
	assert_int_equal(user_get(&byte, at + 301 * PAGE_SIZE), -EFAULT);
	mm_unmap(mm, at, 302 * PAGE_SIZE);
	assert_int_equal(file->file.references, 1);
	assert_true(list_empty(&file->cache.mappings));
	host_file_free(file);
}

static void data_segments_are_read_past_the_cache(void **state)
{
	struct host_file *file = host_file_new(100 * PAGE_SIZE + 50, O_RDONLY);
	uint64_t at = map_file(file, 101, RW, MAP_PRIVATE, 0);
	uint8_t byte, x = 1;

	(void)state;
	/* A part is cached and dirty: the copy has what was written. */
	assert_int_equal(cache_write(&file->cache, 40 * PAGE_SIZE, (uint64_t) "new", 3, false), 3);
	uint64_t cached = file->cache.pages;
	host_counts.flushes = 0;
	for (uint64_t i = 0; i < 101; i++) {
		assert_int_equal(user_get(&byte, at + i * PAGE_SIZE), 0);
		assert_int_equal(byte, i == 40 ? 'n' : host_file_byte(i * PAGE_SIZE));
		assert_int_equal(user_put(at + i * PAGE_SIZE, &x), 0);
	}
	assert_int_equal(user_get(&byte, at + 100 * PAGE_SIZE + 50), 0);
	assert_int_equal(byte, 0);
	assert_int_equal(file->cache.pages, cached);
	assert_int_equal(host_counts.flushes, 0);
	cache_read(&file->cache, 3 * PAGE_SIZE, (uint64_t)&byte, 1, false);
	assert_int_equal(byte, host_file_byte(3 * PAGE_SIZE));
	mm_unmap(mm, at, 101 * PAGE_SIZE);
	host_file_free(file);
}

static uint64_t unmap_at;

static void unmap_now(struct host_file *file)
{
	file->during_fill = NULL;
	mm_unmap(mm, unmap_at, 4 * PAGE_SIZE);
	map(unmap_at, 4, RW, ANON | MAP_FIXED);
}

static void truncate_to_one_page(struct host_file *file)
{
	file->during_fill = NULL;
	cache_truncate(&file->cache, PAGE_SIZE);
}

static void a_file_may_shrink_while_its_data_is_read(void **state)
{
	struct host_file *file = host_file_new(8 * PAGE_SIZE, O_RDWR);
	uint64_t at = map_file(file, 8, RW, MAP_PRIVATE, 0);

	(void)state;
	file->during_fill = truncate_to_one_page;
	uint8_t byte;
	assert_int_equal(user_get(&byte, at), 0);
	assert_int_equal(byte, host_file_byte(0));
	expect_fault(at + PAGE_SIZE, READ, SIGBUS, BUS_ADRERR);
	unmap_at = at;
	cache_truncate(&file->cache, 8 * PAGE_SIZE);
	file->during_fill = unmap_now;
	assert_int_equal(user_get(&byte, at + PAGE_SIZE), 0);
	assert_int_equal(byte, 0); /* the anonymous memory that took its place */
	mm_unmap(mm, at, 8 * PAGE_SIZE);
	assert_int_equal(file->file.references, 1);
	host_file_free(file);
}

static void shared_file_mappings_reach_the_store(void **state)
{
	struct host_file *file = host_file_new(40 * PAGE_SIZE, O_RDWR);
	uint64_t at = map_file(file, 30, RW, MAP_SHARED, 10 * PAGE_SIZE);
	uint8_t byte, x = 0x5a;

	(void)state;
	assert_int_equal(user_get(&byte, at), 0);
	assert_int_equal(byte, host_file_byte(10 * PAGE_SIZE));
	assert_false(cache_is_dirty(&file->cache, 10));
	assert_int_equal(user_put(at + 3 * PAGE_SIZE, &x), 0);
	assert_true(cache_is_dirty(&file->cache, 13));
	assert_int_equal(cache_read(&file->cache, 13 * PAGE_SIZE, (uint64_t)&byte, 1, false), 1);
	assert_int_equal(byte, 0x5a);
	assert_int_equal(cache_write_back(&file->cache), 0);
	assert_int_equal(file->content[13 * PAGE_SIZE], 0x5a);
	assert_false(cache_is_dirty(&file->cache, 13));
	/* The next write is noticed again. */
	x = 0x5b;
	assert_int_equal(user_put(at + 3 * PAGE_SIZE, &x), 0);
	assert_true(cache_is_dirty(&file->cache, 13));
	cache_write_back(&file->cache);
	assert_int_equal(file->content[13 * PAGE_SIZE], 0x5b);
	mm_unmap(mm, at, 30 * PAGE_SIZE);
	host_file_free(file);
}

static void file_rights_are_kept(void **state)
{
	struct host_file *file = host_file_new(PAGE_SIZE, O_RDONLY);
	uint64_t at = 0;

	(void)state;
	assert_int_equal(mm_map(mm, &at, PAGE_SIZE, RW, MAP_SHARED, &file->file, 0), -EACCES);
	at = map_file(file, 1, PROT_READ, MAP_SHARED, 0);
	assert_int_equal(mm_protect(mm, at, PAGE_SIZE, RW), -EACCES);
	file->file.flags = O_WRONLY;
	at = 0;
	assert_int_equal(mm_map(mm, &at, PAGE_SIZE, PROT_READ, MAP_PRIVATE, &file->file, 0), -EACCES);
	assert_int_equal(mm_map(mm, &at, PAGE_SIZE, PROT_READ, MAP_PRIVATE, &file->file, INT64_MAX & PAGE_MASK),
			 -EOVERFLOW);
	mm_unmap(mm, 0x10000, USER_MAX - 0x10000);
	assert_int_equal(file->file.references, 1);
	host_file_free(file);
}

static void truncation_takes_mappings_away(void **state)
{
	struct host_file *file = host_file_new(10 * PAGE_SIZE, O_RDWR);
	uint64_t shared = map_file(file, 10, RW, MAP_SHARED, 0),
		 private = map_file(file, 10, PROT_READ, MAP_PRIVATE, 0);
	uint8_t byte;

	(void)state;
	for (uint64_t i = 0; i < 10; i++) {
		user_get(&byte, shared + i * PAGE_SIZE);
		user_get(&byte, private + i * PAGE_SIZE);
	}
	cache_truncate(&file->cache, 3 * PAGE_SIZE + 10);
	for (uint64_t i = 0; i < 10; i++) {
		expect_fault(shared + i * PAGE_SIZE, READ, i < 4 ? 0 : SIGBUS, BUS_ADRERR);
		expect_fault(private + i * PAGE_SIZE, READ, i < 4 ? 0 : SIGBUS, BUS_ADRERR);
	}
	user_get(&byte, private + 3 * PAGE_SIZE + 10);
	assert_int_equal(byte, 0);
	mm_unmap(mm, shared, 10 * PAGE_SIZE);
	mm_unmap(mm, private, 10 * PAGE_SIZE);
	host_file_free(file);
}

static void errors_of_files_are_bus_errors(void **state)
{
	struct host_file *file = host_file_new(PAGE_SIZE, O_RDWR);
	uint64_t at = map_file(file, 1, PROT_READ, MAP_PRIVATE, 0);

	(void)state;
	file->error = -EIO;
	expect_fault(at, READ, SIGBUS, BUS_ADRERR);
	file->error = 0;
	expect_fault(at, READ, 0, 0);
	mm_unmap(mm, at, PAGE_SIZE);
	host_file_free(file);
}

static void a_mapping_may_go_while_its_page_is_read(void **state)
{
	struct host_file *file = host_file_new(4 * PAGE_SIZE, O_RDWR);
	uint8_t byte = 1;

	(void)state;
	unmap_at = map_file(file, 4, RW, MAP_PRIVATE, 0);
	file->during_fill = unmap_now;
	assert_int_equal(user_get(&byte, unmap_at), 0);
	assert_int_equal(byte, 0);
	assert_int_equal(file->file.references, 1);
	host_file_free(file);
}

static void shared_anonymous_memory_is_shared(void **state)
{
	uint64_t at = map(0, 8, RW, MAP_SHARED | MAP_ANONYMOUS), value = 6;

	(void)state;
	assert_int_equal(user_put(at + 2 * PAGE_SIZE, &value), 0);
	uint64_t before = free_pages();
	assert_int_equal(mm_advise(mm, at, 8 * PAGE_SIZE, MADV_DONTNEED), 0);
	assert_int_equal(user_get(&value, at + 2 * PAGE_SIZE), 0);
	assert_int_equal(value, 6); /* the object keeps it */
	assert_int_equal(mm_unmap(mm, at, 4 * PAGE_SIZE), 0);
	assert_int_equal(mm_unmap(mm, at + 4 * PAGE_SIZE, 4 * PAGE_SIZE), 0);
	assert_true(free_pages() > before);
}

/* ---- kernel's pages, patches ---- */

static void code_can_be_written_past_its_rights(void **state)
{
	struct host_file *file = host_file_new(4 * PAGE_SIZE, O_RDONLY);
	uint64_t at = map_file(file, 4, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0);
	uint8_t bytes[16], byte;

	(void)state;
	memset(bytes, 0xcc, sizeof(bytes));
	assert_int_equal(user_write_code(at + PAGE_SIZE - 5, bytes, 13), 0);
	for (uint64_t i = 0; i < 2 * PAGE_SIZE; i += 3) {
		assert_int_equal(user_get(&byte, at + i), 0);
		bool patched = i >= PAGE_SIZE - 5 && i < PAGE_SIZE + 8;
		assert_int_equal(byte, patched ? 0xcc : host_file_byte(i));
	}
	expect_fault(at + PAGE_SIZE, WRITE, SIGSEGV, SEGV_ACCERR);
	expect_fault(at + PAGE_SIZE, FETCH, 0, 0);
	cache_read(&file->cache, PAGE_SIZE, (uint64_t)&byte, 1, false);
	assert_int_equal(byte, host_file_byte(PAGE_SIZE));
	uint64_t shared = map(0, 1, RW | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS);
	assert_int_equal(user_write_code(shared, bytes, 5), -EFAULT);
	assert_int_equal(user_write_code(0x1000, bytes, 5), -EFAULT);
	mm_unmap(mm, at, 4 * PAGE_SIZE);
	host_file_free(file);
}

static void kernel_pages_are_read_only(void **state)
{
	struct page *pages[2] = {page_alloc(), page_alloc()};
	uint64_t at = 0, near = 0x555500000000;
	uint8_t byte = 1;

	(void)state;
	memset(page_address(pages[1]), 7, PAGE_SIZE);
	assert_int_equal(mm_map_kernel_pages(mm, &at, pages, 2, PROT_READ | PROT_EXEC, "[vdso]"), 0);
	assert_int_equal(user_get(&byte, at + PAGE_SIZE), 0);
	assert_int_equal(byte, 7);
	assert_int_equal(user_put(at, &byte), -EFAULT);
	assert_int_equal(mm_protect(mm, at, PAGE_SIZE, RW), -EACCES);
	assert_int_equal(user_write_code(at, &byte, 1), -EFAULT);
	struct vma_info info;
	assert_true(mm_vma_info(mm, at, &info));
	assert_string_equal(info.name, "[vdso]");
	map(near, 100, PROT_READ, ANON | MAP_FIXED);
	uint64_t second = near + 50 * PAGE_SIZE;
	assert_int_equal(mm_map_kernel_pages(mm, &second, pages, 2, PROT_READ | PROT_EXEC, "x"), 0);
	assert_true(second + (1u << 30) > near && second < near + (1u << 30));
	mm_unmap(mm, at, 2 * PAGE_SIZE);
	mm_unmap(mm, second, 2 * PAGE_SIZE);
	assert_int_equal(page_references(pages[0]), 1);
}

static void strings_end_or_fail(void **state)
{
	uint64_t at = map(0, 2, RW, ANON);
	char text[64];

	(void)state;
	mm_unmap(mm, at + PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(user_write(at + PAGE_SIZE - 6, "hello", 6), 0);
	assert_int_equal(user_string(text, at + PAGE_SIZE - 6, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	assert_int_equal(user_write(at + PAGE_SIZE - 6, "hello!", 6), 0);
	assert_int_equal(user_string(text, at + PAGE_SIZE - 6, sizeof(text)), -EFAULT);
	assert_int_equal(user_string(text, at + PAGE_SIZE - 6, 4), -ENAMETOOLONG);
}

/* ---- out of memory ---- */

static void memory_ends_with_a_kill(void **state)
{
	uint64_t at = map(0, 1u << 16, RW, ANON | MAP_NORESERVE), i = 0;
	int code, signal = 0;

	(void)state;
	for (; i < 1u << 16 && signal == 0; i++)
		signal = fault(at + i * PAGE_SIZE, WRITE, &code);
	assert_int_equal(signal, SIGKILL);
	assert_true(i > 7000); /* of 8192 pages */
	/* The kernel itself still has some. */
	void *object = kmalloc(10000);
	assert_non_null(object);
	kfree(object);
	mm_unmap(mm, at, (1u << 16) * PAGE_SIZE);
	at = map(0, 4000, RW, ANON);
	for (i = 0; i < 4000; i++)
		expect_fault(at + i * PAGE_SIZE, WRITE, 0, 0);
}

static void mapped_files_give_way(void **state)
{
	/* 48 MiB of code in a VM of 32 MiB, and 8 MiB of data. */
	struct host_file *file = host_file_new(48u << 20, O_RDONLY);
	uint64_t at = map_file(file, 12288, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0), data = map(0, 2048, RW, ANON);
	uint8_t byte;

	(void)state;
	for (uint64_t i = 0; i < 2048; i++)
		assert_int_equal(user_put(data + i * PAGE_SIZE, &i), 0);
	for (unsigned round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < 12288; i++) {
			assert_int_equal(user_get(&byte, at + i * PAGE_SIZE + i % 4096), 0);
			assert_int_equal(byte, host_file_byte(i * PAGE_SIZE + i % 4096));
		}
	}
	for (uint64_t i = 0; i < 2048; i++) {
		uint64_t value;
		assert_int_equal(user_get(&value, data + i * PAGE_SIZE), 0);
		assert_int_equal(value, i);
	}
	mm_unmap(mm, at, 12288 * PAGE_SIZE);
	host_file_free(file);
}

static void everything_comes_back_with_the_address_space(void **state)
{
	uint64_t before = 0;

	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		struct mm *other;
		assert_int_equal(mm_new(&other), 0);
		struct mm *mine = mm;
		mm = host_process.mm = other;
		struct host_file *file = host_file_new(50 * PAGE_SIZE, O_RDWR);
		uint64_t value = 1;
		uint64_t a = map(0, 500, RW, ANON), b = map_file(file, 50, RW, MAP_PRIVATE, 0);
		uint64_t c = map(0, 20, RW, MAP_SHARED | MAP_ANONYMOUS);
		for (unsigned i = 0; i < 500; i++)
			user_put(a + i * PAGE_SIZE, &value);
		for (unsigned i = 0; i < 50; i += 2)
			user_put(b + i * PAGE_SIZE, &value);
		user_put(c, &value);
		mm_protect(mm, a, 100 * PAGE_SIZE, PROT_NONE);
		mm = host_process.mm = mine;
		mm_put(other);
		assert_int_equal(file->file.references, 1);
		host_file_free(file);
		if (round == 1)
			before = free_pages();
	}
	assert_int_equal(free_pages(), before);
}

/* ---- random operations against a model ---- */

#define MODEL_PAGES 96u
#define MODEL_BASE 0x30000000ull

struct model_page {
	bool mapped;
	int prot;
	uint8_t value;
};
static struct model_page model[MODEL_PAGES];

static void model_check(void)
{
	uint64_t mapped = 0;
	for (unsigned i = 0; i < MODEL_PAGES; i++) {
		const struct vma *vma = vma_at(mm, MODEL_BASE + i * PAGE_SIZE);
		assert_int_equal(vma != NULL, model[i].mapped);
		if (vma == NULL)
			continue;
		mapped++;
		assert_int_equal(vma->prot, model[i].prot);
		uint8_t byte = 0;
		int r = user_get(&byte, MODEL_BASE + i * PAGE_SIZE + 17);
		assert_int_equal(r, model[i].prot == 0 ? -EFAULT : 0);
		if (r == 0)
			assert_int_equal(byte, model[i].value);
	}
	assert_int_equal(mm->mapped_pages, mapped);
	for (unsigned i = 1; i < mm->vma_count; i++)
		assert_true(mm->vmas[i - 1]->end <= mm->vmas[i]->start);
}

static void model_remap(unsigned from, unsigned count, unsigned to)
{
	struct model_page moved[MODEL_PAGES];
	int64_t want = (int64_t)(MODEL_BASE + to * PAGE_SIZE);

	/* One mapping only: as far as vma_at() says. */
	const struct vma *vma = vma_at(mm, MODEL_BASE + from * PAGE_SIZE);
	bool valid = vma != NULL && vma->end >= MODEL_BASE + (from + count) * PAGE_SIZE;
	bool overlap = to < from + count && from < to + count;
	int64_t r = mm_remap(mm, MODEL_BASE + from * PAGE_SIZE, count * PAGE_SIZE, count * PAGE_SIZE,
			     MREMAP_MAYMOVE | MREMAP_FIXED, (uint64_t)want);
	if (!valid || overlap) {
		assert_true(r < 0);
		return;
	}
	assert_int_equal(r, want);
	memcpy(moved, &model[from], count * sizeof(moved[0]));
	memset(&model[from], 0, count * sizeof(moved[0]));
	memcpy(&model[to], moved, count * sizeof(moved[0]));
}

static void random_operations_match_the_model(void **state)
{
	static const int prots[] = {PROT_NONE, PROT_READ, RW, RW, RW, PROT_READ | PROT_EXEC};
	uint32_t random = 7;

	(void)state;
	memset(model, 0, sizeof(model));
	for (unsigned step = 0; step < 20000; step++) {
		random = random * 1664525 + 1013904223;
		unsigned operation = (random >> 28) % 8, first = (random >> 16) % MODEL_PAGES;
		unsigned count = 1 + (random >> 8) % 24;
		int prot = prots[(random >> 4) % countof(prots)];
		if (first + count > MODEL_PAGES)
			count = MODEL_PAGES - first;
		uint64_t at = MODEL_BASE + first * PAGE_SIZE;
		if (operation < 2) {
			map(at, count, prot, ANON | MAP_FIXED);
			for (unsigned i = first; i < first + count; i++)
				model[i] = (struct model_page){true, prot, 0};
		} else if (operation == 2) {
			assert_int_equal(mm_unmap(mm, at, count * PAGE_SIZE), 0);
			memset(&model[first], 0, count * sizeof(model[0]));
		} else if (operation == 3) {
			unsigned i = first;
			int r = mm_protect(mm, at, count * PAGE_SIZE, prot);
			for (; i < first + count && model[i].mapped; i++)
				model[i].prot = prot;
			assert_int_equal(r, i == first + count ? 0 : -ENOMEM);
		} else if (operation == 4) {
			bool hole = false;
			for (unsigned i = first; i < first + count; i++) {
				hole |= !model[i].mapped;
				model[i].value = 0;
			}
			assert_int_equal(mm_advise(mm, at, count * PAGE_SIZE, MADV_DONTNEED), hole ? -ENOMEM : 0);
		} else if (operation == 5) {
			model_remap(first, count, (random >> 2) % (MODEL_PAGES - count + 1));
		} else {
			for (unsigned i = first; i < first + count; i++) {
				uint8_t value = (uint8_t)(random >> (i % 20));
				bool can = model[i].mapped && (model[i].prot & PROT_WRITE) != 0;
				assert_int_equal(user_put(MODEL_BASE + i * PAGE_SIZE + 17, &value), can ? 0 : -EFAULT);
				if (can)
					model[i].value = value;
			}
		}
		if (step % 16 == 0)
			model_check();
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, finish)
	const struct CMUnitTest tests[] = {
	    TEST(pages_are_zero_and_come_back),
	    TEST(untouched_memory_stays_untouched),
	    TEST(blocks_are_aligned_and_join_again),
	    TEST(heap_objects_do_not_overlap),
	    TEST(bad_arguments_are_refused),
	    TEST(fresh_memory_is_zero_and_keeps_what_is_written),
	    TEST(sparse_use_costs_little_memory),
	    TEST(signals_tell_why),
	    TEST(unmapping_splits_and_frees),
	    TEST(fixed_mappings_replace),
	    TEST(protection_changes_and_comes_back),
	    TEST(code_changes_are_announced),
	    TEST(forgotten_memory_is_zero_again),
	    TEST(remapping_keeps_the_content),
	    TEST(the_heap_grows_and_shrinks),
	    TEST(stacks_grow_to_their_limit),
	    TEST(private_file_mappings_read_and_copy),
	    TEST(data_segments_are_read_past_the_cache),
	    TEST(a_file_may_shrink_while_its_data_is_read),
	    TEST(shared_file_mappings_reach_the_store),
	    TEST(file_rights_are_kept),
	    TEST(truncation_takes_mappings_away),
	    TEST(errors_of_files_are_bus_errors),
	    TEST(a_mapping_may_go_while_its_page_is_read),
	    TEST(shared_anonymous_memory_is_shared),
	    TEST(code_can_be_written_past_its_rights),
	    TEST(kernel_pages_are_read_only),
	    TEST(strings_end_or_fail),
	    TEST(memory_ends_with_a_kill),
	    TEST(mapped_files_give_way),
	    TEST(everything_comes_back_with_the_address_space),
	    TEST(random_operations_match_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
