/* SPDX-License-Identifier: Apache-2.0 */
/* The futex call itself: wait, wake, bitsets, requeue, wake_op, time-outs, shared and private, and what is refused. */
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static uint32_t word, second;
static volatile int sleeping, woken;

static long futex(uint32_t *at, int op, uint32_t val, const void *timeout, uint32_t *at2, uint32_t val3)
{
	return syscall(SYS_futex, at, op, val, timeout, at2, val3);
}

struct waiter {
	uint32_t *at;
	uint32_t bits;
	int op;
	volatile long result;
	volatile int error;
	pthread_t thread;
};

static void *wait_body(void *arg)
{
	struct waiter *w = arg;

	__atomic_add_fetch(&sleeping, 1, __ATOMIC_SEQ_CST);
	w->result = futex(w->at, w->op, 0, NULL, NULL, w->bits);
	w->error = errno;
	__atomic_add_fetch(&woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void waiters_start(struct waiter *w, int n)
{
	sleeping = woken = 0;
	for (int i = 0; i < n; i++)
		NEED(pthread_create(&w[i].thread, NULL, wait_body, &w[i]) == 0);
	for (int i = 0; i < 2000 && sleeping < n; i++)
		sleep_ms(1);
	sleep_ms(60);
	CHECK_EQ(woken, 0);
}

static void woken_becomes(int n)
{
	for (int i = 0; i < 2000 && woken < n; i++)
		sleep_ms(1);
	sleep_ms(20);
	CHECK_EQ(woken, n);
}

static void waiters_join(struct waiter *w, int n)
{
	for (int i = 0; i < n; i++) {
		pthread_join(w[i].thread, NULL);
		CHECK_EQ(w[i].result, 0);
	}
}

static void errors_and_timeouts(void)
{
	struct timespec t = {0, 20000000}, bad = {0, -1};

	word = 5;
	CHECK_ERR(futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN);
	long long start = now_ns();
	CHECK_ERR(futex(&word, FUTEX_WAIT_PRIVATE, 5, &t, NULL, 0), ETIMEDOUT);
	CHECK(now_ns() - start >= 20000000 && now_ns() - start < 3000000000ll);
	/* WAIT_BITSET takes an absolute time. */
	long long at = now_ns() + 20000000;
	t = (struct timespec){at / 1000000000, at % 1000000000};
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 5, &t, NULL, ~0u), ETIMEDOUT);
	CHECK(now_ns() >= at);
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 10000000;
	if (t.tv_nsec >= 1000000000)
		t.tv_sec++, t.tv_nsec -= 1000000000;
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 5, &t, NULL, ~0u), ETIMEDOUT);
	t = (struct timespec){1, 0};
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 5, &t, NULL, ~0u), ETIMEDOUT); /* long past */
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 5, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word, FUTEX_WAIT_PRIVATE, 5, &bad, NULL, 0), EINVAL);
	CHECK_ERR(futex((uint32_t *)((char *)&word + 1), FUTEX_WAIT, 5, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex((uint32_t *)8, FUTEX_WAIT_PRIVATE, 5, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex((uint32_t *)8, FUTEX_WAIT, 5, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex(&word, FUTEX_WAIT_PRIVATE, 5, (void *)8, NULL, 0), EFAULT);
	CHECK_ERR(futex(&word, 77, 0, NULL, NULL, 0), ENOSYS);
	CHECK_EQ(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	/* Priority inheritance: it works, or it is refused in a way that glibc understands. */
	uint32_t pi = 0;
	long r = futex(&pi, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
	CHECK(r == 0 || (r == -1 && errno == ENOSYS));
	if (r == 0)
		CHECK_EQ(futex(&pi, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
}

static void wake_counts(void)
{
	struct waiter w[4];

	word = 0;
	for (int i = 0; i < 4; i++)
		w[i] = (struct waiter){.at = &word, .op = FUTEX_WAIT_PRIVATE};
	waiters_start(w, 4);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	woken_becomes(1);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0), 2);
	woken_becomes(3);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0), 1);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0), 0);
	waiters_join(w, 4);
}

static void bitsets(void)
{
	struct waiter w[3];

	for (int i = 0; i < 3; i++)
		w[i] = (struct waiter){.at = &word, .op = FUTEX_WAIT_BITSET_PRIVATE, .bits = 1u << i};
	waiters_start(w, 3);
	CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 8), 0);
	CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 2), 1);
	woken_becomes(1);
	pthread_join(w[1].thread, NULL);
	CHECK_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0), 2);
	pthread_join(w[0].thread, NULL);
	pthread_join(w[2].thread, NULL);
}

static void requeue(void)
{
	struct waiter w[4];

	for (int i = 0; i < 4; i++)
		w[i] = (struct waiter){.at = &word, .op = FUTEX_WAIT_PRIVATE};
	waiters_start(w, 4);
	CHECK_ERR(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &second, 99), EAGAIN);
	CHECK_EQ(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &second, 0), 3);
	woken_becomes(1);
	CHECK_EQ(futex(&second, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0), 2);
	woken_becomes(3);
	CHECK_EQ(futex(&word, FUTEX_REQUEUE_PRIVATE, 0, (void *)5, &second, 0), 1);
	woken_becomes(3);
	CHECK_EQ(futex(&second, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	waiters_join(w, 4);
}

static void wake_op(void)
{
	struct waiter w[2] = {{.at = &word, .op = FUTEX_WAIT_PRIVATE}, {.at = &second, .op = FUTEX_WAIT_PRIVATE}};

	word = second = 0;
	waiters_start(w, 2);
	/* second += 7; wake one of word, and one of second as its old value was 0. */
	CHECK_EQ(
	    futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &second, FUTEX_OP(FUTEX_OP_ADD, 7, FUTEX_OP_CMP_EQ, 0)),
	    2);
	CHECK_EQ(second, 7);
	waiters_join(w, 2);
	CHECK_EQ(
	    futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &second, FUTEX_OP(FUTEX_OP_SET, 3, FUTEX_OP_CMP_GT, 100)),
	    0);
	CHECK_EQ(second, 3);
}

static void shared_memory(void)
{
	int fd = memfd_create("futex", 0);
	NEED(fd >= 0 && ftruncate(fd, 4096) == 0);
	uint32_t *a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint32_t *b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	NEED(a != MAP_FAILED && b != MAP_FAILED && a != b);
	/* One page at two addresses is one futex, but only when shared. */
	struct waiter w = {.at = a + 4, .op = FUTEX_WAIT};
	waiters_start(&w, 1);
	CHECK_EQ(futex(b + 4, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
	CHECK_EQ(futex(b + 5, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	CHECK_EQ(futex(b + 4, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	waiters_join(&w, 1);
}

int main(void)
{
	errors_and_timeouts();
	wake_counts();
	bitsets();
	requeue();
	wake_op();
	shared_memory();
	return check_done();
}
