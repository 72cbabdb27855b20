/* SPDX-License-Identifier: Apache-2.0 */
/* Measures the first touch of pages: present on the host or not, by one or after a hint. Nanoseconds per page. */
#include "tests/guest/kernels/kernel.h"

static uint64_t touch_apart(struct lampo_boot_info *boot, uint64_t gpa, unsigned pages, unsigned step)
{
	uint64_t start = tsc();
	for (unsigned i = 0; i < pages; i++)
		*(volatile uint64_t *)direct(gpa + i * step * 4096ull) = i;
	return (tsc() - start) * 1000000 / boot->tsc_khz / pages;
}

static uint64_t touch(struct lampo_boot_info *boot, uint64_t gpa, unsigned pages)
{
	return touch_apart(boot, gpa, pages, 1);
}

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu)
{
	(void)cpu;
	uint64_t present_pages = (boot->populated_gpa - boot->free_gpa) / 4096;
	uint64_t far = (boot->populated_gpa + (4 << 20)) & ~((2ull << 20) - 1);
	number_write(boot, "pages present at start", present_pages);
	uint64_t start = tsc();
	doorbell(LAMPO_PORT_YIELD, 0);
	number_write(boot, "doorbell, ns", (tsc() - start) * 1000000 / boot->tsc_khz);
	start = tsc();
	for (int i = 0; i < 100; i++)
		doorbell(0x800, 0);
	number_write(boot, "doorbell of no use, ns", (tsc() - start) * 10000 / boot->tsc_khz);
	number_write(boot, "touch of present page, ns", touch(boot, boot->free_gpa + 4096, 128));
	number_write(boot, "touch of absent page, ns", touch(boot, far, 128));
	cpu_head()->mailbox[0] = far + (2 << 20);
	cpu_head()->mailbox[1] = 128 * 4096;
	start = tsc();
	doorbell(LAMPO_PORT_POPULATE, 0);
	number_write(boot, "hint for 128 pages, ns per page", (tsc() - start) * 1000000 / boot->tsc_khz / 128);
	number_write(boot, "touch after the hint, ns", touch(boot, far + (2 << 20), 128));
	number_write(boot, "touch of every 8th absent page, ns", touch_apart(boot, far + (4 << 20), 60, 8));
	number_write(boot, "touch of every 8th present page, ns",
		     touch_apart(boot, boot->free_gpa + 129 * 4096, 15, 8));
	uint64_t slowest = 0;
	for (unsigned i = 0; i < 64; i++) {
		uint64_t ns = touch(boot, far + (8 << 20) + i * 4096ull, 1);
		slowest = ns > slowest ? ns : slowest;
		if (i < 20)
			number_write(boot, "absent page, ns", ns);
	}
	number_write(boot, "slowest", slowest);
	doorbell(LAMPO_PORT_EXIT, 0);
}
