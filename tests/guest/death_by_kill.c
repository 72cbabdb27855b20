/* SPDX-License-Identifier: Apache-2.0 */
/* Expect: exit 137 */
/* SIGKILL to oneself cannot be survived. */
#include <signal.h>
#include <unistd.h>

int main(void)
{
	kill(getpid(), SIGKILL);
	return 1;
}
