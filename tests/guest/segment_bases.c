/* SPDX-License-Identifier: Apache-2.0 */
/* The FS base is the program's own, in each thread. The GS base is nucleo's: a program that asks for it is
 * refused and not harmed. */
#include "check.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003

static __thread uintptr_t mine;
static volatile int bad;

static void *body(void *arg)
{
	uintptr_t base = 0;

	mine = (uintptr_t)arg;
	CHECK_OK(syscall(SYS_arch_prctl, ARCH_GET_FS, &base));
	CHECK(base != 0 && base == *(uintptr_t *)base); /* the thread control block points at itself */
	CHECK_OK(syscall(SYS_arch_prctl, ARCH_SET_FS, base));
	long long end = now_ns() + 50000000;
	while (now_ns() < end) {
		if (mine != (uintptr_t)arg)
			bad++;
		sched_yield();
	}
	sleep_ms(2);
	CHECK_EQ(mine, (uintptr_t)arg);
	return NULL;
}

int main(void)
{
	pthread_t t[3];
	struct utsname name;
	uint64_t area[4] = {0};

	for (uintptr_t i = 0; i < 3; i++)
		NEED(pthread_create(&t[i], NULL, body, (void *)(0x1234567 + i)) == 0);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(bad, 0);
	CHECK_OK(uname(&name));
	if (strstr(name.release, "lampo") != NULL) {
		CHECK_EQ(syscall(SYS_arch_prctl, ARCH_SET_GS, area), -1);
		CHECK_EQ(errno, EINVAL);
	}
	CHECK_EQ(syscall(SYS_arch_prctl, ARCH_SET_FS, ~0ull << 47), -1);
	return check_done();
}
