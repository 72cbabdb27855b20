/* SPDX-License-Identifier: Apache-2.0 */
/* From a number to the function that does the call. */
#include "kernel/mm/image.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/strace.h"
#include "kernel/sys/syscall.h"
#include "kernel/sys/table.h"

typedef int64_t syscall_function(const struct syscall_args *args);

#define DECLARE(number, name, spec) int64_t sys_##name(const struct syscall_args *args) __attribute__((weak));
SYSCALL_TABLE(DECLARE)

static syscall_function *const syscall_functions[SYSCALL_COUNT] = {
#define ENTRY(number, name, spec) [number] = sys_##name,
    SYSCALL_TABLE(ENTRY)};

struct syscall_statistics syscall_statistics;

/* Which unknown calls were made: the first different ones, so few that they need no page of their own. */
#define UNKNOWN_KINDS 24
static struct {
	uint32_t number, count;
} unknown_calls[UNKNOWN_KINDS];

static void syscall_count_unknown(uint32_t number)
{
	syscall_statistics.unknown++;
	for (unsigned i = 0; i < UNKNOWN_KINDS; i++) {
		if (unknown_calls[i].count == 0 || unknown_calls[i].number == number) {
			unknown_calls[i].number = number;
			unknown_calls[i].count++;
			return;
		}
	}
}

void syscall_dispatch(struct regs *regs)
{
	/* Linux looks at the low half only. Numbers with bit 30 (x32) are as unknown as any other. */
	uint32_t number = (uint32_t)regs->orig_rax;
	struct syscall_args args = {
	    .arg = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9},
	    .regs = regs,
	};
	bool strace = unlikely((boot_info->flags & LAMPO_BOOT_STRACE) != 0);
	int64_t result = -ENOSYS;

	syscall_statistics.calls++;
	if (strace)
		strace_enter(number, &args);
	if (likely(number < SYSCALL_COUNT && syscall_functions[number] != NULL))
		result = syscall_functions[number](&args);
	else
		syscall_count_unknown(number);
	regs->rax = (uint64_t)result;
	if (strace)
		strace_leave(number, &args, result);
}

static void report_unknown(void)
{
	char line[256];
	size_t used = 0;
	for (unsigned i = 0; i < UNKNOWN_KINDS && unknown_calls[i].count != 0 && used < sizeof(line); i++)
		used += (size_t)ksnprintf(line + used, sizeof(line) - used, "%s%s %ux", i == 0 ? "" : ", ",
					  syscall_name(unknown_calls[i].number), unknown_calls[i].count);
	klog("lampo: %lu calls of system calls that nucleo does not have: %s", syscall_statistics.unknown, line);
}

static void report_counts(void)
{
	const struct mm *mm = current->process->mm;
	struct page_statistics pages;

	page_statistics(&pages);
	klog("lampo: %lu system calls; %lu pages mapped, %lu present after %lu faults, %lu of which read a file",
	     syscall_statistics.calls, mm->mapped_pages, mm->resident_pages, mm->faults, mm->faults_major);
	klog("lampo: of %lu pages of memory %lu are free, %lu hold files, %lu are the kernel's own", pages.total,
	     pages.free, pages.cached, pages.kernel);
	if (image_bytes() != 0)
		klog("lampo: %lu of the image's %lu blocks were waited for in %lu requests", image_statistics.blocks,
		     image_bytes() >> PAGE_SHIFT, image_statistics.requests);
	arch_report_counts();
}

void syscall_report(void)
{
	if ((boot_info->flags & (LAMPO_BOOT_COUNTS | LAMPO_BOOT_STRACE)) != 0 && syscall_statistics.unknown != 0)
		report_unknown();
	if ((boot_info->flags & LAMPO_BOOT_COUNTS) != 0)
		report_counts();
}
