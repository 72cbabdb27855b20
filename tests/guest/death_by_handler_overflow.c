/* SPDX-License-Identifier: Apache-2.0 */
/* Expect: exit 139 */
/* A handler that cannot be entered, as there is no stack for it, means SIGSEGV and the end. */
#include <signal.h>

static void handler(int sig) { (void)sig; }

int main(void)
{
	signal(SIGSEGV, handler);
	signal(SIGUSR1, handler);
	__asm__ volatile("mov $0x1000, %rsp; movl $0, 0");
	return 1;
}
