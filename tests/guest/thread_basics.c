/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: many at once and one after another, values, ids, names, detached ones, keys with destructors, stacks. */
#include "check.h"
#include <limits.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static pthread_key_t key;
static volatile int destroyed, detached_done, once_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_barrier_t barrier;

static void destroy(void *p)
{
	free(p);
	__atomic_add_fetch(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static void count_once(void) { once_count++; }

static void *body(void *arg)
{
	pthread_once(&once, count_once);
	int *p = malloc(sizeof(int));
	*p = (int)(intptr_t)arg;
	pthread_setspecific(key, p);
	sched_yield();
	CHECK_EQ(*(int *)pthread_getspecific(key), (intptr_t)arg);
	return (void *)((intptr_t)arg * 2);
}

static void *ids(void *arg)
{
	pid_t *tid = arg;
	char name[16];

	*tid = (pid_t)syscall(SYS_gettid);
	CHECK(getpid() != *tid);
	CHECK_OK(prctl(PR_SET_NAME, "a-long-name-here-cut"));
	CHECK_OK(prctl(PR_GET_NAME, name));
	CHECK(strcmp(name, "a-long-name-her") == 0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void *detached(void *arg)
{
	(void)arg;
	detached_done = 1;
	return NULL;
}

static void *use_stack(void *arg)
{
	volatile char big[900 * 1024];

	(void)arg;
	for (size_t i = 0; i < sizeof(big); i += 4096)
		big[i] = 1;
	return (void *)(intptr_t)big[0];
}

int main(void)
{
	pthread_t t[64];
	void *value;

	NEED(pthread_key_create(&key, destroy) == 0);
	for (intptr_t i = 0; i < 64; i++)
		NEED(pthread_create(&t[i], NULL, body, (void *)i) == 0);
	for (intptr_t i = 0; i < 64; i++) {
		CHECK_EQ(pthread_join(t[i], &value), 0);
		CHECK_EQ((intptr_t)value, i * 2);
	}
	CHECK_EQ(destroyed, 64);
	CHECK_EQ(once_count, 1);
	for (intptr_t i = 0; i < 300; i++) {
		NEED(pthread_create(&t[0], NULL, body, (void *)i) == 0);
		pthread_join(t[0], &value);
	}
	CHECK_EQ((intptr_t)value, 598);

	/* Ids differ, the process stays one. */
	pid_t tid[4];
	NEED(pthread_barrier_init(&barrier, NULL, 5) == 0);
	CHECK_EQ(syscall(SYS_gettid), getpid());
	for (int i = 0; i < 4; i++)
		NEED(pthread_create(&t[i], NULL, ids, &tid[i]) == 0);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			CHECK(tid[i] != tid[j]);
	int tasks = 0;
	DIR *d = opendir("/proc/self/task");
	NEED(d != NULL);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		tasks += e->d_name[0] != '.';
	closedir(d);
	CHECK_EQ(tasks, 5);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);

	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	NEED(pthread_create(&t[0], &attr, detached, NULL) == 0);
	for (int i = 0; i < 2000 && !detached_done; i++)
		sleep_ms(1);
	CHECK_EQ(detached_done, 1);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_JOINABLE);
	CHECK_EQ(pthread_attr_setstacksize(&attr, 1024 * 1024), 0);
	NEED(pthread_create(&t[0], &attr, use_stack, NULL) == 0);
	pthread_join(t[0], &value);
	CHECK_EQ((intptr_t)value, 1);
	CHECK_EQ(pthread_attr_setstacksize(&attr, 100), EINVAL);
	return check_done();
}
