/* SPDX-License-Identifier: Apache-2.0 */
/* Expect: exit 139 */
/* A fault whose signal is blocked or ignored ends the program all the same. */
#include <signal.h>

int main(void)
{
	sigset_t set;

	signal(SIGSEGV, SIG_IGN);
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	*(volatile int *)16 = 1;
	return 1;
}
