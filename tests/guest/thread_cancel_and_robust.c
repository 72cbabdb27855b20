/* SPDX-License-Identifier: Apache-2.0 */
/* Cancelling threads in blocking calls runs their clean-up; a lock whose owner died says so to the next one. */
#include "check.h"
#include <pthread.h>
#include <semaphore.h>

static volatile int cleaned;
static int pipe_fd[2];
static sem_t started;

static void clean(void *arg) { __atomic_add_fetch(&cleaned, (int)(intptr_t)arg, __ATOMIC_SEQ_CST); }

static void *in_read(void *arg)
{
	char c;

	(void)arg;
	pthread_cleanup_push(clean, (void *)1);
	sem_post(&started);
	if (read(pipe_fd[0], &c, 1) >= 0)
		check_fail(__FILE__, __LINE__, "read must not end", 0, false);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *in_sleep(void *arg)
{
	(void)arg;
	pthread_cleanup_push(clean, (void *)10);
	sem_post(&started);
	for (;;)
		sleep(1000);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *in_cond(void *arg)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;

	(void)arg;
	pthread_cleanup_push(clean, (void *)100);
	pthread_mutex_lock(&m);
	sem_post(&started);
	for (;;)
		pthread_cond_wait(&c, &m);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *asynchronous(void *arg)
{
	(void)arg;
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	pthread_cleanup_push(clean, (void *)1000);
	sem_post(&started);
	for (;;)
		__asm__ volatile("pause");
	pthread_cleanup_pop(0);
	return NULL;
}

static void *protected(void *arg)
{
	(void)arg;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	sem_post(&started);
	sleep_ms(30);
	return (void *)5;
}

static pthread_mutex_t robust;

static void *dies_with_lock(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&robust);
	return NULL;
}

static void *waits_for_lock(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)pthread_mutex_lock(&robust);
}

static void *dies_later(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&robust);
	sem_post(&started);
	sleep_ms(40);
	return NULL;
}

int main(void)
{
	static void *(*const bodies[])(void *) = {in_read, in_sleep, in_cond, asynchronous};
	pthread_mutexattr_t attr;
	pthread_t t, u;
	void *value;

	NEED(pipe(pipe_fd) == 0);
	sem_init(&started, 0, 0);
	for (size_t i = 0; i < countof(bodies); i++) {
		NEED(pthread_create(&t, NULL, bodies[i], NULL) == 0);
		sem_wait(&started);
		sleep_ms(10);
		CHECK_EQ(pthread_cancel(t), 0);
		CHECK_EQ(pthread_join(t, &value), 0);
		CHECK(value == PTHREAD_CANCELED);
	}
	CHECK_EQ(cleaned, 1111);
	NEED(pthread_create(&t, NULL, protected, NULL) == 0);
	sem_wait(&started);
	pthread_cancel(t);
	pthread_join(t, &value);
	CHECK(value == (void *)5);

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attr);
	NEED(pthread_create(&t, NULL, dies_with_lock, NULL) == 0);
	pthread_join(t, NULL);
	CHECK_EQ(pthread_mutex_lock(&robust), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(&robust), 0);
	CHECK_EQ(pthread_mutex_unlock(&robust), 0);
	CHECK_EQ(pthread_mutex_lock(&robust), 0);
	CHECK_EQ(pthread_mutex_unlock(&robust), 0);
	/* One waits while the owner dies: it is woken. */
	NEED(pthread_create(&t, NULL, dies_later, NULL) == 0);
	sem_wait(&started);
	NEED(pthread_create(&u, NULL, waits_for_lock, NULL) == 0);
	pthread_join(u, &value);
	CHECK_EQ((intptr_t)value, EOWNERDEAD);
	pthread_join(t, NULL);
	return check_done();
}
