/* SPDX-License-Identifier: Apache-2.0 */
/* Expect: exit 139 */
/* A bad access without a handler ends the program by SIGSEGV. */
#include <stdlib.h>

int main(void)
{
	*(volatile int *)16 = 1;
	return 1;
}
