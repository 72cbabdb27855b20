/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing by the table of cli/command.c: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -abc, "--". */
#include "cli/command.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	struct arguments *out;
	char **argv;
	int argc, next;
	struct err *err;
};

static int fail(struct parser *p, const char *what, const char *text)
{
	err_set(p->err, -EINVAL, "%s %s!", what, text);
	return err_hint(p->err, "'lampo help %s' explains the command", p->out->command->name);
}

static const struct command_option *find(const struct command *command, const char *name, size_t len, char letter)
{
	for (size_t i = 0; i < command->option_count; i++) {
		const struct command_option *o = &command->options[i];
		if (name != NULL ? strlen(o->name) == len && strncmp(o->name, name, len) == 0 : o->letter == letter)
			return o;
	}
	return NULL;
}

static void add(struct parser *p, const struct command_option *option, const char *value)
{
	p->out->values[p->out->value_count++] = (struct argument_value){option, value};
}

static int parse_long(struct parser *p, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t len = equals != NULL ? (size_t)(equals - text) : strlen(text);
	const struct command_option *o = find(p->out->command, text, len, 0);

	if (o == NULL)
		return fail(p, "there is no option", text - 2);
	if (o->argument == NULL) {
		if (equals != NULL)
			return fail(p, "a value was given to the option without one", text - 2);
		add(p, o, NULL);
	} else if (equals != NULL) {
		add(p, o, equals + 1);
	} else if (p->next < p->argc) {
		add(p, o, p->argv[p->next++]);
	} else {
		return fail(p, "a value is missing after", text - 2);
	}
	return 0;
}

static int parse_letters(struct parser *p, const char *letters)
{
	for (; *letters != '\0'; letters++) {
		char text[3] = {'-', *letters, '\0'};
		const struct command_option *o = find(p->out->command, NULL, 0, *letters);
		if (o == NULL)
			return fail(p, "there is no option", text);
		if (o->argument == NULL) {
			add(p, o, NULL);
			continue;
		}
		if (letters[1] != '\0')
			add(p, o, letters + 1);
		else if (p->next < p->argc)
			add(p, o, p->argv[p->next++]);
		else
			return fail(p, "a value is missing after", text);
		break;
	}
	return 0;
}

static int parse_all(struct parser *p)
{
	struct arguments *out = p->out;
	int code = 0;

	while (p->next < p->argc && code == 0) {
		char *arg = p->argv[p->next++];
		if (strcmp(arg, "--") == 0) {
			out->dashes = out->rest_count == 0;
			while (p->next < p->argc)
				out->rest[out->rest_count++] = p->argv[p->next++];
		} else if (strncmp(arg, "--", 2) == 0) {
			code = parse_long(p, arg + 2);
		} else if (arg[0] == '-' && arg[1] != '\0') {
			code = parse_letters(p, arg + 1);
		} else {
			out->rest[out->rest_count++] = arg;
			while (out->command->stop_at_argument && p->next < p->argc)
				out->rest[out->rest_count++] = p->argv[p->next++];
		}
	}
	out->rest[out->rest_count] = NULL;
	if (code < 0)
		return code;
	if (out->rest_count < out->command->arguments_min)
		return fail(p, "something is missing: usage: lampo", out->command->name);
	if (out->command->arguments_max >= 0 && out->rest_count > out->command->arguments_max)
		return fail(p, "there is an argument too many:", out->rest[out->command->arguments_max]);
	return 0;
}

int arguments_parse(struct arguments *arguments, const struct command *command, int argc, char **argv, struct err *err)
{
	struct parser p = {.out = arguments, .argv = argv, .argc = argc, .next = 1, .err = err};
	size_t values_max = 0;

	for (int i = 0; i < argc; i++)
		values_max += strlen(argv[i]); /* at most one option per letter */
	*arguments = (struct arguments){.command = command};
	arguments->values = malloc((values_max + 1) * sizeof(arguments->values[0]));
	arguments->rest = malloc(((size_t)argc + 1) * sizeof(arguments->rest[0]));
	if (arguments->values == NULL || arguments->rest == NULL) {
		arguments_fini(arguments);
		return err_set(err, -ENOMEM, "cannot read the command line");
	}
	int code = parse_all(&p);
	if (code < 0)
		arguments_fini(arguments);
	return code;
}

void arguments_fini(struct arguments *arguments)
{
	free(arguments->values);
	free(arguments->rest);
	*arguments = (struct arguments){0};
}

static const struct argument_value *last(const struct arguments *arguments, const char *name)
{
	const struct command_option *option = find(arguments->command, name, strlen(name), 0);

	assert(option != NULL);
	for (size_t i = arguments->value_count; i > 0; i--)
		if (arguments->values[i - 1].option == option)
			return &arguments->values[i - 1];
	return NULL;
}

bool arguments_have(const struct arguments *arguments, const char *name) { return last(arguments, name) != NULL; }

const char *arguments_value(const struct arguments *arguments, const char *name)
{
	const struct argument_value *value = last(arguments, name);

	return value == NULL ? NULL : value->value;
}
