/* SPDX-License-Identifier: Apache-2.0 */
/* Affinity and scheduling calls: sets are kept, the thread runs where it must, nonsense is refused. */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static void *inherited(void *arg)
{
	cpu_set_t set;

	CHECK_OK(sched_getaffinity(0, sizeof(set), &set));
	CHECK_EQ(CPU_COUNT(&set), 1);
	CHECK(CPU_EQUAL(&set, (cpu_set_t *)arg));
	return NULL;
}

int main(void)
{
	cpu_set_t all, set;
	struct sched_param param = {0};
	struct timespec slice;
	pthread_t t;

	CHECK_OK(sched_getaffinity(0, sizeof(all), &all));
	CHECK(CPU_COUNT(&all) >= 1);
	CHECK_EQ(sysconf(_SC_NPROCESSORS_ONLN) >= CPU_COUNT(&all), 1);
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &all))
			continue;
		CPU_ZERO(&set);
		CPU_SET(i, &set);
		CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
		unsigned cpu = 999, node = 999;
		CHECK_OK(syscall(SYS_getcpu, &cpu, &node, NULL));
		CHECK_EQ(cpu, i);
		CHECK_EQ(sched_getcpu(), i);
		sched_yield();
		sleep_ms(1);
		CHECK_EQ(sched_getcpu(), i);
		NEED(pthread_create(&t, NULL, inherited, &set) == 0);
		pthread_join(t, NULL);
	}
	CHECK_OK(sched_setaffinity(0, sizeof(all), &all));
	CPU_ZERO(&set);
	CHECK_ERR(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	CHECK_ERR(sched_getaffinity(0, 1, &set), EINVAL);
	CHECK_ERR(sched_getaffinity(0x3ffffff0, sizeof(set), &set), ESRCH);
	CHECK_ERR(syscall(SYS_sched_setaffinity, 0, sizeof(set), 8), EFAULT);
	/* What the raw call returns is the size of the mask in bytes: libc and Go count on it. */
	long n = syscall(SYS_sched_getaffinity, 0, sizeof(set), &set);
	CHECK(n >= 8 && n % 8 == 0);

	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
	CHECK_OK(sched_getparam(0, &param));
	CHECK_EQ(param.sched_priority, 0);
	CHECK_OK(sched_setscheduler(0, SCHED_OTHER, &param));
	CHECK_EQ(sched_get_priority_min(SCHED_FIFO), 1);
	CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
	CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0);
	CHECK_ERR(sched_get_priority_max(77), EINVAL);
	CHECK_OK(sched_rr_get_interval(0, &slice));
	CHECK_OK(sched_yield());
	errno = 0;
	CHECK(getpriority(PRIO_PROCESS, 0) >= -20 && errno == 0);
	CHECK_ERR(getpriority(55, 0), EINVAL);
	return check_done();
}
