/* SPDX-License-Identifier: Apache-2.0 */
/* Timers fire in order and in time, whatever is started, moved and cancelled in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/proc/clock.h"
#include "kernel/proc/itimer.h"
#include "kernel/proc/posix_timer.h"
#include "tests/unit/kernel_threads.h"

#define TIMERS 200

static struct timer timers[TIMERS];
static uint64_t expected[TIMERS];
static uint64_t last_fired;
static unsigned fired;

static void on_fire(struct timer *timer)
{
	unsigned i = (unsigned)(timer - timers);

	assert_true(timer->deadline_ns == expected[i]);
	assert_true(timer->deadline_ns >= last_fired);
	assert_true(timer->deadline_ns <= machine_now);
	assert_false(timer->queued);
	last_fired = timer->deadline_ns;
	expected[i] = UINT64_MAX;
	fired++;
}

static uint64_t brute_force_next(void)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < TIMERS; i++)
		next = min_u64(next, expected[i]);
	return next;
}

static void timers_fire_in_order(void **state)
{
	(void)state;
	machine_reset(1);
	srand(7);
	for (unsigned i = 0; i < TIMERS; i++) {
		timer_init(&timers[i], on_fire);
		expected[i] = UINT64_MAX;
	}
	fired = 0;
	unsigned due = 0;
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)rand() % TIMERS;
		if (rand() % 4 == 0) {
			assert_true(timer_cancel(&timers[i]) == (expected[i] != UINT64_MAX));
			expected[i] = UINT64_MAX;
		} else {
			expected[i] = machine_now + 1 + (uint64_t)(rand() % 5000);
			timer_start(&timers[i], expected[i]);
		}
		assert_true(timers_next() == brute_force_next());
		if (rand() % 8 == 0) {
			machine_now += (uint64_t)(rand() % 3000);
			for (unsigned t = 0; t < TIMERS; t++)
				due += expected[t] <= machine_now;
			last_fired = 0;
			timers_run();
			assert_int_equal(fired, due);
		}
	}
	for (unsigned i = 0; i < TIMERS; i++)
		timer_cancel(&timers[i]);
	assert_true(timers_next() == UINT64_MAX);
}

static unsigned again_fired;
static void on_fire_again(struct timer *timer)
{
	again_fired++;
	timer_start(timer, timer->deadline_ns + 1);
}

static void timer_that_starts_itself_in_the_past_does_not_hang(void **state)
{
	(void)state;
	machine_reset(1);
	struct timer timer;
	timer_init(&timer, on_fire_again);
	timer_start(&timer, machine_now);
	timers_run();
	assert_int_equal(again_fired, 1);
	timer_cancel(&timer);
}

static void clock_converts_the_tsc(void **state)
{
	(void)state;
	machine_reset(1);
	boot_info->tsc_khz = 2500000;
	boot_info->tsc_base = 5000;
	boot_info->monotonic_ns = 1000;
	boot_info->realtime_ns = 1700000000ull * NS_PER_SECOND;
	clock_init();
	machine_now = 5000; /* ticks here */
	assert_true(clock_monotonic() == 1000);
	machine_now = 5000 + 2500000000ull;
	assert_in_range(clock_monotonic(), NS_PER_SECOND + 999, NS_PER_SECOND + 1000);
	machine_now = 4000; /* another vCPU's TSC, a little behind */
	assert_true(clock_monotonic() == 1000);
	/* Ten years on there is neither overflow nor drift beyond 0.1 ppm. */
	machine_now = 5000 + 2500000000ull * 315360000;
	assert_in_range(clock_monotonic(), 315360000ull * NS_PER_SECOND - 32000000,
			315360000ull * NS_PER_SECOND + 1000);
	assert_true(clock_realtime_to_monotonic(1700000000ull * NS_PER_SECOND + 5) == 1005);
	assert_true(clock_realtime_to_monotonic(3) == 0);
	assert_true(clock_deadline(UINT64_MAX) == UINT64_MAX - 1);
	boot_info->tsc_khz = 1000000;
	boot_info->tsc_base = boot_info->monotonic_ns = boot_info->realtime_ns = 0;
	clock_init();
}

static void bad_times_are_refused(void **state)
{
	static struct __kernel_timespec ts;
	uint64_t ns;

	(void)state;
	ts = (struct __kernel_timespec){-1, 0};
	assert_int_equal(timespec_read((uint64_t)&ts, &ns), -EINVAL);
	ts = (struct __kernel_timespec){0, 1000000000};
	assert_int_equal(timespec_read((uint64_t)&ts, &ns), -EINVAL);
	ts = (struct __kernel_timespec){INT64_MAX, 999999999};
	assert_int_equal(timespec_read((uint64_t)&ts, &ns), 0);
	assert_true(ns == INT64_MAX);
	assert_int_equal(timespec_read(8, &ns), -EFAULT);
}

static unsigned overruns;
static void wait_for_timer_signals(void *arg)
{
	struct posix_timer *timer;
	siginfo_t info;

	(void)arg;
	signal_set_mask(signal_bit(SIGUSR1));
	assert_int_equal(posix_timer_new(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, NULL, 99, &timer), 0);
	posix_timer_set(timer, false, 10 * NS_PER_MS, 10 * NS_PER_MS);
	/* Nobody looks for 55 ms: one signal that stands for five. */
	struct waiter waiter;
	waiter_init(&waiter);
	assert_int_equal(wait_sleep(&waiter, machine_now + 55 * NS_PER_MS, true), -ETIMEDOUT);
	assert_int_equal(signal_dequeue(signal_bit(SIGUSR1), &info), SIGUSR1);
	assert_int_equal(info.si_code, SI_TIMER);
	assert_true(info.si_value.sival_ptr == (void *)99);
	overruns = (unsigned)info.si_overrun;
	assert_int_equal(signal_dequeue(signal_bit(SIGUSR1), &info), 0);
	posix_timer_delete(timer);
}

static void posix_timers_count_overruns(void **state)
{
	(void)state;
	machine_reset(1);
	machine_thread(wait_for_timer_signals, NULL);
	machine_run();
	assert_int_equal(overruns, 4);
	assert_true(timers_next() == UINT64_MAX);
}

static void burn_until_prof(void *arg)
{
	siginfo_t info;

	(void)arg;
	signal_set_mask(signal_bit(SIGPROF));
	itimer_set(current->process, ITIMER_PROF, 7 * NS_PER_MS, 0);
	machine_compute(6 * NS_PER_MS);
	assert_int_equal(signal_dequeue(signal_bit(SIGPROF), &info), 0);
	machine_compute(2 * NS_PER_MS);
	assert_int_equal(signal_dequeue(signal_bit(SIGPROF), &info), SIGPROF);
}

static void cpu_timers_count_cpu_time_only(void **state)
{
	(void)state;
	machine_reset(1);
	machine_thread(burn_until_prof, NULL);
	machine_run();
	assert_true(list_empty(&process_first->cpu_timers));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(timers_fire_in_order),
	    cmocka_unit_test(timer_that_starts_itself_in_the_past_does_not_hang),
	    cmocka_unit_test(clock_converts_the_tsc),
	    cmocka_unit_test(bad_times_are_refused),
	    cmocka_unit_test(posix_timers_count_overruns),
	    cmocka_unit_test(cpu_timers_count_cpu_time_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
