/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/clock.h"

#include <errno.h>

#include "base/util.h"
#include "vmm/arch/x86_64/regs.h"

#define FOLLOW_NS 1000000000ull
#define SLEEP_MAX_NS (10ull * 365 * 24 * 3600 * 1000000000ull) /* no wrap in sums */

static uint64_t now_ns(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

uint64_t clock_now_ns(void) { return now_ns(CLOCK_MONOTONIC); }

static uint64_t cycles_to_ns(const struct guest_clock *clock, uint64_t cycles)
{
	return (uint64_t)((unsigned __int128)cycles * 1000000 / clock->tsc_khz);
}

/* What the guest's CLOCK_MONOTONIC is at this TSC value. With the lock. */
static uint64_t guest_monotonic_ns(const struct guest_clock *clock, uint64_t tsc)
{
	return clock->monotonic_ns + (tsc > clock->tsc_base ? cycles_to_ns(clock, tsc - clock->tsc_base) : 0);
}

static void base_set(struct guest_clock *clock, uint64_t tsc, uint64_t monotonic_ns, uint64_t realtime_ns)
{
	struct lampo_boot_info *boot = clock->boot;
	clock->tsc_base = tsc;
	clock->monotonic_ns = monotonic_ns;
	/* Release: the odd number is seen before any new value, the even one after all of them. */
	__atomic_store_n(&boot->clock_seq, ++clock->seq, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&boot->tsc_base, tsc, __ATOMIC_RELAXED);
	__atomic_store_n(&boot->monotonic_ns, monotonic_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&boot->realtime_ns, realtime_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&boot->clock_seq, ++clock->seq, __ATOMIC_RELEASE);
}

int clock_start(struct guest_clock *clock, struct lampo_boot_info *boot, uint64_t tsc_khz)
{
	if (tsc_khz == 0)
		return -ENOTSUP;
	*clock = (struct guest_clock){.boot = boot, .lock = PTHREAD_MUTEX_INITIALIZER, .tsc_khz = tsc_khz};
	boot->tsc_khz = tsc_khz;
	uint64_t realtime_ns = now_ns(CLOCK_REALTIME), monotonic_ns = clock_now_ns();
	base_set(clock, regs_tsc(), monotonic_ns, realtime_ns);
	return 0;
}

void clock_follow(struct guest_clock *clock)
{
	uint64_t tsc = regs_tsc();
	/* A look without the lock; at worst one move too many or one second later. */
	if (cycles_to_ns(clock, tsc - __atomic_load_n(&clock->tsc_base, __ATOMIC_RELAXED)) < FOLLOW_NS ||
	    pthread_mutex_trylock(&clock->lock) != 0)
		return;
	uint64_t realtime_ns = now_ns(CLOCK_REALTIME), monotonic_ns = clock_now_ns();
	tsc = regs_tsc();
	base_set(clock, tsc, max_u64(monotonic_ns, guest_monotonic_ns(clock, tsc)), realtime_ns);
	pthread_mutex_unlock(&clock->lock);
}

struct timespec clock_host_time(struct guest_clock *clock, uint64_t guest_ns)
{
	pthread_mutex_lock(&clock->lock);
	uint64_t guest_now_ns = guest_monotonic_ns(clock, regs_tsc());
	pthread_mutex_unlock(&clock->lock);
	uint64_t wait_ns = guest_ns > guest_now_ns ? guest_ns - guest_now_ns : 0;
	uint64_t host_ns = clock_now_ns() + min_u64(wait_ns, SLEEP_MAX_NS);
	return (struct timespec){.tv_sec = (time_t)(host_ns / 1000000000ull),
				 .tv_nsec = (long)(host_ns % 1000000000ull)};
}

uint64_t clock_tsc_to_host_ns(struct guest_clock *clock, uint64_t tsc)
{
	uint64_t now_tsc = regs_tsc(), host_ns = clock_now_ns();
	uint64_t back_ns = tsc != 0 && tsc <= now_tsc ? cycles_to_ns(clock, now_tsc - tsc) : UINT64_MAX;
	return back_ns < host_ns ? host_ns - back_ns : 0;
}
