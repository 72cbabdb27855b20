/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler is fair, wakes in time, keeps to affinity masks, and talks to the monitor no more than it must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/sched.h>

#include "kernel/proc/clock.h"
#include "tests/unit/kernel_threads.h"

static uint64_t done_at[8];
static unsigned order[32], order_count;

static void compute_10ms(void *arg)
{
	machine_compute(10 * NS_PER_MS);
	done_at[(uintptr_t)arg] = machine_now;
}

static void equal_threads_share_one_vcpu(void **state)
{
	(void)state;
	machine_reset(1);
	uint64_t start = machine_now;
	for (uintptr_t i = 0; i < 4; i++)
		machine_thread(compute_10ms, (void *)i);
	machine_run();
	for (unsigned i = 0; i < 4; i++) {
		/* All end near the end: nobody was let through first. */
		assert_true(done_at[i] >= start + 26 * NS_PER_MS);
		assert_true(done_at[i] <= start + 40 * NS_PER_MS);
	}
}

static void alone_it_needs_no_interrupts(void **state)
{
	(void)state;
	machine_reset(1);
	machine_thread(compute_10ms, (void *)0);
	machine_run();
	assert_int_equal(machine_counts.timers_armed, 0);
	assert_int_equal(machine_counts.kicks, 0);
}

static void nice_gets_its_share(void *arg)
{
	current->nice = (int)(intptr_t)arg;
	machine_compute(20 * NS_PER_MS);
	done_at[arg != NULL] = machine_now;
}

static void a_nice_thread_lets_others_go_first(void **state)
{
	(void)state;
	machine_reset(1);
	uint64_t start = machine_now;
	machine_thread(nice_gets_its_share, (void *)10);
	machine_thread(nice_gets_its_share, (void *)0);
	machine_run();
	assert_true(done_at[0] < start + 32 * NS_PER_MS); /* a tenth and a slice or two went to the nice one */
	assert_true(done_at[1] >= start + 40 * NS_PER_MS);
}

static void real_time_threads_go_first(void **state)
{
	(void)state;
	machine_reset(1);
	uint64_t start = machine_now;
	for (uintptr_t i = 0; i < 3; i++) {
		struct thread *thread = machine_thread(compute_10ms, (void *)i);
		thread->policy = i == 0 ? SCHED_NORMAL : SCHED_FIFO;
		thread->rt_priority = (int)i;
		sched_changed(thread);
	}
	machine_run();
	assert_in_range(done_at[2] - start, 10 * NS_PER_MS, 10 * NS_PER_MS + 1000);
	assert_in_range(done_at[1] - start, 20 * NS_PER_MS, 20 * NS_PER_MS + 1000);
	assert_in_range(done_at[0] - start, 30 * NS_PER_MS, 30 * NS_PER_MS + 1000);
	assert_true(machine_counts.timers_armed < 40);
}

static struct wait_queue queue;
static bool ready;

static void sleeper(void *arg)
{
	assert_int_equal(wait_until(&queue, ready, WAIT_FOREVER, true), 0);
	order[order_count++] = (unsigned)(uintptr_t)arg;
}

static void waker(void *arg)
{
	(void)arg;
	machine_compute(NS_PER_MS);
	ready = true;
	wait_wake(&queue, 0, 0);
	order[order_count++] = 99;
}

static void sleepers_are_woken_in_order(void **state)
{
	(void)state;
	machine_reset(1);
	wait_queue_init(&queue);
	ready = false;
	order_count = 0;
	for (uintptr_t i = 0; i < 3; i++)
		machine_thread(sleeper, (void *)i);
	machine_thread(waker, NULL);
	machine_run();
	assert_int_equal(order_count, 4);
	assert_int_equal(order[0], 99); /* no pre-emption in the kernel */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(order[1 + i], i);
}

static void sleep_5ms(void *arg)
{
	struct waiter waiter;
	uint64_t start = machine_now;

	(void)arg;
	waiter_init(&waiter);
	assert_int_equal(wait_sleep(&waiter, clock_deadline(5 * NS_PER_MS), true), -ETIMEDOUT);
	done_at[0] = machine_now - start;
}

static void a_sleeper_wakes_in_time_beside_a_busy_thread(void **state)
{
	(void)state;
	machine_reset(1);
	machine_thread(sleep_5ms, NULL);
	machine_thread(compute_10ms, (void *)1);
	machine_run();
	assert_in_range(done_at[0], 5 * NS_PER_MS, 5 * NS_PER_MS + 100000);
}

static void further_vcpus_are_started_only_for_waiting_threads(void **state)
{
	(void)state;
	machine_reset(3);
	machine_thread(compute_10ms, (void *)0);
	machine_run();
	assert_int_equal(machine_counts.cpus_started, 1); /* the first one */
	machine_reset(3);
	for (uintptr_t i = 0; i < 3; i++)
		machine_thread(compute_10ms, (void *)i);
	machine_run();
	assert_true(machine_counts.cpus_started > 1);
}

static unsigned cpu_seen;
static void move_to_second(void *arg)
{
	(void)arg;
	current->affinity = 2;
	sched_changed(current);
	struct regs regs = {.orig_rax = UINT64_MAX};
	machine_way_out(&regs);
	cpu_seen = arch_cpu_index();
}

static void affinity_moves_a_running_thread(void **state)
{
	(void)state;
	machine_reset(2);
	cpu_seen = 9;
	machine_thread(move_to_second, NULL);
	machine_run();
	assert_int_equal(cpu_seen, 1);
}

#define EXCHANGES 1000
static struct wait_queue sides[2];
static unsigned turn;
static void ping_pong(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < EXCHANGES; i++) {
		wait_until(&sides[me], turn == me, WAIT_FOREVER, true);
		turn = 1 - me;
		wait_wake(&sides[1 - me], 0, 0);
	}
}

static void start_second_vcpu(void *arg)
{
	(void)arg;
	machine_compute(3 * NS_PER_MS);
}

static void handing_over_wakes_no_other_vcpu(void **state)
{
	(void)state;
	machine_reset(2);
	wait_queue_init(&sides[0]);
	wait_queue_init(&sides[1]);
	turn = 0;
	machine_thread(start_second_vcpu, NULL);
	machine_thread(start_second_vcpu, NULL);
	machine_run();
	assert_int_equal(machine_counts.cpus_started, 2);
	machine_counts.kicks = 0;
	machine_thread(ping_pong, (void *)0);
	machine_thread(ping_pong, (void *)1);
	machine_run();
	assert_int_equal(process_first->thread_count, 1);
	assert_true(machine_counts.kicks < 12);
}

static uint64_t started_at;
static void note_start(void *arg)
{
	(void)arg;
	wait_until(&sides[1], turn == 1, WAIT_FOREVER, true);
	started_at = machine_now;
}

static void wake_and_go_on(void *arg)
{
	(void)arg;
	current->hands_over = 3; /* it has always slept at once so far */
	turn = 1;
	wait_wake(&sides[1], 0, 0);
	machine_compute(20 * NS_PER_MS);
	assert_int_equal(current->hands_over, 0);
}

static void who_goes_on_instead_loses_that_trust(void **state)
{
	(void)state;
	machine_reset(1);
	wait_queue_init(&sides[1]);
	turn = 0;
	machine_thread(note_start, NULL);
	machine_run();
	uint64_t start = machine_now;
	machine_thread(wake_and_go_on, NULL);
	machine_run();
	assert_in_range(started_at - start, 0, 5 * NS_PER_MS);
}

static struct mutex mutex;
static unsigned inside, most_inside;
static void locker(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 50; i++) {
		mutex_lock(&mutex);
		inside++;
		most_inside = inside > most_inside ? inside : most_inside;
		sched_yield_kernel();
		inside--;
		mutex_unlock(&mutex);
		machine_compute(100000);
	}
}

static void a_mutex_lets_one_in(void **state)
{
	(void)state;
	machine_reset(1);
	mutex_init(&mutex);
	for (unsigned i = 0; i < 5; i++)
		machine_thread(locker, NULL);
	machine_run();
	assert_int_equal(most_inside, 1);
	assert_null(mutex.owner);
	assert_int_equal(process_first->thread_count, 1);
}

static void exit_of_process(void *arg)
{
	(void)arg;
	process_exit(7 << 8);
}

static void the_first_process_takes_the_vm_with_it(void **state)
{
	(void)state;
	machine_reset(1);
	wait_queue_init(&queue);
	ready = false;
	machine_thread(sleeper, NULL);
	machine_thread(exit_of_process, NULL);
	machine_run();
	assert_int_equal(machine_exit_code, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(equal_threads_share_one_vcpu),
	    cmocka_unit_test(alone_it_needs_no_interrupts),
	    cmocka_unit_test(a_nice_thread_lets_others_go_first),
	    cmocka_unit_test(real_time_threads_go_first),
	    cmocka_unit_test(sleepers_are_woken_in_order),
	    cmocka_unit_test(a_sleeper_wakes_in_time_beside_a_busy_thread),
	    cmocka_unit_test(further_vcpus_are_started_only_for_waiting_threads),
	    cmocka_unit_test(affinity_moves_a_running_thread),
	    cmocka_unit_test(handing_over_wakes_no_other_vcpu),
	    cmocka_unit_test(who_goes_on_instead_loses_that_trust),
	    cmocka_unit_test(a_mutex_lets_one_in),
	    cmocka_unit_test(the_first_process_takes_the_vm_with_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
