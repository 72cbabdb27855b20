/* SPDX-License-Identifier: Apache-2.0 */
/* Expect: exit 9 */
/* When only the main thread ends, the program goes on until the last thread's end. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_t main_thread;

static void *last(void *arg)
{
	if (pthread_join(main_thread, NULL) != 0)
		_exit(1);
	usleep(10000);
	exit(9);
	return arg;
}

int main(void)
{
	pthread_t t;

	main_thread = pthread_self();
	if (pthread_create(&t, NULL, last, NULL) != 0)
		return 2;
	pthread_exit(NULL);
}
