/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/kernel_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/doorbell.h"
#include "kernel/mm/page.h"

uint8_t *nucleo_host_ram;
uint8_t *nucleo_host_image;
static struct lampo_boot_info info;
struct lampo_boot_info *boot_info = &info;
struct process host_process;
struct thread host_thread;
struct host_counts host_counts;
void (*host_on_panic)(const char *text);
static uint64_t random_state;

void host_reset(uint64_t bytes)
{
	if (nucleo_host_ram == NULL)
		nucleo_host_ram = aligned_alloc(2u << 20, HOST_RAM_BYTES);
	if (nucleo_host_ram == NULL || bytes > HOST_RAM_BYTES)
		abort();
	memset(nucleo_host_ram, 0, bytes);
	memset(&info, 0, sizeof(info));
	memset(&host_counts, 0, sizeof(host_counts));
	memset(&host_process, 0, sizeof(host_process));
	memset(&host_thread, 0, sizeof(host_thread));
	info.ram_bytes = bytes;
	info.free_gpa = HOST_FREE_GPA;
	info.pml4_gpa = 0x1000;
	info.populated_gpa = HOST_FREE_GPA;
	info.image_verified_gpa = 0x80000;
	info.xsave_bytes = 832;
	info.tsc_khz = 1000000;
	host_process.pid = 1;
	host_process.leader = &host_thread;
	for (unsigned i = 0; i < RLIM_NLIMITS; i++)
		host_process.limits[i] = (struct rlimit){UINT64_MAX, UINT64_MAX};
	host_process.limits[RLIMIT_STACK].rlim_cur = 8u << 20;
	host_thread.process = &host_process;
	random_state = 1;
	page_init();
}

/* Weak: kernel_threads.c has more than one thread and vCPU. */
__attribute__((weak)) struct thread *arch_current(void) { return &host_thread; }
__attribute__((weak)) unsigned arch_cpu_index(void) { return 0; }
__attribute__((weak)) unsigned arch_cpu_count(void) { return 1; }
void arch_load_page_table(uint64_t pml4_gpa) { (void)pml4_gpa; }

void arch_tlb_flush(struct mm *mm, uint64_t va, uint64_t bytes)
{
	(void)mm;
	(void)va;
	host_counts.flushes++;
	host_counts.flush_bytes += bytes;
}

void arch_code_changed(struct mm *mm, uint64_t va, uint64_t bytes)
{
	(void)mm;
	(void)va;
	(void)bytes;
}

void arch_doorbell_mailbox(unsigned port, uint64_t a, uint64_t b)
{
	if (port == LAMPO_PORT_POPULATE) {
		host_counts.populates++;
		host_counts.populated_end = a + b;
	} else if (port == LAMPO_PORT_RELEASE)
		host_counts.releases++;
}

uint64_t (*host_verify_image)(uint64_t block, unsigned count);

void arch_verify_image(uint64_t block, unsigned count, uint64_t ahead)
{
	uint64_t good = host_verify_image != NULL ? host_verify_image(block, count) : UINT64_MAX;
	uint64_t *verified = arch_phys_to_virt(boot_info->image_verified_gpa);

	host_counts.verifies++;
	host_counts.verify_ahead = ahead;
	for (unsigned i = 0; i < count; i++)
		verified[(block + i) / 64] |= (good >> i & 1) << (block + i) % 64;
}

void arch_copy_image(uint64_t block, const uint64_t *list, unsigned count)
{
	uint64_t good = host_verify_image != NULL ? host_verify_image(block, count) : UINT64_MAX;
	uint64_t *verified = arch_phys_to_virt(boot_info->image_verified_gpa);

	host_counts.copies++;
	for (unsigned i = 0; i < count; i++) {
		verified[(block + i) / 64] |= (good >> i & 1) << (block + i) % 64;
		if ((good >> i & 1) != 0)
			memcpy(arch_phys_to_virt(list[i]), nucleo_host_image + (block + i) * PAGE_SIZE, PAGE_SIZE);
	}
}

void arch_random(void *to, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		random_state = random_state * 6364136223846793005u + 1442695040888963407u;
		((uint8_t *)to)[i] = (uint8_t)(random_state >> 56);
	}
}

void panic(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (host_on_panic != NULL)
		host_on_panic(text);
	fprintf(stderr, "panic: %s\n", text);
	abort();
}

void klog(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
}
