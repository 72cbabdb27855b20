/* SPDX-License-Identifier: Apache-2.0 */
/* epoll, poll, select, eventfd and timerfd tell what is there: once per edge, as long as it lasts, or once at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <asm/poll.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/time_types.h>
#include <linux/timerfd.h>

#include "kernel/proc/clock.h"
#include "tests/unit/kernel_descriptors.h"

DECLARE_CALL(pipe2);
DECLARE_CALL(eventfd2);
DECLARE_CALL(epoll_create1);
DECLARE_CALL(epoll_ctl);
DECLARE_CALL(epoll_wait);
DECLARE_CALL(poll);
DECLARE_CALL(ppoll);
DECLARE_CALL(select);
DECLARE_CALL(timerfd_create);
DECLARE_CALL(timerfd_settime);
DECLARE_CALL(timerfd_gettime);

static int ep, pipes[2], event;
static struct epoll_event out[8];
static int64_t results[6];

static int64_t control(int set, int operation, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events, .data = (uint64_t)fd};
	return call(sys_epoll_ctl, (uint64_t)set, (uint64_t)operation, (uint64_t)fd, P(&e));
}
static int64_t wait_ms(int timeout) { return call(sys_epoll_wait, (uint64_t)ep, P(out), 8, (uint64_t)timeout); }

static void open_all(void)
{
	ep = (int)call(sys_epoll_create1, 0);
	call(sys_pipe2, P(pipes), O_NONBLOCK);
	event = (int)call(sys_eventfd2, 0, O_NONBLOCK);
}

static int setup(void **state)
{
	(void)state;
	descriptors_reset(1);
	memset(results, 0, sizeof(results));
	return descriptors_run(open_all) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	for (int fd = 0; fd < 64; fd++)
		fd_close(fd);
	return descriptors_open() == 0 ? 0 : -1;
}

#define TEST(name)                                                                                                     \
	static void name##_body(void);                                                                                 \
	static void name(void **state)                                                                                 \
	{                                                                                                              \
		(void)state;                                                                                           \
		assert_true(descriptors_run(name##_body));                                                             \
	}                                                                                                              \
	static void name##_body(void)

TEST(level_triggered_lasts_and_ends)
{
	char c;
	control(ep, EPOLL_CTL_ADD, pipes[0], EPOLLIN);
	assert_int_equal(wait_ms(0), 0);
	fd_write(pipes[1], "ab", 2);
	assert_int_equal(wait_ms(0), 1);
	assert_int_equal(out[0].data, pipes[0]);
	fd_read(pipes[0], &c, 1);
	assert_int_equal(wait_ms(0), 1);
	fd_read(pipes[0], &c, 1);
	assert_int_equal(wait_ms(0), 0);
	fd_close(pipes[1]);
	assert_int_equal(wait_ms(0), 1);
	assert_int_equal(out[0].events, EPOLLHUP);
}

TEST(edge_triggered_tells_each_change_once)
{
	char c;
	control(ep, EPOLL_CTL_ADD, pipes[0], EPOLLIN | EPOLLET);
	fd_write(pipes[1], "a", 1);
	assert_int_equal(wait_ms(0), 1);
	assert_int_equal(wait_ms(0), 0);
	fd_write(pipes[1], "b", 1);
	assert_int_equal(wait_ms(0), 1);
	fd_read(pipes[0], &c, 1);
	assert_int_equal(wait_ms(0), 0);
	assert_int_equal(control(ep, EPOLL_CTL_MOD, pipes[0], EPOLLIN | EPOLLET), 0);
	assert_int_equal(wait_ms(0), 1); /* MOD looks again */
}

TEST(one_shot_stops_until_rearmed)
{
	control(ep, EPOLL_CTL_ADD, pipes[0], EPOLLIN | EPOLLONESHOT);
	fd_write(pipes[1], "a", 1);
	assert_int_equal(wait_ms(0), 1);
	fd_write(pipes[1], "b", 1);
	assert_int_equal(wait_ms(0), 0);
	control(ep, EPOLL_CTL_MOD, pipes[0], EPOLLIN | EPOLLONESHOT);
	assert_int_equal(wait_ms(0), 1);
}

TEST(a_closed_file_drops_out)
{
	control(ep, EPOLL_CTL_ADD, event, EPOLLOUT);
	assert_int_equal(wait_ms(0), 1);
	fd_close(event);
	assert_int_equal(wait_ms(0), 0);
	assert_int_equal(control(ep, EPOLL_CTL_DEL, event, 0), -EBADF);
}

TEST(a_set_in_a_set_works_and_a_ring_of_sets_is_refused)
{
	int outer = ep, inner = (int)call(sys_epoll_create1, 0);
	assert_int_equal(control(inner, EPOLL_CTL_ADD, pipes[0], EPOLLIN), 0);
	assert_int_equal(control(outer, EPOLL_CTL_ADD, inner, EPOLLIN), 0);
	assert_int_equal(control(inner, EPOLL_CTL_ADD, outer, EPOLLIN), -ELOOP);
	assert_int_equal(control(inner, EPOLL_CTL_ADD, inner, EPOLLIN), -EINVAL);
	assert_int_equal(wait_ms(0), 0);
	fd_write(pipes[1], "a", 1);
	assert_int_equal(wait_ms(0), 1);
	assert_int_equal(out[0].data, inner);
	/* Five on top of each other are the most. */
	int top = outer, r = 0, deep;
	for (deep = 2; deep < 10 && r == 0; deep++) {
		int next = (int)call(sys_epoll_create1, 0);
		r = (int)control(next, EPOLL_CTL_ADD, top, EPOLLIN);
		top = next;
	}
	assert_int_equal(r, -ELOOP);
	assert_true(deep <= 8);
}

TEST(wrong_uses_are_refused)
{
	assert_int_equal(control(ep, EPOLL_CTL_MOD, event, EPOLLIN), -ENOENT);
	assert_int_equal(control(ep, EPOLL_CTL_DEL, event, EPOLLIN), -ENOENT);
	assert_int_equal(control(ep, EPOLL_CTL_ADD, event, EPOLLIN), 0);
	assert_int_equal(control(ep, EPOLL_CTL_ADD, event, EPOLLIN), -EEXIST);
	assert_int_equal(control(event, EPOLL_CTL_ADD, ep, EPOLLIN), -EINVAL);
	assert_int_equal(call(sys_epoll_wait, (uint64_t)ep, P(out), 0, 0), -EINVAL);
	assert_int_equal(call(sys_epoll_wait, (uint64_t)event, P(out), 1, 0), -EINVAL);
	fd_write(event, &(uint64_t){1}, 8);
	assert_int_equal(call(sys_epoll_wait, (uint64_t)ep, 16, 1, 0), -EFAULT);
	assert_int_equal(wait_ms(0), 1); /* the event was not lost on the bad address */
}

/* ---- sleeping ---- */

static void sleep_in_epoll(void) { results[0] = wait_ms(-1); }
static void sleep_50_ms(void) { results[0] = wait_ms(50); }
static void write_event(void) { results[1] = fd_write(event, &(uint64_t){3}, 8); }
static void add_event(void) { control(ep, EPOLL_CTL_ADD, event, EPOLLIN); }

static void a_sleeper_is_woken_by_an_event_or_by_time(void **state)
{
	(void)state;
	descriptors_run(add_event);
	results[0] = 99;
	assert_false(descriptors_run(sleep_in_epoll));
	descriptors_run(write_event);
	machine_run();
	assert_int_equal(results[0], 1);
	assert_int_equal(out[0].data, event);
	uint64_t count;
	assert_int_equal(fd_read(event, &count, 8), 8);
	assert_int_equal(count, 3);
	uint64_t before = machine_now;
	assert_true(descriptors_run(sleep_50_ms));
	assert_int_equal(results[0], 0);
	assert_true(machine_now - before >= 50 * NS_PER_MS && machine_now - before < 52 * NS_PER_MS);
}

static unsigned woken;
static void sleep_and_count(void)
{
	struct epoll_event e;
	if (call(sys_epoll_wait, (uint64_t)ep, P(&e), 1, UINT64_MAX) == 1)
		woken++;
}
static void add_edge(void) { control(ep, EPOLL_CTL_ADD, event, EPOLLIN | EPOLLET); }

static void one_edge_wakes_one_of_many(void **state)
{
	(void)state;
	woken = 0;
	descriptors_run(add_edge);
	for (unsigned i = 0; i < 4; i++)
		descriptors_start(sleep_and_count);
	machine_run();
	descriptors_run(write_event);
	assert_int_equal(woken, 1);
	descriptors_run(write_event);
	assert_int_equal(woken, 2);
	for (unsigned i = 0; i < 2; i++)
		descriptors_run(write_event);
	assert_int_equal(woken, 4);
}

static struct pollfd fds[3];
static void sleep_in_poll(void) { results[0] = call(sys_poll, P(fds), 3, UINT64_MAX); }

static void poll_waits_for_several(void **state)
{
	(void)state;
	fds[0] = (struct pollfd){.fd = pipes[0], .events = POLLIN};
	fds[1] = (struct pollfd){.fd = event, .events = POLLIN};
	fds[2] = (struct pollfd){.fd = -5, .events = POLLIN};
	assert_false(descriptors_run(sleep_in_poll));
	descriptors_run(write_event);
	machine_run();
	assert_int_equal(results[0], 1);
	assert_int_equal(fds[0].revents, 0);
	assert_int_equal(fds[1].revents, POLLIN);
	assert_int_equal(fds[2].revents, 0);
	fds[2].fd = 60;
	descriptors_run(sleep_in_poll);
	assert_int_equal(results[0], 2);
	assert_int_equal(fds[2].revents, POLLNVAL);
}

static struct __kernel_timespec left;
static void ppoll_20_ms(void)
{
	left = (struct __kernel_timespec){.tv_nsec = 20 * NS_PER_MS};
	fds[0] = (struct pollfd){.fd = pipes[0], .events = POLLIN};
	results[0] = call(sys_ppoll, P(fds), 1, P(&left), 0, 0);
}

static void ppoll_tells_the_time_that_is_left(void **state)
{
	(void)state;
	assert_true(descriptors_run(ppoll_20_ms));
	assert_int_equal(results[0], 0);
	assert_int_equal(left.tv_nsec, 0);
	fd_write(pipes[1], "x", 1);
	assert_true(descriptors_run(ppoll_20_ms));
	assert_int_equal(results[0], 1);
	assert_true(left.tv_nsec > 19 * (int64_t)NS_PER_MS);
}

TEST(select_marks_what_is_ready)
{
	uint64_t in[1] = {1ull << pipes[0] | 1ull << event}, outs[1] = {1ull << pipes[1]};
	int64_t zero[2] = {0, 0};
	fd_write(event, &(uint64_t){1}, 8);
	assert_int_equal(call(sys_select, 64, P(in), P(outs), 0, P(zero)), 2);
	assert_int_equal(in[0], 1ull << event);
	assert_int_equal(outs[0], 1ull << pipes[1]);
	in[0] = 1ull << 50;
	assert_int_equal(call(sys_select, 64, P(in), 0, 0, P(zero)), -EBADF);
	assert_int_equal(call(sys_select, UINT64_MAX, 0, 0, 0, P(zero)), -EINVAL);
}

/* ---- timers ---- */

TEST(a_timer_counts_its_periods)
{
	struct __kernel_itimerspec setting = {.it_interval.tv_nsec = 10 * NS_PER_MS, .it_value.tv_nsec = 5 * NS_PER_MS};
	uint64_t expirations, timer = (uint64_t)call(sys_timerfd_create, 1, 0), start = machine_now;

	assert_int_equal(call(sys_timerfd_settime, timer, 0, P(&setting), 0), 0);
	fd_nonblock((int)timer, true);
	assert_int_equal(fd_read((int)timer, &expirations, 8), -EAGAIN);
	assert_int_equal(fd_poll((int)timer), 0);
	fd_nonblock((int)timer, false);
	assert_int_equal(fd_read((int)timer, &expirations, 8), 8); /* sleeps */
	assert_int_equal(expirations, 1);
	assert_in_range(machine_now - start, 5 * NS_PER_MS, 6 * NS_PER_MS);
	machine_compute(47 * NS_PER_MS); /* now at 52 ms: 15, 25, 35, 45 have passed */
	assert_int_equal(fd_poll((int)timer), EPOLLIN);
	assert_int_equal(fd_read((int)timer, &expirations, 8), 8);
	assert_int_equal(expirations, 4);
	assert_int_equal(call(sys_timerfd_gettime, timer, P(&setting)), 0);
	assert_int_equal(setting.it_interval.tv_nsec, 10 * NS_PER_MS);
	assert_in_range(setting.it_value.tv_nsec, 1, 10 * NS_PER_MS);
	setting = (struct __kernel_itimerspec){.it_value.tv_nsec = 1};
	assert_int_equal(call(sys_timerfd_settime, timer, TFD_TIMER_ABSTIME, P(&setting), 0), 0);
	assert_int_equal(fd_read((int)timer, &expirations, 8), 8); /* long ago: at once */
	assert_int_equal(expirations, 1);
	setting.it_value.tv_nsec = 1000000000;
	assert_int_equal(call(sys_timerfd_settime, timer, 0, P(&setting), 0), -EINVAL);
	assert_int_equal(call(sys_timerfd_settime, (uint64_t)event, 0, P(&setting), 0), -EINVAL);
}

static void eventfd_body(void)
{
	uint64_t value = UINT64_MAX;
	int semaphore = (int)call(sys_eventfd2, 2, 1 | O_NONBLOCK);
	results[0] = fd_write(semaphore, &value, 8);
	value = UINT64_MAX - 1;
	results[1] = fd_write(semaphore, &value, 8); /* does not fit */
	results[2] = fd_read(semaphore, &value, 8);
	results[3] = (int64_t)value;
	fd_read(semaphore, &value, 8);
	results[4] = fd_read(semaphore, &value, 8);
	results[5] = fd_read(semaphore, &value, 4);
}

static void an_eventfd_counts_and_never_overflows(void **state)
{
	(void)state;
	assert_true(descriptors_run(eventfd_body));
	assert_int_equal(results[0], -EINVAL);
	assert_int_equal(results[1], -EAGAIN);
	assert_int_equal(results[2], 8);
	assert_int_equal(results[3], 1);
	assert_int_equal(results[4], -EAGAIN);
	assert_int_equal(results[5], -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(level_triggered_lasts_and_ends),
	    T(edge_triggered_tells_each_change_once),
	    T(one_shot_stops_until_rearmed),
	    T(a_closed_file_drops_out),
	    T(a_set_in_a_set_works_and_a_ring_of_sets_is_refused),
	    T(wrong_uses_are_refused),
	    T(a_sleeper_is_woken_by_an_event_or_by_time),
	    T(one_edge_wakes_one_of_many),
	    T(poll_waits_for_several),
	    T(ppoll_tells_the_time_that_is_left),
	    T(select_marks_what_is_ready),
	    T(a_timer_counts_its_periods),
	    T(an_eventfd_counts_and_never_overflows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
