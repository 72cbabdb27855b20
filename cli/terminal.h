/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's terminal in raw mode, for -t. */
#ifndef LAMPO_CLI_TERMINAL_H
#define LAMPO_CLI_TERMINAL_H

#include <stdbool.h>

/* The descriptor of the terminal among 0, 1, 2, or -1. */
int terminal_find(void);
/* Rows and columns; false if unknown. */
bool terminal_size(int fd, unsigned *rows, unsigned *columns);
/* Raw mode, so that every key reaches the program in the VM; the old mode is kept. */
void terminal_raw(int fd);
/* Back to the old mode, if terminal_raw() changed it. May be called at any time, more than once. */
void terminal_restore(void);

#endif
