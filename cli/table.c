/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int table_add(struct table *table, const char *const *cells, struct err *err)
{
	char **grown = realloc(table->cells, (table->rows + 1) * table->columns * sizeof(*grown));

	if (grown == NULL)
		return err_set(err, -ENOMEM, "cannot make the table");
	table->cells = grown;
	char **row = grown + table->rows * table->columns;
	for (size_t i = 0; i < table->columns; i++) {
		row[i] = strdup(cells[i]);
		if (row[i] == NULL) {
			while (i > 0)
				free(row[--i]);
			return err_set(err, -ENOMEM, "cannot make the table");
		}
		/* What a VM's user chose must not drive the terminal of who lists VMs. */
		for (char *p = row[i]; *p != '\0'; p++)
			if (iscntrl((unsigned char)*p))
				*p = '?';
	}
	table->rows++;
	return 0;
}

/* Characters, not bytes, of UTF-8. */
static int width_of(const char *text)
{
	int n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void print_row(const struct table *table, const char *const *cells, const int *widths)
{
	for (size_t i = 0; i + 1 < table->columns; i++)
		printf("%s%*s  ", cells[i], widths[i] - width_of(cells[i]), "");
	printf("%s\n", cells[table->columns - 1]);
}

void table_print(const struct table *table)
{
	int widths[TABLE_COLUMNS_MAX] = {0};

	for (size_t i = 0; i < table->columns; i++)
		widths[i] = width_of(table->titles[i]);
	for (size_t i = 0; i < table->rows * table->columns; i++) {
		int *w = &widths[i % table->columns], n = width_of(table->cells[i]);
		*w = n > *w ? n : *w;
	}
	print_row(table, table->titles, widths);
	for (size_t i = 0; i < table->rows; i++)
		print_row(table, (const char *const *)table->cells + i * table->columns, widths);
}

void table_fini(struct table *table)
{
	for (size_t i = 0; i < table->rows * table->columns; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->rows = 0;
}

int table_print_json(json_t *value, struct err *err)
{
	if (value == NULL)
		return err_set(err, -ENOMEM, "cannot make the JSON output");
	int failed = json_dumpf(value, stdout, JSON_INDENT(2));
	json_decref(value);
	if (failed != 0)
		return err_set(err, -EIO, "cannot write the JSON output");
	putchar('\n');
	return 0;
}

void table_format_bytes(char *text, size_t size, uint64_t bytes)
{
	static const char units[] = "KMGT";
	int unit = -1;
	double value = (double)bytes;

	while (value >= 1024 && unit < 3) {
		value /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(text, size, "%llu", (unsigned long long)bytes);
	else if (value >= 100 || value == (double)(uint64_t)value)
		snprintf(text, size, "%.0f%c", value, units[unit]);
	else
		snprintf(text, size, "%.1f%c", value, units[unit]);
}

void table_format_duration(char *text, size_t size, uint64_t ns)
{
	unsigned long long s = ns / 1000000000u;

	if (s < 60)
		snprintf(text, size, "%.2fs", (double)ns / 1e9);
	else if (s < 3600)
		snprintf(text, size, "%llum %02llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, size, "%lluh %02llum", s / 3600, s / 60 % 60);
	else
		snprintf(text, size, "%llud %02lluh", s / 86400, s / 3600 % 24);
}
