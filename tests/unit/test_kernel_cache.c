/* SPDX-License-Identifier: Apache-2.0 */
/* The page cache: reads what is asked for and little more often than needed, loses nothing, and gives
 * clean pages up when memory is short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/mm/cache.h"
#include "kernel/mm/page_internal.h"
#include "tests/unit/kernel_files.h"
#include "tests/unit/kernel_host.h"

#define O_RDWR 2

static int reset(void **state)
{
	(void)state;
	host_reset(16u << 20);
	return 0;
}

static void expect_content(const uint8_t *data, uint64_t offset, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++)
		if (data[i] != host_file_byte(offset + i))
			fail_msg("byte %lu is %u", offset + i, data[i]);
}

static void reads_stop_at_the_end_of_the_file(void **state)
{
	struct host_file *file = host_file_new(10000, O_RDWR);
	static uint8_t buffer[20000];

	(void)state;
	assert_int_equal(cache_read(&file->cache, 0, (uint64_t)buffer, sizeof(buffer), false), 10000);
	expect_content(buffer, 0, 10000);
	assert_int_equal(cache_read(&file->cache, 9999, (uint64_t)buffer, 10, false), 1);
	assert_int_equal(cache_read(&file->cache, 10000, (uint64_t)buffer, 10, false), 0);
	assert_int_equal(cache_read(&file->cache, UINT64_MAX, (uint64_t)buffer, 10, false), 0);
	assert_int_equal(file->fills, 1);
	host_file_free(file);
}

static void sequential_reads_come_in_few_requests(void **state)
{
	struct host_file *file = host_file_new(1u << 20, O_RDWR);
	uint8_t buffer[4096];

	(void)state;
	for (uint64_t at = 0; at < 1u << 20; at += sizeof(buffer)) {
		assert_int_equal(cache_read(&file->cache, at, (uint64_t)buffer, sizeof(buffer), false), sizeof(buffer));
		expect_content(buffer, at, sizeof(buffer));
	}
	assert_true(file->fills <= 8);
	assert_int_equal(file->pages_filled, 256);
	host_file_free(file);
}

static void random_reads_do_not_read_ahead(void **state)
{
	struct host_file *file = host_file_new(1u << 20, O_RDWR);
	uint8_t byte;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		cache_read(&file->cache, (uint64_t)(200 - i * 7) * 4096, (uint64_t)&byte, 1, false);
	assert_int_equal(file->pages_filled, 10);
	host_file_free(file);
}

static void writes_come_back_and_reach_the_store(void **state)
{
	struct host_file *file = host_file_new(300000, O_RDWR);
	static uint8_t data[50000], back[50000];

	(void)state;
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31);
	assert_int_equal(cache_write(&file->cache, 12345, (uint64_t)data, sizeof(data), false), sizeof(data));
	assert_int_equal(cache_read(&file->cache, 12345, (uint64_t)back, sizeof(back), false), sizeof(back));
	assert_memory_equal(data, back, sizeof(data));
	assert_int_equal(file->pages_written, 0);
	assert_int_equal(cache_write_back(&file->cache), 0);
	assert_memory_equal(file->content + 12345, data, sizeof(data));
	for (uint64_t i = 0; i < 12345; i++)
		assert_int_equal(file->content[i], host_file_byte(i));
	assert_true(file->writes <= 2);
	assert_false(cache_is_dirty(&file->cache, 4));
	host_file_free(file);
}

static void failed_write_back_keeps_pages_dirty(void **state)
{
	struct host_file *file = host_file_new(8192, O_RDWR);

	(void)state;
	assert_int_equal(cache_write(&file->cache, 0, (uint64_t) "hello", 5, false), 5);
	file->error = -EIO;
	assert_int_equal(cache_write_back(&file->cache), -EIO);
	assert_true(cache_is_dirty(&file->cache, 0));
	file->error = 0;
	assert_int_equal(cache_write_back(&file->cache), 0);
	assert_memory_equal(file->content, "hello", 5);
	host_file_free(file);
}

static void writing_beyond_the_end_extends_with_zeros(void **state)
{
	struct host_file *file = host_file_new(10, O_RDWR);
	uint8_t back[9000];

	(void)state;
	assert_int_equal(cache_write(&file->cache, 8995, (uint64_t) "12345", 5, false), 5);
	assert_int_equal(file->cache.size, 9000);
	assert_int_equal(cache_read(&file->cache, 0, (uint64_t)back, sizeof(back), false), 9000);
	expect_content(back, 0, 10);
	for (unsigned i = 10; i < 8995; i++)
		assert_int_equal(back[i], 0);
	assert_memory_equal(back + 8995, "12345", 5);
	host_file_free(file);
}

static void truncation_zeroes_the_tail(void **state)
{
	struct host_file *file = host_file_new(20000, O_RDWR);
	uint8_t back[20000];

	(void)state;
	cache_read(&file->cache, 0, (uint64_t)back, sizeof(back), false);
	cache_truncate(&file->cache, 5000);
	assert_int_equal(file->cache.pages, 2);
	file->room = 5000; /* the store was truncated as well */
	cache_truncate(&file->cache, 20000);
	assert_int_equal(cache_read(&file->cache, 0, (uint64_t)back, sizeof(back), false), 20000);
	expect_content(back, 0, 5000);
	for (unsigned i = 5000; i < 20000; i++)
		assert_int_equal(back[i], 0);
	host_file_free(file);
}

static void truncate_now(struct host_file *file)
{
	file->during_fill = NULL;
	cache_truncate(&file->cache, 0);
	cache_truncate(&file->cache, 4096);
	memset(file->content, 'n', file->room);
}

static void a_truncation_during_a_read_wins(void **state)
{
	struct host_file *file = host_file_new(4096, O_RDWR);
	uint8_t byte;

	(void)state;
	file->during_fill = truncate_now;
	assert_int_equal(cache_read(&file->cache, 0, (uint64_t)&byte, 1, false), 1);
	assert_int_equal(byte, 'n');
	assert_int_equal(file->fills, 2);
	host_file_free(file);
}

static void write_now(struct host_file *file)
{
	file->during_fill = NULL;
	assert_int_equal(cache_write(&file->cache, 4096, (uint64_t) "fresh", 5, false), 5);
}

static void a_write_during_a_read_wins(void **state)
{
	struct host_file *file = host_file_new(65536, O_RDWR);
	uint8_t back[5];

	(void)state;
	file->during_fill = write_now;
	assert_int_equal(cache_read(&file->cache, 0, (uint64_t)back, 5, false), 5);
	expect_content(back, 0, 5);
	assert_int_equal(cache_read(&file->cache, 4096, (uint64_t)back, 5, false), 5);
	assert_memory_equal(back, "fresh", 5);
	host_file_free(file);
}

static void errors_of_the_store_are_passed_on(void **state)
{
	struct host_file *file = host_file_new(65536, O_RDWR);
	struct page_statistics before, after;
	uint8_t byte;

	(void)state;
	page_statistics(&before);
	file->error = -EIO;
	assert_int_equal(cache_read(&file->cache, 0, (uint64_t)&byte, 1, false), -EIO);
	page_statistics(&after);
	assert_int_equal(after.free, before.free);
	host_file_free(file);
}

static void sparse_indices_work(void **state)
{
	struct cache cache;
	static const uint64_t at[] = {0, 63, 64, 4095, 4096, 1u << 20, 1ull << 36, (1ull << 51) - 1};

	(void)state;
	cache_init(&cache, NULL, NULL);
	cache.size = INT64_MAX;
	for (unsigned i = 0; i < countof(at); i++) {
		struct page *page;
		assert_int_equal(cache_get(&cache, at[i], 0, &page), 0);
		memset(page_address(page), (int)i + 1, 16);
		page_put(page);
	}
	uint64_t index = 0;
	for (unsigned i = 0; i < countof(at); i++) {
		index = cache_next(&cache, index);
		assert_int_equal(index, at[i]);
		struct page *page = cache_peek(&cache, index++);
		assert_non_null(page);
		assert_int_equal(*(uint8_t *)page_address(page), i + 1);
		page_put(page);
	}
	assert_true(cache_next(&cache, index) == UINT64_MAX);
	cache_truncate(&cache, 4095ull << 12);
	assert_int_equal(cache.pages, 3);
	cache_fini(&cache);
}

static void all_memory_comes_back(void **state)
{
	struct page_statistics before, after;
	struct host_file *warm = host_file_new(1u << 20, O_RDWR);
	static uint8_t buffer[1u << 20];

	(void)state;
	cache_read(&warm->cache, 0, (uint64_t)buffer, sizeof(buffer), false);
	page_statistics(&before);
	for (unsigned round = 0; round < 10; round++) {
		struct host_file *file = host_file_new(1u << 20, O_RDWR);
		cache_read(&file->cache, 0, (uint64_t)buffer, sizeof(buffer), false);
		cache_write(&file->cache, 1u << 20, (uint64_t)buffer, 100000, false);
		host_file_free(file);
	}
	page_statistics(&after);
	assert_true(after.free + 4 >= before.free); /* a slab may stay */
	host_file_free(warm);
}

static void clean_pages_go_when_memory_is_short(void **state)
{
	struct host_file *file = host_file_new(32u << 20, O_RDWR);
	static uint8_t buffer[65536];

	(void)state;
	assert_int_equal(cache_write(&file->cache, 0, (uint64_t) "dirty", 5, false), 5);
	for (uint64_t at = 0; at < 32u << 20; at += sizeof(buffer)) {
		assert_int_equal(cache_read(&file->cache, at, (uint64_t)buffer, sizeof(buffer), false), sizeof(buffer));
		if (at > 0)
			expect_content(buffer, at, sizeof(buffer));
	}
	assert_true(cache_is_dirty(&file->cache, 0));
	assert_true(file->cache.pages < 16u << 8);
	/* And everything can be had for other uses. */
	unsigned pages = 0;
	while (page_alloc_program(true) != NULL)
		pages++;
	assert_true(pages > 3000);
	assert_true(file->cache.pages <= 80);
	host_file_free(file);
}

static void memory_files_are_never_given_up(void **state)
{
	struct cache cache;
	uint64_t written = 0;
	static uint8_t page[4096];

	(void)state;
	cache_init(&cache, NULL, NULL);
	int64_t r;
	while ((r = cache_write(&cache, written, (uint64_t)page, sizeof(page), false)) == sizeof(page))
		written += sizeof(page);
	assert_int_equal(r, -ENOMEM);
	assert_true(written > 12u << 20);
	assert_int_equal(cache.pages, written / 4096);
	cache_fini(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(reads_stop_at_the_end_of_the_file, reset),
	    cmocka_unit_test_setup(sequential_reads_come_in_few_requests, reset),
	    cmocka_unit_test_setup(random_reads_do_not_read_ahead, reset),
	    cmocka_unit_test_setup(writes_come_back_and_reach_the_store, reset),
	    cmocka_unit_test_setup(failed_write_back_keeps_pages_dirty, reset),
	    cmocka_unit_test_setup(writing_beyond_the_end_extends_with_zeros, reset),
	    cmocka_unit_test_setup(truncation_zeroes_the_tail, reset),
	    cmocka_unit_test_setup(a_truncation_during_a_read_wins, reset),
	    cmocka_unit_test_setup(a_write_during_a_read_wins, reset),
	    cmocka_unit_test_setup(errors_of_the_store_are_passed_on, reset),
	    cmocka_unit_test_setup(sparse_indices_work, reset),
	    cmocka_unit_test_setup(all_memory_comes_back, reset),
	    cmocka_unit_test_setup(clean_pages_go_when_memory_is_short, reset),
	    cmocka_unit_test_setup(memory_files_are_never_given_up, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
