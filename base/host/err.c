/* SPDX-License-Identifier: Apache-2.0 */
#include "base/host/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int(err_set)(struct err *err, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	/* cppcheck-suppress ctuuninitvar */
	int n = vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	err->code = code;
	err->hint[0] = '\0';
	size_t len = n < 0 ? 0 : (size_t)n;
	if (len >= sizeof(err->text))
		len = sizeof(err->text) - 1;
	if (len > 0 && err->text[len - 1] == '!')
		err->text[len - 1] = '\0';
	else if (code < 0)
		snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(-code));
	return code;
}

int(err_wrap)(struct err *err, const char *format, ...)
{
	char context[sizeof(err->text)];
	char old[sizeof(err->text)];
	va_list args;
	va_start(args, format);
	vsnprintf(context, sizeof(context), format, args);
	va_end(args);
	memcpy(old, err->text, sizeof(old));
	size_t len = strnlen(context, sizeof(err->text) - 3);
	memcpy(err->text, context, len);
	snprintf(err->text + len, sizeof(err->text) - len, ": %.*s", (int)(sizeof(err->text) - len - 3), old);
	return err->code;
}

int(err_hint)(struct err *err, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(err->hint, sizeof(err->hint), format, args);
	va_end(args);
	return err->code;
}

static void print_line(const char *program, const char *text)
{
	char line[sizeof(((struct err *)0)->text)];
	size_t len = strnlen(text, sizeof(line) - 1);

	for (size_t i = 0; i < len; i++)
		line[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	line[len] = '\0';
	fprintf(stderr, "%s: %s\n", program, line);
}

void err_print(const struct err *err, const char *program)
{
	print_line(program, err->text);
	if (err->hint[0] != '\0')
		print_line(program, err->hint);
}
