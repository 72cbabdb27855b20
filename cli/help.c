/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

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

static void print_program(enum command_program program)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (commands[i].program == program)
			printf("  %-14s %s\n", commands[i].name, commands[i].summary);
}

void help_print_overview(void)
{
	printf("Lampo runs a program in a virtual machine of its own.\n\nusage: lampo COMMAND [OPTION...] "
	       "[ARGUMENT...]\n\n");
	print_program(PROGRAM_LAMPO);
	printf("\nImages:\n");
	print_program(PROGRAM_IMAGE);
	printf("\nFor example: lampo run -- python3 -c 'print(\"hello\")'\n"
	       "'lampo help COMMAND' explains a command.\n");
}

void help_print_group(const char *word)
{
	size_t length = strlen(word);

	printf("usage: lampo %s COMMAND [OPTION...] [ARGUMENT...]\n\n", word);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strncmp(commands[i].name, word, length) == 0 && commands[i].name[length] == ' ')
			printf("  %-14s %s\n", commands[i].name + length + 1, commands[i].summary);
	printf("\n'lampo help %s COMMAND' explains a command.\n", word);
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
