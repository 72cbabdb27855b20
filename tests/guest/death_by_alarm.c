/* SPDX-License-Identifier: Apache-2.0 */
/* Expect: exit 142 */
/* An alarm without a handler ends the program by SIGALRM. */
#include <unistd.h>

int main(void)
{
	alarm(1);
	for (;;)
		pause();
}
