/* SPDX-License-Identifier: Apache-2.0 */
/* Expect: exit 134 */
/* abort ends the program by SIGABRT, even where that is blocked and ignored. */
#include <signal.h>
#include <stdlib.h>

int main(void)
{
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGABRT, SIG_IGN);
	abort();
}
