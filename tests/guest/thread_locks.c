/* SPDX-License-Identifier: Apache-2.0 */
/* Mutexes of each kind, conditions, read-write locks, semaphores, barriers: exclusion under contention and time-outs.
 */
#include "check.h"
#include <pthread.h>
#include <semaphore.h>

#define THREADS 4
#define ROUNDS 20000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static long counter, rw_a, rw_b;
static sem_t sem;
static volatile int turn, readers_bad;

static struct timespec from_now(long ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static void *count(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void *ping(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&lock);
		while (turn != me)
			pthread_cond_wait(&cond, &lock);
		turn = 1 - me;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static void *read_write(void *arg)
{
	for (int i = 0; i < 3000; i++) {
		if (arg == NULL) {
			pthread_rwlock_wrlock(&rwlock);
			rw_a++;
			rw_b--;
		} else {
			pthread_rwlock_rdlock(&rwlock);
			if (rw_a + rw_b != 0)
				readers_bad = 1;
		}
		pthread_rwlock_unlock(&rwlock);
	}
	return NULL;
}

static void *hold(void *arg)
{
	pthread_mutex_lock(arg);
	sem_post(&sem);
	sleep_ms(60);
	pthread_mutex_unlock(arg);
	return NULL;
}

static void *barrier_body(void *arg)
{
	for (int i = 0; i < 50; i++)
		if (pthread_barrier_wait(arg) == PTHREAD_BARRIER_SERIAL_THREAD)
			__atomic_add_fetch(&counter, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void all(void *(*body)(void *), void *a, void *b)
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		NEED(pthread_create(&t[i], NULL, body, i & 1 ? b : a) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

static void kinds(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	pthread_t t;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&m, &attr);
	CHECK_EQ(pthread_mutex_lock(&m), 0);
	CHECK_EQ(pthread_mutex_lock(&m), 0);
	CHECK_EQ(pthread_mutex_unlock(&m), 0);
	CHECK_EQ(pthread_mutex_unlock(&m), 0);
	CHECK_EQ(pthread_mutex_unlock(&m), EPERM);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&m, &attr);
	CHECK_EQ(pthread_mutex_lock(&m), 0);
	CHECK_EQ(pthread_mutex_lock(&m), EDEADLK);
	CHECK_EQ(pthread_mutex_trylock(&m), EBUSY);
	CHECK_EQ(pthread_mutex_unlock(&m), 0);
	/* Held elsewhere: a time-out, then success. */
	sem_init(&sem, 0, 0);
	NEED(pthread_create(&t, NULL, hold, &lock) == 0);
	sem_wait(&sem);
	struct timespec at = from_now(15);
	CHECK_EQ(pthread_mutex_timedlock(&lock, &at), ETIMEDOUT);
	CHECK_EQ(pthread_mutex_trylock(&lock), EBUSY);
	at = from_now(5000);
	CHECK_EQ(pthread_mutex_timedlock(&lock, &at), 0);
	pthread_mutex_unlock(&lock);
	pthread_join(t, NULL);
	at = from_now(15);
	pthread_mutex_lock(&lock);
	CHECK_EQ(pthread_cond_timedwait(&cond, &lock, &at), ETIMEDOUT);
	pthread_mutex_unlock(&lock);
	at = from_now(15);
	CHECK_ERR(sem_timedwait(&sem, &at), ETIMEDOUT);
	CHECK_ERR(sem_trywait(&sem), EAGAIN);
}

int main(void)
{
	pthread_barrier_t barrier;

	all(count, NULL, NULL);
	CHECK_EQ(counter, THREADS * ROUNDS);
	all(ping, (void *)0, (void *)1); /* two of each side: turns are shared */
	all(read_write, NULL, (void *)1);
	CHECK_EQ(rw_a, THREADS / 2 * 3000);
	CHECK_EQ(readers_bad, 0);
	kinds();
	counter = 0;
	pthread_barrier_init(&barrier, NULL, THREADS);
	all(barrier_body, &barrier, &barrier);
	CHECK_EQ(counter, 50);
	return check_done();
}
