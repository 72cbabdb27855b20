/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

extern char **environ;

static bool passed(const char *string, size_t name_len)
{
	static const char *const names[] = {"PATH", "HOME", "LANG", "TERM", "TZ", "USER"};

	if (strncmp(string, "LC_", 3) == 0)
		return true;
	for (size_t i = 0; i < countof(names); i++)
		if (strlen(names[i]) == name_len && strncmp(string, names[i], name_len) == 0)
			return true;
	return false;
}

/* string: "K=V", copied */
static int set(struct environment *e, const char *string)
{
	size_t name_size = strcspn(string, "=") + 1;
	size_t i = 0;

	while (i < e->count && strncmp(e->strings[i], string, name_size) != 0)
		i++;
	char *copy;
	if (asprintf(&copy, "%s", string) < 0)
		return -ENOMEM;
	if (i == e->count)
		e->strings[++e->count] = NULL;
	free(e->strings[i]);
	e->strings[i] = copy;
	return 0;
}

/* -e K=V, or -e K for the caller's value; a K that the caller does not have is left out. */
static int set_option(struct environment *e, const char *value, struct err *err)
{
	size_t len = strcspn(value, "=");

	if (len == 0) {
		err_set(err, -EINVAL, "'%s' is not an environment variable!", value);
		return err_hint(err, "give NAME=VALUE, or NAME to take the value from your environment");
	}
	if (value[len] == '=')
		return set(e, value);
	for (char **p = environ; *p != NULL; p++)
		if (strncmp(*p, value, len) == 0 && (*p)[len] == '=')
			return set(e, *p);
	return 0;
}

#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Room for `more` strings and those that we add. */
static int begin(struct environment *e, const struct arguments *arguments, char *const *more, struct err *err)
{
	size_t max = arguments->value_count + 4;

	for (char *const *p = more; p != NULL && *p != NULL; p++)
		max++;
	*e = (struct environment){.strings = calloc(max, sizeof(e->strings[0]))};
	return e->strings == NULL ? err_set(err, -ENOMEM, "cannot make the environment") : 0;
}

/* code: of what came before */
static int finish(struct environment *e, const struct arguments *arguments, int code, struct err *err)
{
	if (code < 0)
		return err_set(err, code, "cannot make the environment");
	for (size_t i = 0; i < arguments->value_count && code == 0; i++)
		if (strcmp(arguments->values[i].option->name, "env") == 0)
			code = set_option(e, arguments->values[i].value, err);
	return code;
}

int environment_init(struct environment *e, const struct arguments *arguments, bool tty, struct err *err)
{
	int code = begin(e, arguments, environ, err);

	if (code < 0)
		return code;
	if (tty)
		code = set(e, "TERM=xterm");
	for (char **p = environ; *p != NULL && code == 0; p++) {
		size_t len = strcspn(*p, "=");
		if ((*p)[len] == '=' && passed(*p, len))
			code = set(e, *p);
	}
	if (code == 0 && getenv("PATH") == NULL)
		code = set(e, PATH_DEFAULT);
	return finish(e, arguments, code, err);
}

int environment_init_image(struct environment *e, const struct arguments *arguments, char *const *image,
			   const char *home, bool tty, struct err *err)
{
	char *variable;
	int code = begin(e, arguments, image, err);

	if (code < 0)
		return code;
	code = set(e, PATH_DEFAULT);
	if (code == 0 && asprintf(&variable, "HOME=%s", home) >= 0) {
		code = set(e, variable);
		free(variable);
	} else {
		code = -ENOMEM;
	}
	if (tty && code == 0)
		code = set(e, "TERM=xterm");
	for (char *const *p = image; p != NULL && *p != NULL && code == 0; p++)
		if ((*p)[0] != '=' && strchr(*p, '=') != NULL)
			code = set(e, *p);
	return finish(e, arguments, code, err);
}

void environment_fini(struct environment *e)
{
	for (size_t i = 0; i < e->count; i++)
		free(e->strings[i]);
	free(e->strings);
	*e = (struct environment){0};
}
