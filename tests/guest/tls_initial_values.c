/* SPDX-License-Identifier: Apache-2.0 */
/* Thread-local variables start with their initial values, aligned, in the main thread and in others. */
#include "check.h"
#include <pthread.h>

static __thread int counter = 42;
static __thread char zero[300];
static __thread _Alignas(64) long aligned = 7;

static void *body(void *arg)
{
	CHECK_EQ(counter, 42);
	CHECK_EQ(aligned, 7);
	CHECK_EQ((uintptr_t)&aligned % 64, 0);
	for (size_t i = 0; i < sizeof(zero); i++)
		CHECK(zero[i] == 0);
	counter = (int)(intptr_t)arg;
	memset(zero, 1, sizeof(zero));
	sleep_ms(2);
	CHECK_EQ(counter, (intptr_t)arg);
	return &counter;
}

int main(void)
{
	pthread_t t[8];
	void *at[8];

	body((void *)100);
	for (intptr_t i = 0; i < 8; i++)
		NEED(pthread_create(&t[i], NULL, body, (void *)i) == 0);
	for (int i = 0; i < 8; i++) {
		NEED(pthread_join(t[i], &at[i]) == 0);
		CHECK(at[i] != &counter);
	}
	CHECK_EQ(counter, 100);
	uintptr_t self;
	__asm__("mov %%fs:0, %0" : "=r"(self));
	CHECK_EQ(*(uintptr_t *)self, self);
	return check_done();
}
