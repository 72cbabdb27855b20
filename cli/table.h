/* SPDX-License-Identifier: Apache-2.0 */
/* Output of tables, to standard output: for people, or as JSON. */
#ifndef LAMPO_CLI_TABLE_H
#define LAMPO_CLI_TABLE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/host/err.h"

#define TABLE_COLUMNS_MAX 12u

struct table {
	const char *const *titles;
	size_t columns, rows;
	char **cells; /* rows * columns, owned */
};

/* Adds a row of copies; control characters become '?'. -ENOMEM. */
int table_add(struct table *table, const char *const *cells, struct err *err);
void table_print(const struct table *table);
void table_fini(struct table *table);

/* Prints and drops the value (NULL: out of memory). 0, or a negative errno. */
int table_print_json(json_t *value, struct err *err);

/* "512M", "1.5G" */
void table_format_bytes(char *text, size_t size, uint64_t bytes);
/* "0.12s", "3m 05s", "2h 11m", "4d 03h" */
void table_format_duration(char *text, size_t size, uint64_t ns);

#endif
