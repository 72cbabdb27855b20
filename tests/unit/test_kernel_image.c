/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of the image in caches and mappings: in place while they are only read, replaced as soon as somebody writes,
 * and never before they were verified. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <asm/siginfo.h>
#include <asm/signal.h>

#include "kernel/mm/vma.h"
#include "tests/unit/kernel_host.h"

#define O_RDWR 2
#define RW (PROT_READ | PROT_WRITE)
#define READ 0u
#define WRITE 2u
#define IMAGE_PAGES 64u
#define FILE_AT 20u                       /* pages 0 to 7 of the file lie here in the image */
#define SECOND_AT 40u                     /* pages 9 to 15; page 8 is a hole */
#define FILE_BYTES (16 * PAGE_SIZE + 100) /* the end lies nowhere in whole pages */

static struct mm *mm;
static uint64_t bad_block;
static struct {
	struct file file;
	struct cache cache;
	uint64_t lower_bytes;
	unsigned fills;
} f;

static uint8_t *image_at(uint64_t page) { return nucleo_host_image + page * PAGE_SIZE; }

/* What the file holds from the beginning. */
static uint8_t original(uint64_t offset)
{
	uint64_t page = offset >> PAGE_SHIFT;
	if (offset >= FILE_BYTES || page == 8)
		return 0;
	if (page >= 16)
		return (uint8_t)(offset * 5);
	return image_at(page < 8 ? FILE_AT + page : SECOND_AT + page - 9)[offset & (PAGE_SIZE - 1)];
}

static int fill(struct cache *cache, uint64_t index, struct page **pages, unsigned count)
{
	(void)cache;
	f.fills++;
	for (uint64_t i = 0; i < count * PAGE_SIZE; i++)
		if ((index << PAGE_SHIFT) + i < f.lower_bytes)
			((uint8_t *)page_address(pages[i >> PAGE_SHIFT]))[i & (PAGE_SIZE - 1)] =
			    original((index << PAGE_SHIFT) + i);
	return 0;
}

static int locate(struct cache *cache, uint64_t index, struct cache_extent *extent)
{
	uint64_t whole = f.lower_bytes >> PAGE_SHIFT;
	(void)cache;
	*extent = index < 8 ? (struct cache_extent){0, 8, FILE_AT * PAGE_SIZE}
			    : (struct cache_extent){9, 7, SECOND_AT * PAGE_SIZE};
	extent->pages = whole > extent->index ? min_u64(extent->pages, whole - extent->index) : 0;
	if (index - extent->index >= extent->pages)
		extent->pages = 0;
	return 0;
}

static const struct cache_ops cache_ops = {.fill = fill, .locate = locate};

static int file_mmap(struct file *file, struct cache **cache, uint64_t offset, uint64_t bytes, int prot, int flags)
{
	(void)file, (void)offset, (void)bytes, (void)prot, (void)flags;
	*cache = &f.cache;
	return 0;
}

static const struct file_ops file_ops = {.mmap = file_mmap};

struct file *file_get(struct file *file)
{
	file->references++;
	return file;
}
void file_put(struct file *file) { file->references--; }
void inode_get_stat(struct inode *inode, struct statx *stat) { (void)inode, (void)stat; }
struct cache *inode_cache(struct inode *inode) { return (struct cache *)inode; }
void patch_mm_free(struct mm *of) { (void)of; }
void patch_code_changed(struct mm *of, uint64_t va, uint64_t bytes) { (void)of, (void)va, (void)bytes; }

static uint64_t verify(uint64_t block, unsigned count)
{
	assert_true(count <= 64 && block + count <= IMAGE_PAGES);
	return bad_block - block < count ? ~(1ull << (bad_block - block)) : UINT64_MAX;
}

static int reset(void **state)
{
	(void)state;
	host_reset(32u << 20);
	if (nucleo_host_image == NULL) {
		nucleo_host_image = aligned_alloc(PAGE_SIZE, IMAGE_PAGES * PAGE_SIZE);
		for (uint64_t i = 0; i < IMAGE_PAGES * PAGE_SIZE; i++)
			nucleo_host_image[i] = (uint8_t)(i * 13 + (i >> 12) * 7 + 1);
		/* Whoever writes there, dies. */
		assert_int_equal(mprotect(nucleo_host_image, IMAGE_PAGES * PAGE_SIZE, PROT_READ), 0);
	}
	boot_info->image_bytes = IMAGE_PAGES * PAGE_SIZE;
	bad_block = UINT64_MAX;
	host_verify_image = verify;
	memset(&f, 0, sizeof(f));
	f.file = (struct file){.references = 1, .flags = O_RDWR, .ops = &file_ops};
	cache_init(&f.cache, &cache_ops, &f);
	f.cache.size = f.lower_bytes = FILE_BYTES;
	assert_int_equal(mm_new(&mm), 0);
	host_process.mm = mm;
	return 0;
}

static int finish(void **state)
{
	(void)state;
	mm_put(mm);
	host_process.mm = NULL;
	cache_fini(&f.cache);
	assert_int_equal(f.file.references, 1);
	boot_info->image_bytes = 0;
	return 0;
}

static uint64_t map(uint64_t pages, int prot, int flags)
{
	uint64_t at = 0;
	assert_int_equal(mm_map(mm, &at, pages * PAGE_SIZE, prot, flags, &f.file, 0), 0);
	return at;
}

static int fault(uint64_t va, uint32_t error)
{
	int code;
	return mm_fault(mm, va, error, &code);
}

static const uint8_t *mapped(uint64_t va)
{
	uint64_t pte = pt_get(mm, va);
	assert_int_not_equal(pte, 0);
	return page_address(pte_page(pte));
}

static bool in_place(uint64_t va, uint64_t image_page) { return mapped(va) == image_at(image_page); }

static uint64_t free_pages(void)
{
	struct page_statistics s;
	page_statistics(&s);
	return s.free;
}

static void expect_original(uint64_t at, uint64_t pages)
{
	for (uint64_t i = 0; i < pages * PAGE_SIZE; i += 509) {
		if (pt_get(mm, at + i) == 0)
			assert_int_equal(fault(at + i, READ), 0);
		assert_int_equal(mapped(at + i)[i & (PAGE_SIZE - 1)], original(i));
	}
}

/* ---- in place ---- */

static void what_is_read_costs_no_memory(void **state)
{
	uint64_t at = map(17, PROT_READ, MAP_PRIVATE), before;

	(void)state;
	assert_int_equal(fault(at + 16 * PAGE_SIZE, READ), 0); /* the table, and the page with the end */
	before = free_pages();
	for (uint64_t i = 0; i < 16; i++)
		if (i != 8)
			assert_int_equal(fault(at + i * PAGE_SIZE, READ), 0);
	assert_int_equal(free_pages(), before);
	for (uint64_t i = 0; i < 8; i++)
		assert_true(in_place(at + i * PAGE_SIZE, FILE_AT + i));
	for (uint64_t i = 9; i < 16; i++)
		assert_true(in_place(at + i * PAGE_SIZE, SECOND_AT + i - 9));
	expect_original(at, 17);
	assert_int_equal(mm_unmap(mm, at, 17 * PAGE_SIZE), 0);
	assert_int_equal(f.cache.pages, 2); /* the hole and the end */
}

static void one_request_verifies_what_lies_around(void **state)
{
	uint64_t at = map(16, PROT_READ, MAP_SHARED);

	(void)state;
	assert_int_equal(fault(at + 3 * PAGE_SIZE, READ), 0);
	assert_int_equal(host_counts.verifies, 1);
	assert_int_equal(host_counts.verify_ahead, 0); /* there is no more in one piece */
	for (uint64_t i = 0; i < 8; i++)
		assert_true(in_place(at + i * PAGE_SIZE, FILE_AT + i));
	assert_int_equal(mm_unmap(mm, at, 16 * PAGE_SIZE), 0);
	at = map(8, PROT_READ, MAP_SHARED);
	expect_original(at, 8);
	assert_int_equal(host_counts.verifies, 1); /* each block once */
}

static void reading_needs_no_pages(void **state)
{
	static uint8_t buffer[FILE_BYTES + 100];
	uint64_t before = free_pages();

	(void)state;
	assert_int_equal(cache_read(&f.cache, 0, (uint64_t)buffer, 8 * PAGE_SIZE, false), 8 * PAGE_SIZE);
	assert_int_equal(f.cache.pages, 0);
	assert_int_equal(free_pages(), before);
	assert_int_equal(cache_read(&f.cache, 5, (uint64_t)buffer, sizeof(buffer), false), FILE_BYTES - 5);
	for (uint64_t i = 0; i < FILE_BYTES - 5; i++)
		assert_int_equal(buffer[i], original(i + 5));
	assert_int_equal(f.cache.pages, 2);
	assert_int_equal(f.fills, 2);
}

static void short_memory_leaves_them_mapped(void **state)
{
	uint64_t at = map(8, PROT_READ, MAP_PRIVATE);

	(void)state;
	assert_int_equal(fault(at, READ), 0);
	assert_int_equal(cache_reclaim_mapped(1000), 0);
	assert_true(in_place(at, FILE_AT));
}

/* ---- written to ---- */

static void a_private_write_copies(void **state)
{
	uint64_t at = map(8, PROT_READ, MAP_PRIVATE);

	(void)state;
	assert_int_equal(fault(at + PAGE_SIZE, READ), 0);
	assert_int_equal(mm_protect(mm, at, 8 * PAGE_SIZE, RW), 0);
	assert_int_equal(pt_get(mm, at + PAGE_SIZE) & PTE_WRITE, 0);
	assert_int_equal(fault(at + PAGE_SIZE, WRITE), 0);
	assert_false(in_place(at + PAGE_SIZE, FILE_AT + 1));
	assert_int_not_equal(pt_get(mm, at + PAGE_SIZE) & PTE_WRITE, 0);
	expect_original(at, 8);
	assert_true(in_place(at + 2 * PAGE_SIZE, FILE_AT + 2));
	assert_int_equal(f.cache.pages, 0);
}

static void a_data_segment_is_copied_at_once(void **state)
{
	uint64_t at = map(8, RW, MAP_PRIVATE);

	(void)state;
	assert_int_equal(fault(at, WRITE), 0);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_not_equal(pt_get(mm, at + i * PAGE_SIZE) & PTE_WRITE, 0);
	expect_original(at, 8);
	assert_int_equal(f.cache.pages, 0);
}

static void a_shared_write_shows_in_all_mappings(void **state)
{
	uint64_t a = map(8, PROT_READ, MAP_SHARED), b = map(8, RW, MAP_SHARED), c = map(8, PROT_READ, MAP_PRIVATE);

	(void)state;
	assert_int_equal(fault(a, READ) | fault(b, READ) | fault(c, READ), 0);
	assert_int_equal(pt_get(mm, b) & PTE_WRITE, 0);
	assert_int_equal(fault(b, WRITE), 0);
	assert_int_not_equal(pt_get(mm, b) & PTE_WRITE, 0);
	assert_true(cache_is_dirty(&f.cache, 0));
	((uint8_t *)(uintptr_t)mapped(b))[7] = 77;
	assert_int_equal(pt_get(mm, a) | pt_get(mm, c), 0);
	assert_int_equal(fault(a, READ) | fault(c, READ), 0);
	assert_ptr_equal(mapped(a), mapped(b));
	assert_ptr_equal(mapped(c), mapped(b));
	assert_true(in_place(a + PAGE_SIZE, FILE_AT + 1));
	assert_int_equal(cache_reclaim_mapped(1000), 0); /* it is all there is of it */
	assert_int_equal(mapped(b)[7], 77);
}

static void write_replaces_whole_pages_and_parts(void **state)
{
	static uint8_t data[2 * PAGE_SIZE];
	uint64_t at = map(16, PROT_READ, MAP_SHARED);

	(void)state;
	memset(data, 0x5a, sizeof(data));
	expect_original(at, 16);
	assert_int_equal(cache_write(&f.cache, PAGE_SIZE + 10, (uint64_t)data, 20, false), 20);
	assert_int_equal(cache_write(&f.cache, 3 * PAGE_SIZE, (uint64_t)data, PAGE_SIZE, false), PAGE_SIZE);
	assert_int_equal(pt_get(mm, at + PAGE_SIZE) | pt_get(mm, at + 3 * PAGE_SIZE), 0);
	assert_int_equal(fault(at + PAGE_SIZE, READ) | fault(at + 3 * PAGE_SIZE, READ), 0);
	for (uint64_t i = 0; i < PAGE_SIZE; i++) {
		assert_int_equal(mapped(at + PAGE_SIZE)[i], i >= 10 && i < 30 ? 0x5a : original(PAGE_SIZE + i));
		assert_int_equal(mapped(at + 3 * PAGE_SIZE)[i], 0x5a);
	}
	assert_true(in_place(at, FILE_AT) && in_place(at + 2 * PAGE_SIZE, FILE_AT + 2));
}

static void code_is_patched_in_a_copy(void **state)
{
	uint64_t at = map(8, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	void *address;

	(void)state;
	assert_int_equal(user_code_page(at + 100, &address), 0);
	memset(address, 0x90, PAGE_SIZE);
	assert_ptr_equal(mapped(at), address);
	assert_true(in_place(at + PAGE_SIZE, FILE_AT + 1));
}

/* ---- cut off ---- */

static void what_is_cut_off_does_not_come_back(void **state)
{
	uint64_t at = map(16, PROT_READ, MAP_SHARED);

	(void)state;
	expect_original(at, 16);
	f.lower_bytes = 3 * PAGE_SIZE + 5;
	cache_truncate(&f.cache, 3 * PAGE_SIZE + 5);
	for (uint64_t i = 3; i < 16; i++)
		assert_int_equal(pt_get(mm, at + i * PAGE_SIZE), 0);
	assert_true(in_place(at + 2 * PAGE_SIZE, FILE_AT + 2));
	assert_int_equal(fault(at + 4 * PAGE_SIZE, READ), SIGBUS);
	cache_truncate(&f.cache, 8 * PAGE_SIZE);
	for (uint64_t i = 3; i < 8; i++) {
		assert_int_equal(fault(at + i * PAGE_SIZE, READ), 0);
		for (uint64_t k = 0; k < PAGE_SIZE; k++)
			assert_int_equal(mapped(at + i * PAGE_SIZE)[k],
					 i == 3 && k < 5 ? original(3 * PAGE_SIZE + k) : 0);
	}
}

static void a_private_copy_survives_the_cut(void **state)
{
	uint64_t at = map(8, PROT_READ, MAP_PRIVATE);

	(void)state;
	assert_int_equal(fault(at, READ), 0);
	assert_int_equal(mm_protect(mm, at, 8 * PAGE_SIZE, RW), 0);
	assert_int_equal(fault(at + 3 * PAGE_SIZE, WRITE), 0);
	f.lower_bytes = 3 * PAGE_SIZE + 5;
	cache_truncate(&f.cache, f.lower_bytes);
	assert_int_equal(mapped(at + 3 * PAGE_SIZE)[100], original(3 * PAGE_SIZE + 100));
}

/* ---- damaged ---- */

static void a_damaged_block_is_never_seen(void **state)
{
	static uint8_t buffer[8 * PAGE_SIZE];
	uint64_t at = map(16, PROT_READ | PROT_EXEC, MAP_PRIVATE), code;
	uint8_t byte = 1;
	void *address;

	(void)state;
	bad_block = FILE_AT + 4;
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(fault(at + i * PAGE_SIZE, READ), i == 4 ? SIGBUS : 0);
	assert_int_equal(pt_get(mm, at + 4 * PAGE_SIZE), 0);
	assert_int_equal(fault(at + 4 * PAGE_SIZE, 16), SIGBUS);
	assert_int_equal(user_code_page(at + 4 * PAGE_SIZE, &address), -EFAULT);
	assert_int_equal(cache_read(&f.cache, 0, (uint64_t)buffer, sizeof(buffer), false), 4 * PAGE_SIZE);
	assert_int_equal(cache_read(&f.cache, 4 * PAGE_SIZE, (uint64_t)buffer, 1, false), -EIO);
	/* Not even half of it: but it can be replaced. */
	assert_int_equal(cache_write(&f.cache, 4 * PAGE_SIZE + 1, (uint64_t)&byte, 1, false), -EIO);
	assert_int_equal(cache_write(&f.cache, 4 * PAGE_SIZE, (uint64_t)buffer, PAGE_SIZE, false), PAGE_SIZE);
	assert_int_equal(cache_read(&f.cache, 4 * PAGE_SIZE, (uint64_t)buffer, 1, false), 1);
	code = map(8, RW, MAP_PRIVATE);
	assert_int_equal(fault(code, WRITE), 0);
}

static void copies_are_verified(void **state)
{
	struct page *pages[8];

	(void)state;
	for (unsigned i = 0; i < countof(pages); i++)
		pages[i] = page_alloc();
	bad_block = 35;
	assert_int_equal(image_copy(20 * PAGE_SIZE, pages, 8), 0);
	assert_int_equal(host_counts.copies, 1);
	for (unsigned i = 0; i < countof(pages); i++)
		assert_memory_equal(page_address(pages[i]), image_at(20 + i), PAGE_SIZE);
	assert_true(image_is_verified(image_page(27 * PAGE_SIZE)));
	assert_int_equal(image_copy(30 * PAGE_SIZE, pages, 8), -EIO);
	assert_int_equal(image_copy((IMAGE_PAGES - 7) * PAGE_SIZE, pages, 8), -EIO);
	assert_int_equal(image_copy(IMAGE_PAGES * PAGE_SIZE, pages, 1), -EIO);
	assert_int_equal(image_copy(UINT64_MAX & PAGE_MASK, pages, 1), -EIO);
	assert_int_equal(host_counts.copies, 2);
	for (unsigned i = 0; i < countof(pages); i++)
		page_put(pages[i]);
}

static void nothing_beyond_the_image_is_verified(void **state)
{
	uint64_t bytes = IMAGE_PAGES * PAGE_SIZE;

	(void)state;
	assert_int_equal(image_verify(bytes, 1, bytes, bytes + 1, bytes + 9), -EIO);
	assert_int_equal(image_verify(bytes - 1, 2, bytes - 1, bytes + 1, 0), -EIO);
	assert_int_equal(image_verify(1, UINT64_MAX, 0, UINT64_MAX, UINT64_MAX), -EIO);
	assert_int_equal(host_counts.verifies, 0);
	assert_int_equal(image_verify(bytes - 1, 1, 0, bytes, UINT64_MAX), 0);
	assert_int_equal(image_verify(bytes, 0, 0, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_is_read_costs_no_memory, reset, finish),
	    cmocka_unit_test_setup_teardown(one_request_verifies_what_lies_around, reset, finish),
	    cmocka_unit_test_setup_teardown(reading_needs_no_pages, reset, finish),
	    cmocka_unit_test_setup_teardown(short_memory_leaves_them_mapped, reset, finish),
	    cmocka_unit_test_setup_teardown(a_private_write_copies, reset, finish),
	    cmocka_unit_test_setup_teardown(a_data_segment_is_copied_at_once, reset, finish),
	    cmocka_unit_test_setup_teardown(a_shared_write_shows_in_all_mappings, reset, finish),
	    cmocka_unit_test_setup_teardown(write_replaces_whole_pages_and_parts, reset, finish),
	    cmocka_unit_test_setup_teardown(code_is_patched_in_a_copy, reset, finish),
	    cmocka_unit_test_setup_teardown(what_is_cut_off_does_not_come_back, reset, finish),
	    cmocka_unit_test_setup_teardown(a_private_copy_survives_the_cut, reset, finish),
	    cmocka_unit_test_setup_teardown(a_damaged_block_is_never_seen, reset, finish),
	    cmocka_unit_test_setup_teardown(copies_are_verified, reset, finish),
	    cmocka_unit_test_setup_teardown(nothing_beyond_the_image_is_verified, reset, finish),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
