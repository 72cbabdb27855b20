/* SPDX-License-Identifier: Apache-2.0 */
/* Expect: exit 42 */
/* The value of main is the exit status. */
int main(void) { return 42; }
