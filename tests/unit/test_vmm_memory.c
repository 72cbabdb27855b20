/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: allocation from the low end, hints and releases with whatever numbers a guest gives, seals;
 * and the guest's clocks, which never go back. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "vmm/arch/x86_64/regs.h"
#include "vmm/clock.h"
#include "vmm/memory.h"

#define RAM (16ull << 20)

static struct memory memory;

static int setup(void **state)
{
	(void)state;
	struct err err;
	return memory_init(&memory, RAM, &err);
}

static int teardown(void **state)
{
	(void)state;
	memory_fini(&memory);
	return 0;
}

static void allocation_is_aligned_and_ends(void **state)
{
	(void)state;
	uint64_t first = memory_take(&memory, 100, 16), second = memory_take(&memory, 4096, 4096);
	assert_true(first >= HUGE_PAGE_BYTES && first % 16 == 0);
	assert_true(second >= first + 100 && second % 4096 == 0);
	assert_int_equal(memory_take(&memory, UINT64_MAX, 1), 0);
	assert_int_equal(memory_take(&memory, RAM, 1), 0);
	assert_int_not_equal(memory_take(&memory, RAM - second - 4096, 1), 0);
	assert_int_equal(memory_take(&memory, 1, 1), 0);
	for (unsigned i = 1; i < HUGE_PAGE_BYTES / PAGE_BYTES; i++)
		assert_int_equal(memory_take_table(&memory), i * PAGE_BYTES);
	assert_int_equal(memory_take_table(&memory), 0);
}

static void size_is_sealed(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(memory.ram_fd, RAM * 2), -1);
	assert_int_equal(ftruncate(memory.ram_fd, 0), -1);
	assert_int_equal(fcntl(memory.ram_fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
			 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_int_equal((uintptr_t)memory.ram % HUGE_PAGE_BYTES, 0);
}

static void released_pages_read_as_zero(void **state)
{
	(void)state;
	memset(memory.ram + 0x10000, 1, 0x4000);
	assert_int_equal(memory_release(&memory, 0x10001, 0x3000), 0); /* only whole pages inside */
	assert_int_equal(memory.ram[0x10fff], 1);
	assert_int_equal(memory.ram[0x11000], 0);
	assert_int_equal(memory.ram[0x12fff], 0);
	assert_int_equal(memory.ram[0x13000], 1);
	uint64_t before = memory_resident(&memory);
	assert_int_equal(memory_release(&memory, 0, RAM), 0);
	assert_true(memory_resident(&memory) < before);
	assert_int_equal(memory.ram[0x13000], 0);
}

static void wild_ranges_do_no_harm(void **state)
{
	(void)state;
	static const uint64_t numbers[] = {
	    0, 1, 4095, 4096, RAM - 1, RAM, RAM + 1, RAM - 4096, UINT64_MAX, UINT64_MAX - 4095, 1ull << 63};
	for (unsigned i = 0; i < countof(numbers); i++)
		for (unsigned j = 0; j < countof(numbers); j++) {
			memory_populate(&memory, numbers[i], numbers[j]);
			memory_release(&memory, numbers[i], numbers[j]);
		}
	assert_int_equal(memory_release(&memory, RAM, 4096), -EINVAL);
	assert_int_equal(memory_release(&memory, UINT64_MAX - 4095, 8192), -EINVAL);
	assert_int_equal(memory_release(&memory, 4096, 4095), -EINVAL);
}

static void populated_memory_is_present(void **state)
{
	(void)state;
	memory_populate(&memory, 4096, 8192);
	assert_int_equal(memory_resident(&memory), 8192);
	memory_populate(&memory, HUGE_PAGE_BYTES, 2 * HUGE_PAGE_BYTES);
	assert_int_equal(memory_resident(&memory), 8192 + 2 * HUGE_PAGE_BYTES);
}

/* ---- clocks ------------------------------------------------------------------------------------------- */

#define KHZ 2000000ull

/* CLOCK_MONOTONIC as the guest computes it. */
static uint64_t guest_ns(const struct lampo_boot_info *boot, uint64_t tsc)
{
	return boot->monotonic_ns + (uint64_t)((unsigned __int128)(tsc - boot->tsc_base) * 1000000 / boot->tsc_khz);
}

static void monotonic_never_goes_back(void **state)
{
	(void)state;
	/* A frequency that is far off, both ways: the guest's clock runs ahead, or falls behind. */
	static const uint64_t frequencies[] = {100000, 100000000};
	for (unsigned i = 0; i < countof(frequencies); i++) {
		struct lampo_boot_info boot = {0};
		struct guest_clock clock;
		assert_int_equal(clock_start(&clock, &boot, frequencies[i]), 0);
		uint64_t last = 0;
		for (unsigned j = 0; j < 5; j++) {
			if (frequencies[i] > 10000000)
				clock.tsc_base -= 2 * frequencies[i] * 1000; /* two seconds later */
			else
				usleep(20000);
			uint64_t tsc = regs_tsc(), before = guest_ns(&boot, tsc);
			clock_follow(&clock);
			assert_true(boot.clock_seq % 2 == 0);
			uint64_t after = guest_ns(&boot, regs_tsc());
			assert_true(after >= before || frequencies[i] > 10000000);
			assert_true(after >= last);
			last = after;
		}
	}
	struct guest_clock clock;
	struct lampo_boot_info boot;
	assert_int_equal(clock_start(&clock, &boot, 0), -ENOTSUP);
}

static void deadlines_are_bounded(void **state)
{
	(void)state;
	struct lampo_boot_info boot = {0};
	struct guest_clock clock;
	assert_int_equal(clock_start(&clock, &boot, KHZ), 0);
	static const uint64_t deadlines[] = {0, 1, 1ull << 40, 1ull << 63, UINT64_MAX - 1};
	for (unsigned i = 0; i < countof(deadlines); i++) {
		struct timespec at = clock_host_time(&clock, deadlines[i]);
		assert_true(at.tv_sec >= 0 && at.tv_nsec >= 0 && at.tv_nsec < 1000000000);
		assert_true((uint64_t)at.tv_sec + 1 >= clock_now_ns() / 1000000000 - 1);
	}
	/* Stamps of the guest: its own, or nonsense. */
	uint64_t now = clock_now_ns(), stamp = clock_tsc_to_host_ns(&clock, regs_tsc());
	assert_true(stamp + 1000000000 > now && stamp <= clock_now_ns());
	assert_int_equal(clock_tsc_to_host_ns(&clock, 0), 0);
	assert_int_equal(clock_tsc_to_host_ns(&clock, UINT64_MAX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(allocation_is_aligned_and_ends, setup, teardown),
	    cmocka_unit_test_setup_teardown(size_is_sealed, setup, teardown),
	    cmocka_unit_test_setup_teardown(released_pages_read_as_zero, setup, teardown),
	    cmocka_unit_test_setup_teardown(wild_ranges_do_no_harm, setup, teardown),
	    cmocka_unit_test_setup_teardown(populated_memory_is_present, setup, teardown),
	    cmocka_unit_test(monotonic_never_goes_back),
	    cmocka_unit_test(deadlines_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
