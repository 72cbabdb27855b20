/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/kernel_threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/entry/patch.h"
#include "kernel/fs/file.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/proc/clock.h"
#include "kernel/sys/strace.h"
#include "kernel/sys/syscall.h"
#include "kernel/virtio/virtio.h"
#include "tests/unit/coroutine.h"

#define CPUS 4u

struct test_thread {
	struct thread *thread;
	struct coroutine *coroutine;
	void (*entry)(void *);
	void *arg;
};

uint8_t *nucleo_host_ram;
static struct lampo_boot_info boot_info_of_test;
struct lampo_boot_info *boot_info = &boot_info_of_test;

uint64_t machine_now;
struct machine_counts machine_counts;
int machine_exit_code;

static struct machine_cpu {
	struct thread *thread;
	struct coroutine *idle;
	bool kicked, started;
	uint64_t deadline, armed;
} machine_cpus[CPUS];
static unsigned machine_cpu, machine_cpu_started;
static struct test_thread test_threads[64];
static struct coroutine *machine_main;

/* ---- coroutines ---- */

static struct test_thread *test_thread_of(const struct thread *thread)
{
	for (unsigned i = 0; i < countof(test_threads); i++) {
		if (test_threads[i].thread == thread)
			return &test_threads[i];
	}
	abort();
}

static void test_thread_main(void)
{
	struct test_thread *self = test_thread_of(current);

	self->entry(self->arg);
	thread_exit(0);
}

void arch_thread_prepare(struct thread *thread, const struct regs *regs, void (*entry)(void *), void *arg)
{
	*test_thread_of(NULL) = (struct test_thread){thread, coroutine_new(test_thread_main), entry, arg};
	if (regs != NULL)
		*arch_thread_regs(thread) = *regs;
}

static struct coroutine *coroutine_of(struct thread *thread)
{
	return thread->process == NULL ? machine_cpus[thread->cpu].idle : test_thread_of(thread)->coroutine;
}

void arch_switch(struct thread *from, struct thread *to)
{
	struct coroutine *save = coroutine_of(from);

	machine_counts.switches++;
	machine_cpus[machine_cpu].thread = to;
	if (from->state == THREAD_DEAD) {
		test_thread_of(from)->thread = NULL;
		save = NULL;
	}
	coroutine_switch(save, coroutine_of(to));
}

struct regs *arch_thread_regs(struct thread *thread)
{
	return (struct regs *)(thread->kernel_stack_top - sizeof(struct regs));
}
struct thread *arch_current(void) { return machine_cpus[machine_cpu].thread; }
void arch_set_current(struct thread *thread) { machine_cpus[machine_cpu].thread = thread; }
unsigned arch_cpu_index(void) { return machine_cpu; }
unsigned arch_cpu_count(void) { return machine_cpu_started; }
uint64_t arch_tsc(void) { return machine_now; }
void arch_fpu_copy(struct thread *to) { (void)to; }
void arch_fpu_save(void *area) { memset(area, 0x5a, 512); }
int arch_fpu_load(const void *area) { return ((const uint8_t *)area)[1] == 0x5a ? 0 : -EINVAL; }
void arch_set_fs_base(struct thread *thread, uint64_t base) { thread->fs_base = base; }

/* ---- vCPUs: one at a time; each stops in its idle loop's halt ---- */

void arch_kick(unsigned cpu)
{
	machine_counts.kicks++;
	machine_cpus[cpu].kicked = true;
}

void arch_timer_arm(uint64_t deadline_ns)
{
	machine_counts.timers_armed++;
	machine_cpus[machine_cpu].armed = deadline_ns;
}

void arch_halt(uint64_t deadline_ns)
{
	struct machine_cpu *cpu = &machine_cpus[machine_cpu];

	machine_counts.halts++;
	cpu->deadline = deadline_ns;
	cpu->armed = UINT64_MAX;
	coroutine_switch(cpu->idle, machine_main);
}

static void cpu_main(void)
{
	sched_init_cpu(machine_cpu);
	sched_idle_loop();
}

void arch_start_cpu(void)
{
	struct machine_cpu *cpu = &machine_cpus[machine_cpu_started];

	if (machine_cpu_started == boot_info->cpu_count)
		return;
	machine_counts.cpus_started++;
	cpu->idle = coroutine_new(cpu_main);
	cpu->kicked = true;
	machine_cpu_started++;
}

static void machine_resume(unsigned cpu)
{
	machine_cpu = cpu;
	machine_cpus[cpu].kicked = false;
	machine_cpus[cpu].deadline = UINT64_MAX;
	coroutine_switch(machine_main, machine_cpus[cpu].idle);
}

void machine_run(void) { machine_run_until(UINT64_MAX); }

void machine_run_until(uint64_t ns)
{
	for (unsigned i = 0; i < machine_cpu_started; i++)
		machine_cpus[i].kicked = true; /* the test has done things from outside */
	for (;;) {
		unsigned best = CPUS;
		for (unsigned i = 0; i < machine_cpu_started; i++) {
			if (machine_cpus[i].kicked && (best == CPUS || !machine_cpus[best].kicked))
				best = i;
			else if (machine_cpus[i].deadline != UINT64_MAX &&
				 (best == CPUS || (!machine_cpus[best].kicked &&
						   machine_cpus[i].deadline < machine_cpus[best].deadline)))
				best = i;
		}
		if (best == CPUS || machine_exit_code >= 0)
			return;
		if (!machine_cpus[best].kicked && machine_cpus[best].deadline > ns) {
			machine_now = ns;
			return;
		}
		if (!machine_cpus[best].kicked)
			machine_now = max_u64(machine_now, machine_cpus[best].deadline);
		machine_resume(best);
	}
}

void machine_way_out(struct regs *regs)
{
	while ((current->work & ~THREAD_WORK_STRACE) != 0)
		thread_work(regs);
}

void machine_compute(uint64_t ns)
{
	struct regs regs = {.orig_rax = UINT64_MAX};

	while (ns > 0) {
		machine_way_out(&regs);
		struct machine_cpu *cpu = &machine_cpus[machine_cpu];
		uint64_t step = ns;
		if (cpu->armed != UINT64_MAX)
			step = min_u64(step, cpu->armed > machine_now ? cpu->armed - machine_now : 0);
		machine_now += step;
		ns -= step;
		if (cpu->armed <= machine_now || cpu->kicked) {
			cpu->armed = UINT64_MAX;
			cpu->kicked = false;
			sched_interrupt();
		}
	}
	machine_way_out(&regs);
}

struct thread *machine_thread(void (*entry)(void *), void *arg)
{
	struct thread *thread;

	if (thread_new(process_first, &thread) != 0)
		abort();
	arch_thread_prepare(thread, NULL, entry, arg);
	sched_add(thread);
	machine_cpus[machine_cpu].kicked = true; /* its idle loop believes to be running */
	return thread;
}

void machine_reset(unsigned cpus)
{
	memset(boot_info, 0, sizeof(*boot_info));
	boot_info->xsave_bytes = 832;
	boot_info->tsc_khz = 1000000;
	memset(test_threads, 0, sizeof(test_threads));
	machine_main = coroutine_new(NULL);
	memset(machine_cpus, 0, sizeof(machine_cpus));
	memset(&machine_counts, 0, sizeof(machine_counts));
	machine_now = 1000000;
	machine_exit_code = -1;
	boot_info->cpu_count = cpus;
	machine_cpu = machine_cpu_started = 0;
	for (unsigned i = 0; i < CPUS; i++)
		machine_cpus[i].deadline = machine_cpus[i].armed = UINT64_MAX;
	clock_init();
	sched_reset();
	list_init(&processes);
	struct process *process;
	arch_start_cpu();
	machine_resume(0);
	if (process_new_first(&process) != 0)
		abort();
}

void arch_exit(uint32_t code)
{
	machine_exit_code = (int)code;
	coroutine_switch(NULL, machine_main);
	abort();
}

/* ---- what the code under test needs of the rest of the kernel ---- */

/* Each test leaves its machine behind: stacks kept for reuse, the first process. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0:detect_stack_use_after_return=0"; }

void panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	abort();
}

void *kmalloc(size_t bytes) { return malloc(bytes); }
void *kzalloc(size_t bytes) { return calloc(1, bytes); }
void kfree(void *object) { free(object); }
void *pages_alloc(unsigned order) { return aligned_alloc(PAGE_SIZE, PAGE_SIZE << order); }
void pages_free(void *va, unsigned order)
{
	(void)order;
	free(va);
}
struct page *page_alloc(void) { return aligned_alloc(PAGE_SIZE, PAGE_SIZE); }
struct page *page_alloc_uninitialised(void) { return page_alloc(); }
void *page_address(const struct page *page) { return (void *)(uintptr_t)page; }
void page_get(struct page *page) { (void)page; }
void page_put(struct page *page) { (void)page; }
void arch_load_page_table(uint64_t pml4_gpa) { (void)pml4_gpa; }

static bool readable(uint64_t va) { return va >= 0x10000; }

int user_read(void *to, uint64_t from, uint64_t bytes)
{
	if (!readable(from))
		return -EFAULT;
	memcpy(to, (const void *)from, bytes);
	return 0;
}

int user_write(uint64_t to, const void *from, uint64_t bytes)
{
	if (!readable(to))
		return -EFAULT;
	memcpy((void *)to, from, bytes);
	return 0;
}

int user_prepare(uint64_t va, uint64_t bytes, bool write)
{
	(void)bytes;
	(void)write;
	return readable(va) ? 0 : -EFAULT;
}

static struct mm test_mm;
int mm_new(struct mm **mm)
{
	*mm = &test_mm;
	return 0;
}
void mm_put(struct mm *mm) { (void)mm; }
int mm_map_kernel_pages(struct mm *mm, uint64_t *addr, struct page **pages, unsigned count, int prot, const char *name)
{
	(void)mm;
	(void)addr;
	(void)pages;
	(void)count;
	(void)prot;
	(void)name;
	return -ENOMEM;
}
bool mm_vma_info(struct mm *mm, uint64_t va, struct vma_info *info)
{
	(void)mm;
	*info = (struct vma_info){.start = va, .end = va + 1, .flags = 2 /* MAP_PRIVATE */};
	return readable(va);
}
void *user_page(uint64_t va, bool write, struct page **page)
{
	(void)va;
	(void)write;
	(void)page;
	return NULL;
}
const uint8_t vdso_image_start[4096], vdso_image_end[1];
struct file_table *file_table_new(void) { return (struct file_table *)&test_mm; }
void file_table_put(struct file_table *table) { (void)table; }
struct fs_context *fs_context_new(void) { return (struct fs_context *)&test_mm; }
void fs_context_put(struct fs_context *context) { (void)context; }
__attribute__((weak)) void file_put(struct file *file) { (void)file; } /* kernel_descriptors.c has a real one */
void virtio_handle_events(void) {}
void syscall_report(void) {}
__attribute__((weak)) void strace_exit(int status) { (void)status; }
__attribute__((weak)) void strace_thread_exit(int code) { (void)code; }
__attribute__((weak)) void strace_signal(int signal, const siginfo_t *info)
{
	(void)signal;
	(void)info;
}
void syscall_dispatch(struct regs *regs) { regs->rax = 4711; }
uint64_t patch_restart_rip(const struct regs *regs) { return regs->rip - 2; }
