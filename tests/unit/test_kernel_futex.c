/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes wake whom they should, no more and no less, also when waiters are moved, time out or die. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/futex.h>

#include "kernel/proc/clock.h"
#include "kernel/proc/futex.h"
#include "tests/unit/kernel_threads.h"

#define ANY FUTEX_BITSET_MATCH_ANY

static uint32_t word, word2;
static int64_t results[8];
static unsigned returned;

#define VA(x) ((uint64_t) & (x))

static void waiter_on_word(void *arg)
{
	results[(uintptr_t)arg] = futex_wait(VA(word), true, 5, ANY, WAIT_FOREVER, false);
	returned++;
}

static void start_waiters(unsigned count)
{
	machine_reset(1);
	word = 5;
	word2 = 0;
	returned = 0;
	for (uintptr_t i = 0; i < count; i++) {
		results[i] = 4711;
		machine_thread(waiter_on_word, (void *)i);
	}
	machine_run();
	assert_int_equal(returned, 0);
}

static int64_t call_result;
static void (*call)(void);
static void caller(void *arg)
{
	(void)arg;
	call();
}

/* The calls need a current thread. */
static void in_thread(void (*function)(void))
{
	call = function;
	machine_thread(caller, NULL);
	machine_run();
}

static void wake_two(void) { call_result = futex_wake(VA(word), true, 2, ANY); }
static void wake_all(void) { call_result = futex_wake(VA(word), true, INT32_MAX, ANY); }
static void wake_all2(void) { call_result = futex_wake(VA(word2), true, INT32_MAX, ANY); }

static void wakes_as_many_as_asked(void **state)
{
	(void)state;
	start_waiters(5);
	in_thread(wake_two);
	assert_int_equal(call_result, 2);
	assert_int_equal(returned, 2);
	assert_int_equal(results[0], 0); /* first come, first served */
	assert_int_equal(results[1], 0);
	in_thread(wake_all);
	assert_int_equal(call_result, 3);
	assert_int_equal(returned, 5);
	in_thread(wake_all);
	assert_int_equal(call_result, 0);
}

static void wrong_value(void)
{
	call_result = futex_wait(VA(word), true, 6, ANY, WAIT_FOREVER, false);
	assert_int_equal(call_result, -EAGAIN);
	assert_int_equal(futex_wait(VA(word) + 1, true, 6, ANY, WAIT_FOREVER, false), -EINVAL);
	assert_int_equal(futex_wait(8, true, 6, ANY, WAIT_FOREVER, false), -EFAULT);
	assert_int_equal(futex_wait(VA(word), true, 5, 0, WAIT_FOREVER, false), -EINVAL);
}

static void does_not_wait_for_what_has_changed(void **state)
{
	(void)state;
	start_waiters(0);
	in_thread(wrong_value);
	assert_int_equal(call_result, -EAGAIN);
}

static void timed(void)
{
	uint64_t start = machine_now;
	call_result = futex_wait(VA(word), true, 5, ANY, clock_deadline(3 * NS_PER_MS), false);
	assert_in_range(machine_now - start, 3 * NS_PER_MS, 3 * NS_PER_MS + 1000);
}

static void times_out(void **state)
{
	(void)state;
	start_waiters(0);
	in_thread(timed);
	assert_int_equal(call_result, -ETIMEDOUT);
	in_thread(wake_all); /* nobody is left behind in the queue */
	assert_int_equal(call_result, 0);
}

static void requeue(void)
{
	uint32_t expected = 5, other = 6;

	assert_int_equal(futex_requeue(VA(word), true, VA(word2), true, 1, 2, &other), -EAGAIN);
	assert_int_equal(futex_requeue(VA(word), true, VA(word2), true, -1, 2, &expected), -EINVAL);
	call_result = futex_requeue(VA(word), true, VA(word2), true, 1, 2, &expected);
}

static void requeues(void **state)
{
	(void)state;
	start_waiters(5);
	in_thread(requeue);
	assert_int_equal(call_result, 3);
	assert_int_equal(returned, 1);
	in_thread(wake_all2);
	assert_int_equal(call_result, 2);
	in_thread(wake_all);
	assert_int_equal(call_result, 2);
	assert_int_equal(returned, 5);
}

static void waiter_with_bits(void *arg)
{
	results[(uintptr_t)arg] = futex_wait(VA(word), true, 5, 1u << (uintptr_t)arg, WAIT_FOREVER, true);
	returned++;
}
static void wake_bit_1(void) { call_result = futex_wake(VA(word), true, INT32_MAX, 2); }

static void bitsets_select(void **state)
{
	(void)state;
	start_waiters(0);
	for (uintptr_t i = 0; i < 3; i++)
		machine_thread(waiter_with_bits, (void *)i);
	machine_run();
	in_thread(wake_bit_1);
	assert_int_equal(call_result, 1);
	assert_int_equal(results[1], 0);
	in_thread(wake_all);
	assert_int_equal(call_result, 2);
}

static void wake_op(void)
{
	/* word2 += 3, and wake on it if it was 7 */
	uint32_t op = FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 7);
	word2 = 7;
	call_result = futex_wake_op(VA(word), VA(word2), true, 1, 10, op);
	assert_int_equal(word2, 10);
	/* word2 |= 1 << 4; -1 as comparison argument is signed */
	op = FUTEX_OP(((unsigned)(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT)), 4, FUTEX_OP_CMP_GT, 0xfff);
	futex_wake_op(VA(word), VA(word2), true, 0, 0, op);
	assert_int_equal(word2, 26);
	assert_int_equal(futex_wake_op(VA(word), VA(word2), true, 0, 0, FUTEX_OP(7, 0, 0, 0)), -ENOSYS);
}

static void operates_and_wakes(void **state)
{
	(void)state;
	start_waiters(2);
	in_thread(wake_op);
	assert_int_equal(call_result, 1);
	in_thread(wake_all);
	assert_int_equal(returned, 2);
}

static void interrupted(void *arg)
{
	uint64_t deadline = (uintptr_t)arg != 0 ? clock_deadline(NS_PER_SECOND) : WAIT_FOREVER;
	results[(uintptr_t)arg] = futex_wait(VA(word), true, 5, ANY, deadline, false);
	if ((uintptr_t)arg == 1) {
		/* The rest of the time, not the whole of it again. */
		siginfo_t info;
		signal_dequeue(UINT64_MAX, &info);
		assert_int_equal(current->restart(), -ETIMEDOUT);
	}
	returned++;
}

static void signals_end_the_wait(void **state)
{
	(void)state;
	start_waiters(0);
	struct thread *plain = machine_thread(interrupted, (void *)0),
		      *timeout = machine_thread(interrupted, (void *)1);
	machine_run_until(machine_now + NS_PER_MS);
	process_first->handlers->actions[SIGUSR1].handler = 0x1000;
	signal_send_thread(plain, SIGUSR1, NULL);
	signal_send_thread(timeout, SIGUSR1, NULL);
	uint64_t start = machine_now;
	machine_run();
	assert_int_equal(results[0], -ERESTARTSYS);
	assert_int_equal(results[1], -ERESTART_RESTARTBLOCK);
	assert_int_equal(returned, 2);
	assert_in_range(machine_now - start, 0, NS_PER_SECOND);
}

/* ---- robust lists ---- */

static struct {
	struct robust_list_head head;
	struct {
		struct robust_list list;
		uint32_t word;
	} locks[3];
} robust;

static void dies_with_locks(void *arg)
{
	(void)arg;
	robust.head.list.next = &robust.locks[0].list;
	robust.locks[0].list.next = &robust.locks[1].list;
	robust.locks[1].list.next = &robust.head.list;
	robust.head.futex_offset = sizeof(struct robust_list);
	robust.head.list_op_pending = &robust.locks[2].list;
	robust.locks[0].word = (uint32_t)current->tid;
	robust.locks[1].word = 12345; /* somebody else's */
	robust.locks[2].word = (uint32_t)current->tid | FUTEX_WAITERS;
	current->robust_list = VA(robust.head);
	current->clear_child_tid = VA(word);
}

static void robust_waiter(void *arg)
{
	(void)arg;
	results[1] = futex_wait(VA(robust.locks[2].word), false, robust.locks[2].word, ANY, WAIT_FOREVER, false);
}

static void a_dead_owner_is_noticed(void **state)
{
	(void)state;
	start_waiters(1); /* one waits for the address that is cleared */
	robust.locks[2].word = 77;
	machine_thread(robust_waiter, NULL);
	machine_run();
	machine_thread(dies_with_locks, NULL);
	machine_run();
	assert_int_equal(robust.locks[0].word, FUTEX_OWNER_DIED);
	assert_int_equal(robust.locks[1].word, 12345);
	assert_int_equal(robust.locks[2].word, FUTEX_OWNER_DIED | FUTEX_WAITERS);
	assert_int_equal(results[1], 0);
	assert_int_equal(word, 0);
	assert_int_equal(results[0], 0);
}

static void dies_with_broken_list(void *arg)
{
	static struct robust_list circle;

	robust.head.list.next = arg != NULL ? &circle : (struct robust_list *)16;
	circle.next = &circle; /* never comes back to the head */
	robust.head.list_op_pending = (struct robust_list *)24;
	robust.head.futex_offset = 1;
	current->robust_list = VA(robust.head);
}

static void a_broken_list_ends(void **state)
{
	(void)state;
	start_waiters(0);
	machine_thread(dies_with_broken_list, NULL);
	machine_thread(dies_with_broken_list, &word);
	machine_run();
	assert_int_equal(process_first->thread_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wakes_as_many_as_asked),
	    cmocka_unit_test(does_not_wait_for_what_has_changed),
	    cmocka_unit_test(times_out),
	    cmocka_unit_test(requeues),
	    cmocka_unit_test(bitsets_select),
	    cmocka_unit_test(operates_and_wakes),
	    cmocka_unit_test(signals_end_the_wait),
	    cmocka_unit_test(a_dead_owner_is_noticed),
	    cmocka_unit_test(a_broken_list_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
