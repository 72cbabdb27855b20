/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the man page and the shell completion from the table of commands:
 *
 *   cli-docs man man/lampo.1.in    the template with its line @COMMANDS@ replaced, on standard output
 *   cli-docs bash                  completion for bash
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

/* ---- roff (man 7) ---------------------------------------------------------------------------- */

/* Text in running prose: '-' stays a hyphen-minus, as it may be part of an option; lines must not begin
 * with a control character. */
static void man_text(const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (strncmp(p, "\n\n", 2) == 0) {
			printf("\n.PP\n");
			p++;
		} else if (*p == '-') {
			printf("\\-");
		} else if (*p == '\\') {
			printf("\\e");
		} else if ((*p == '.' || *p == '\'') && (p == text || p[-1] == '\n')) {
			printf("\\&%c", *p);
		} else {
			putchar(*p);
		}
	}
}

static void man_option(const struct command_option *o)
{
	printf(".TP\n");
	if (o->letter != 0)
		printf("\\fB\\-%c\\fR, ", o->letter);
	printf("\\fB\\-\\-");
	man_text(o->name);
	printf("\\fR");
	if (o->argument != NULL) {
		printf(" \\fI");
		man_text(o->argument);
		printf("\\fR");
	}
	putchar('\n');
	man_text(o->help);
	putchar('\n');
}

static void man_commands(void)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command *c = &commands[i];
		printf(".SS lampo %s%s ", c->name, c->option_count > 0 ? " [\\fIOPTION\\fR...]" : "");
		man_text(c->arguments);
		printf("\n%s.\n.PP\n", c->summary);
		man_text(c->text);
		putchar('\n');
		for (size_t j = 0; j < c->option_count; j++)
			man_option(&c->options[j]);
	}
}

static int man(const char *path)
{
	char line[4096];
	FILE *file = fopen(path, "r");

	if (file == NULL) {
		perror(path);
		return 1;
	}
	while (fgets(line, sizeof(line), file) != NULL)
		if (strcmp(line, "@COMMANDS@\n") == 0)
			man_commands();
		else
			fputs(line, stdout);
	fclose(file);
	return 0;
}

/* ---- bash ------------------------------------------------------------------------------------ */

static const char *action(enum completion completion)
{
	switch (completion) {
	case COMPLETE_FILE:
		return "_lampo_reply -f";
	case COMPLETE_DIRECTORY:
		return "_lampo_reply -d";
	case COMPLETE_VM:
		return "_lampo_reply -W \"$(lampo ps -aq 2>/dev/null)\"";
	case COMPLETE_SIGNAL:
		return "_lampo_reply -W 'HUP INT QUIT KILL USR1 USR2 TERM CONT STOP WINCH'";
	case COMPLETE_COMMAND:
		return "_lampo_reply -W \"$commands\"";
	case COMPLETE_PROGRAM:
		return "_lampo__runnable";
	case COMPLETE_IMAGE:
		return "_lampo__images";
	default:
		return ":";
	}
}

static void bash_options(const struct command *c)
{
	for (size_t i = 0; i < c->option_count; i++) {
		if (c->options[i].letter != 0)
			printf("-%c ", c->options[i].letter);
		printf("--%s ", c->options[i].name);
	}
	printf("--help");
}

/* The options that take a value: what comes after them is not an argument. */
static void bash_values(const struct command *c)
{
	for (size_t i = 0; i < c->option_count; i++) {
		const struct command_option *o = &c->options[i];
		if (o->argument == NULL)
			continue;
		printf("\t\t");
		if (o->letter != 0)
			printf("-%c | ", o->letter);
		printf("--%s) %s; return ;;\n", o->name, action(o->completion));
	}
}

static void bash_command(const struct command *c)
{
	printf("_lampo_");
	for (const char *p = c->name; *p != '\0'; p++)
		putchar(*p == ' ' ? '_' : *p);
	printf("()\n{\n");
	if (c->option_count > 0) {
		printf("\tcase $previous in\n");
		bash_values(c);
		printf("\tesac\n");
	}
	printf("\tif [[ $current == -* ]]; then\n\t\t_lampo_reply -W '");
	bash_options(c);
	printf("'\n\telse\n\t\t%s\n\tfi\n}\n\n", action(c->completion));
}

/* First words of the commands, each once; or the second words of those that begin with `group`. */
static void bash_words(const char *group)
{
	const char *before = "", *blank = "";

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const char *name = commands[i].name;
		size_t length = strcspn(name, " ");
		if (group != NULL) {
			if (strncmp(name, group, length) == 0 && group[length] == '\0' && name[length] == ' ')
				printf("%s%s", blank, name + length + 1);
			else
				continue;
		} else {
			if (name[length] == ' ' && strncmp(before, name, length + 1) == 0)
				continue;
			printf("%s%.*s", blank, (int)length, name);
			before = name;
		}
		blank = " ";
	}
}

/* A function for each first word of commands with two: completes the second, then calls the command's own. */
static void bash_groups(void)
{
	const char *before = "";

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		char group[32];
		size_t length = strcspn(commands[i].name, " ");
		if (commands[i].name[length] == '\0' || strncmp(before, commands[i].name, length + 1) == 0)
			continue;
		before = commands[i].name;
		snprintf(group, sizeof(group), "%.*s", (int)length, commands[i].name);
		printf("_lampo_%s()\n{\n\tif ((COMP_CWORD == 2)); then\n\t\t_lampo_reply -W '", group);
		bash_words(group);
		printf("'\n\t\treturn\n\tfi\n\tdeclare -F \"_lampo_%s_${COMP_WORDS[2]}\" >/dev/null && "
		       "\"_lampo_%s_${COMP_WORDS[2]}\"\n}\n\n",
		       group, group);
	}
}

/* Letters of the options of `run` that take a value, to find where the program begins. */
static void bash_run_values(void)
{
	const struct command *run = &commands[COMMAND_RUN];

	for (size_t i = 0, first = 1; i < run->option_count; i++) {
		if (run->options[i].argument == NULL)
			continue;
		printf("%s--%s", first ? "" : " | ", run->options[i].name);
		if (run->options[i].letter != 0)
			printf(" | -%c", run->options[i].letter);
		first = 0;
	}
}

static int bash(void)
{
	printf("# SPDX-License-Identifier: Apache-2.0\n# Made by cli/docs.c from cli/command.c: change it there and "
	       "run 'make docs'.\n\n"
	       "_lampo_reply() { COMPREPLY=($(compgen \"$@\" -- \"$current\")); }\n\n"
	       "# Names have colons, where bash cuts words: of what was typed, only what follows the last one is "
	       "replaced.\n"
	       "_lampo__images()\n{\n\tlocal word=${COMP_LINE:0:COMP_POINT}\n\tword=${word##* }\n"
	       "\tCOMPREPLY=($(compgen -W \"$(lampo images --names 2>/dev/null)\" -- \"$word\"))\n"
	       "\tif [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then\n"
	       "\t\tCOMPREPLY=(\"${COMPREPLY[@]#\"${word%%:*}\":}\")\n\tfi\n}\n\n"
	       "_lampo__runnable()\n{\n\tlocal programs\n\t_lampo_reply -c\n\tprograms=(\"${COMPREPLY[@]}\")\n"
	       "\t_lampo__images\n\tCOMPREPLY+=(\"${programs[@]}\")\n}\n\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		bash_command(&commands[i]);
	bash_groups();
	printf("# After the program's name its own completion takes over.\n_lampo_program_at()\n{\n\tlocal i\n"
	       "\tfor ((i = 2; i < COMP_CWORD; i++)); do\n\t\tcase ${COMP_WORDS[i]} in\n\t\t--) echo $((i + 1)); "
	       "return ;;\n\t\t");
	bash_run_values();
	printf(") ((i++)) ;;\n\t\t-*) ;;\n\t\t*) echo \"$i\"; return ;;\n\t\tesac\n\tdone\n\techo 0\n}\n\n");
	printf("_lampo()\n{\n\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} "
	       "at\n\tlocal commands='");
	bash_words(NULL);
	printf(
	    "'\n\tCOMPREPLY=()\n\tif ((COMP_CWORD == 1)); then\n\t\t_lampo_reply -W \"$commands\"\n\t\treturn\n\tfi\n"
	    "\tif [[ ${COMP_WORDS[1]} == run ]]; then\n\t\tat=$(_lampo_program_at)\n"
	    "\t\tif ((at > 0 && at < COMP_CWORD)); then\n"
	    "\t\t\tif declare -F _command_offset >/dev/null; then _command_offset \"$at\"; else _lampo_reply -f; fi\n"
	    "\t\t\treturn\n\t\telif ((at > 0)); then\n\t\t\t%s\n\t\t\treturn\n\t\tfi\n\tfi\n"
	    "\tdeclare -F \"_lampo_${COMP_WORDS[1]}\" >/dev/null && \"_lampo_${COMP_WORDS[1]}\"\n}\n\n"
	    "complete -o default -F _lampo lampo\n",
	    action(COMPLETE_PROGRAM));
	return 0;
}

int main(int argc, char **argv)
{
	int code = 2;

	if (argc == 3 && strcmp(argv[1], "man") == 0)
		code = man(argv[2]);
	else if (argc == 2 && strcmp(argv[1], "bash") == 0)
		code = bash();
	else
		fprintf(stderr, "usage: cli-docs man TEMPLATE | bash\n");
	return fflush(stdout) != 0 ? 1 : code;
}
