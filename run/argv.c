/* SPDX-License-Identifier: Apache-2.0 */
#include "run/argv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct argv *argv, size_t bytes)
{
	if (argv->failed)
		return false;
	if (argv->text_size - argv->text_used >= bytes)
		return true;
	size_t size = (argv->text_size + bytes) * 2 + 4096;
	char *text = realloc(argv->text, size);
	if (text == NULL) {
		argv->failed = true;
		return false;
	}
	argv->text = text;
	argv->text_size = size;
	return true;
}

void argv_add(struct argv *argv, const char *string)
{
	size_t size = strlen(string) + 1;

	if (!reserve(argv, size))
		return;
	memcpy(argv->text + argv->text_used, string, size);
	argv->text_used += size;
	argv->count++;
}

void argv_add2(struct argv *argv, const char *first, const char *second)
{
	argv_add(argv, first);
	argv_add(argv, second);
}

void argv_addf(struct argv *argv, const char *format, ...)
{
	char *string;
	va_list args;

	va_start(args, format);
	int n = vasprintf(&string, format, args);
	va_end(args);
	if (n < 0) {
		argv->failed = true;
		return;
	}
	argv_add(argv, string);
	free(string);
}

char **argv_finish(struct argv *argv, char **text)
{
	char **vector = argv->failed ? NULL : malloc((argv->count + 1) * sizeof(*vector));

	*text = argv->text;
	if (vector == NULL) {
		free(argv->text);
		*text = NULL;
		return NULL;
	}
	char *p = argv->text;
	for (size_t i = 0; i < argv->count; i++, p += strlen(p) + 1)
		vector[i] = p;
	vector[argv->count] = NULL;
	return vector;
}
