/* SPDX-License-Identifier: Apache-2.0 */
/* Expect: exit 7 */
/* exit in any thread ends the program, whatever the others do. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *spin(void *arg)
{
	for (;;)
		__asm__ volatile("pause");
	return arg;
}

static void *block(void *arg)
{
	pause();
	return arg;
}

static void *leave(void *arg)
{
	usleep(20000);
	_exit(7);
	return arg;
}

int main(void)
{
	pthread_t t;

	pthread_create(&t, NULL, spin, NULL);
	pthread_create(&t, NULL, block, NULL);
	pthread_create(&t, NULL, leave, NULL);
	pthread_join(t, NULL);
	return 1;
}
