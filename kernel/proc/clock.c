/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks. The TSC is the only source; the monitor gives its frequency and bases and may rewrite the
 * bases at any exit (after the VM was stopped, or when the host's time was set).
 *
 * The kernel reads the bases from boot_info at every use, the vDSO from a page of its own, which
 * clock_update() brings up to date at interrupts and when the vCPU was idle.
 */
#include "kernel/proc/clock.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/proc/process.h"
#include "kernel/vdso/data.h"

static uint64_t clock_multiplier;
static struct vdso_data *vdso_data;
static struct page *vdso_page;

struct clock_base {
	uint32_t seq;
	uint64_t tsc, realtime_ns, monotonic_ns;
};

static void clock_base_read(struct clock_base *base)
{
	volatile struct lampo_boot_info *boot = boot_info;

	for (;;) {
		base->seq = __atomic_load_n(&boot->clock_seq, __ATOMIC_ACQUIRE); /* the bases are read after it */
		base->tsc = boot->tsc_base;
		base->realtime_ns = boot->realtime_ns;
		base->monotonic_ns = boot->monotonic_ns;
		__atomic_thread_fence(__ATOMIC_ACQUIRE); /* ... and before it is read again */
		if ((base->seq & 1) == 0 && base->seq == boot->clock_seq)
			return;
		__builtin_ia32_pause();
	}
}

static uint64_t clock_elapsed(uint64_t tsc_base)
{
	/* Another vCPU's TSC may be a little behind the one that the base was read on. */
	int64_t ticks = (int64_t)(arch_tsc() - tsc_base);

	return ticks > 0 ? (uint64_t)(((unsigned __int128)(uint64_t)ticks * clock_multiplier) >> CLOCK_SHIFT) : 0;
}

uint64_t clock_monotonic(void)
{
	struct clock_base base;

	clock_base_read(&base);
	return base.monotonic_ns + clock_elapsed(base.tsc);
}

uint64_t clock_realtime(void)
{
	struct clock_base base;

	clock_base_read(&base);
	return base.realtime_ns + clock_elapsed(base.tsc);
}

void clock_init(void)
{
	/* ns per tick = 10^6 / kHz; a TSC is never slower than 1 MHz. */
	uint64_t khz = max_u64(boot_info->tsc_khz, 1000);

	_Static_assert(1000000ull < (UINT64_MAX >> CLOCK_SHIFT), "divided in 64 bits");
	clock_multiplier = (1000000ull << CLOCK_SHIFT) / khz;
}

static void vdso_data_write(const struct clock_base *base)
{
	struct vdso_data *data = vdso_data;

	__atomic_store_n(&data->seq, data->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE); /* readers see the odd number before the first new value */
	data->cpus = arch_cpu_count();
	data->tsc_base = base->tsc;
	data->multiplier = clock_multiplier;
	data->realtime_ns = base->realtime_ns;
	data->monotonic_ns = base->monotonic_ns;
	__atomic_store_n(&data->seq, data->seq + 1, __ATOMIC_RELEASE); /* ... and the even one after the last */
}

void clock_update(void)
{
	static uint32_t seq_seen = UINT32_MAX;
	struct clock_base base;

	if (vdso_data == NULL ||
	    (seq_seen == *(volatile uint32_t *)&boot_info->clock_seq && vdso_data->cpus == arch_cpu_count()))
		return;
	clock_base_read(&base);
	seq_seen = base.seq;
	vdso_data_write(&base);
}

struct page *vdso_data_page(void)
{
	if (vdso_page == NULL) {
		vdso_page = page_alloc();
		if (vdso_page == NULL)
			return NULL;
		vdso_data = page_address(vdso_page);
		clock_update();
	}
	return vdso_page;
}

uint64_t clock_realtime_to_monotonic(uint64_t realtime_ns)
{
	struct clock_base base;

	clock_base_read(&base);
	/* Both clocks run alike: only the difference of the bases counts. */
	if (base.realtime_ns >= base.monotonic_ns) {
		uint64_t offset = base.realtime_ns - base.monotonic_ns;
		return realtime_ns > offset ? realtime_ns - offset : 0;
	}
	uint64_t sum;
	return add_overflows(realtime_ns, base.monotonic_ns - base.realtime_ns, &sum) ? UINT64_MAX - 1 : sum;
}

uint64_t clock_deadline(uint64_t relative_ns)
{
	uint64_t sum;

	return add_overflows(clock_monotonic(), relative_ns, &sum) || sum == UINT64_MAX ? UINT64_MAX - 1 : sum;
}

/* Seconds beyond about 292 years saturate, like Linux's KTIME_MAX. */
static uint64_t clock_join(int64_t seconds, uint64_t ns)
{
	if ((uint64_t)seconds >= (uint64_t)INT64_MAX / NS_PER_SECOND)
		return INT64_MAX;
	return (uint64_t)seconds * NS_PER_SECOND + ns;
}

int timespec_read(uint64_t va, uint64_t *ns)
{
	struct __kernel_timespec ts;

	if (user_get(&ts, va) != 0)
		return -EFAULT;
	if (ts.tv_sec < 0 || (uint64_t)ts.tv_nsec >= NS_PER_SECOND)
		return -EINVAL;
	*ns = clock_join(ts.tv_sec, (uint64_t)ts.tv_nsec);
	return 0;
}

int timeval_read(uint64_t va, uint64_t *ns)
{
	struct __kernel_old_timeval tv;

	if (user_get(&tv, va) != 0)
		return -EFAULT;
	if (tv.tv_sec < 0 || (uint64_t)tv.tv_usec >= 1000000)
		return -EINVAL;
	*ns = clock_join(tv.tv_sec, (uint64_t)tv.tv_usec * 1000);
	return 0;
}

int timespec_write(uint64_t va, uint64_t ns)
{
	struct __kernel_timespec ts = {.tv_sec = (int64_t)(ns / NS_PER_SECOND),
				       .tv_nsec = (int64_t)(ns % NS_PER_SECOND)};

	return user_put(va, &ts);
}

int timeval_write(uint64_t va, uint64_t ns)
{
	struct __kernel_old_timeval tv = {.tv_sec = (int64_t)(ns / NS_PER_SECOND),
					  .tv_usec = (int64_t)(ns % NS_PER_SECOND / 1000)};

	return user_put(va, &tv);
}

uint64_t thread_cpu_ns(const struct thread *thread)
{
	uint64_t ns = thread->cpu_ns;

	if (thread->state == THREAD_RUNNING) {
		uint64_t now = clock_monotonic();
		if (now > thread->run_start_ns)
			ns += now - thread->run_start_ns;
	}
	return ns;
}

uint64_t process_cpu_ns(const struct process *process)
{
	uint64_t ns = process->cpu_user_ns + process->cpu_system_ns;

	list_for_each(node, &process->threads) ns += thread_cpu_ns(list_entry(node, struct thread, process_node));
	return ns;
}

/* A CPU clock's number is ~id << 3 | type, bit 2: a thread's (see clock_getcpuclockid(3) and Linux's
 * include/linux/posix-timers.h). All types count the same here: programs' time. */
static int clock_read_cpu(int32_t clock, uint64_t *ns)
{
	int id = clock_cpu_id(clock);

	if ((clock & 3) == 3 || clock >= 0)
		return -EINVAL;
	if (clock & 4) {
		struct thread *thread = id == 0 ? current : thread_find(id);
		if (thread == NULL || thread->process != current->process)
			return -EINVAL;
		*ns = thread_cpu_ns(thread);
	} else {
		struct process *process = id == 0 ? current->process : process_find(id);
		if (process == NULL)
			return -EINVAL;
		*ns = process_cpu_ns(process);
	}
	return 0;
}

int clock_read(int32_t clock, uint64_t *ns)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		*ns = clock_realtime();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*ns = clock_monotonic();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		*ns = process_cpu_ns(current->process);
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		*ns = thread_cpu_ns(current);
		return 0;
	default:
		return clock < 0 ? clock_read_cpu(clock, ns) : -EINVAL;
	}
}

extern const uint8_t vdso_image_start[], vdso_image_end[];

int vdso_map(struct mm *mm, uint64_t *base)
{
	/* The image's page is a copy in RAM, shared by all processes; the data page follows it. */
	static struct page *image;
	struct page *pages[2];

	/* cppcheck-suppress comparePointers ; the linker script puts them around one object */
	kassert(vdso_image_end - vdso_image_start == PAGE_SIZE);
	if (image == NULL) {
		image = page_alloc_uninitialised();
		if (image == NULL)
			return -ENOMEM;
		memcpy(page_address(image), vdso_image_start, PAGE_SIZE);
	}
	pages[0] = image;
	pages[1] = vdso_data_page();
	if (pages[1] == NULL)
		return -ENOMEM;
	return mm_map_kernel_pages(mm, base, pages, 2, 1 | 4 /* PROT_READ | PROT_EXEC */, "[vdso]");
}
