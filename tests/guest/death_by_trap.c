/* SPDX-License-Identifier: Apache-2.0 */
/* Expect: exit 133 */
/* An int3 without a handler ends the program by SIGTRAP. */
int main(void)
{
	__asm__ volatile("int3");
	return 1;
}
