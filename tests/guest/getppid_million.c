/* SPDX-License-Identifier: Apache-2.0 */
/* A million calls of the cheapest kind: all right, and how long one took is printed. */
#include "check.h"

int main(void)
{
	pid_t first = getppid();
	long bad = 0;
	long long start = now_ns();

	for (int i = 0; i < 1000000; i++)
		bad += getppid() != first;
	printf("%lld ns for a call\n", (now_ns() - start) / 1000000);
	CHECK_EQ(bad, 0);
	return check_done();
}
