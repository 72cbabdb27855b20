/* SPDX-License-Identifier: Apache-2.0 */
/* Expect: exit 141 */
/* A write to a pipe without readers ends the program by SIGPIPE. */
#include <unistd.h>

int main(void)
{
	int fd[2];

	if (pipe(fd) != 0)
		return 1;
	close(fd[0]);
	return write(fd[1], "x", 1) == 1 ? 2 : 3;
}
