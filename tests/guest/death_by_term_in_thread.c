/* SPDX-License-Identifier: Apache-2.0 */
/* Expect: exit 143 */
/* A deadly signal to one thread ends the whole program. */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static void *body(void *arg)
{
	pause();
	return arg;
}

int main(void)
{
	pthread_t t;

	pthread_create(&t, NULL, body, NULL);
	usleep(10000);
	pthread_kill(t, SIGTERM);
	pause();
	return 1;
}
