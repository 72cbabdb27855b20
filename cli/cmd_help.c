/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

#define WIDTH 80

/* Words of the text from the cursor on, wrapped; the first line goes on at column `at`. */
static void print_wrapped(const char *text, int indent, int at)
{
	while (*text != '\0') {
		int word = (int)strcspn(text, " \n");
		if (word > 0) {
			if (at > indent && at + 1 + word > WIDTH) {
				putchar('\n');
				at = 0;
			}
			if (at < indent)
				at += printf("%*s", indent - at, "");
			else if (at > indent)
				at += printf(" ");
			at += printf("%.*s", word, text);
		}
		text += word;
		if (strncmp(text, "\n\n", 2) == 0) {
			printf("\n\n");
			at = 0;
			text += 2;
		} else if (*text != '\0') {
			text++;
		}
	}
	putchar('\n');
}

static void print_option(const struct command_option *o)
{
	int n = o->letter != 0 ? printf("  -%c, --%s", o->letter, o->name) : printf("      --%s", o->name);

	if (o->argument != NULL)
		n += printf(" %s", o->argument);
	if (n > 25) {
		putchar('\n');
		n = 0;
	}
	print_wrapped(o->help, 26, n);
}

static void print_overview(void)
{
	printf("Lampo runs a program in a virtual machine of its own.\n\nusage: lampo COMMAND [OPTION...] "
	       "[ARGUMENT...]\n\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	printf("\nFor example: lampo run -- python3 -c 'print(\"hello\")'\n"
	       "'lampo help COMMAND' explains a command.\n");
}

void help_print(const struct command *c)
{
	printf("usage: lampo %s%s%s%s\n\n%s.\n\n", c->name, c->option_count > 0 ? " [OPTION...]" : "",
	       c->arguments[0] != '\0' ? " " : "", c->arguments, c->summary);
	print_wrapped(c->text, 0, 0);
	if (c->option_count > 0)
		putchar('\n');
	for (size_t i = 0; i < c->option_count; i++)
		print_option(&c->options[i]);
}

int cmd_help(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	(void)start_ns;
	if (arguments->rest_count == 0) {
		print_overview();
		return 0;
	}
	const struct command *command = command_find(arguments->rest[0]);
	if (command == NULL) {
		err_set(err, -EINVAL, "there is no command '%s'!", arguments->rest[0]);
		return err_hint(err, "'lampo help' lists the commands");
	}
	help_print(command);
	return 0;
}
