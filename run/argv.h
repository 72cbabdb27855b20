/* SPDX-License-Identifier: Apache-2.0 */
/* Building an argument vector. A failed allocation is remembered; argv_finish() then gives NULL. */
#ifndef LAMPO_RUN_ARGV_H
#define LAMPO_RUN_ARGV_H

#include <stdbool.h>
#include <stddef.h>

struct argv {
	char *text; /* the strings, one after another: offsets until argv_finish(), as text may move */
	size_t text_size, text_used;
	size_t count;
	bool failed;
};

void argv_add(struct argv *argv, const char *string);
void argv_add2(struct argv *argv, const char *first, const char *second);
void argv_addf(struct argv *argv, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The NULL-terminated vector, and in *text the strings that it points into; the caller frees both. */
char **argv_finish(struct argv *argv, char **text);

#endif
