/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands and options: the one source of the parser, `lampo help`, the man page and the
 * shell completion (cli/docs.c makes the last two; a test compares).
 */
#ifndef LAMPO_CLI_COMMAND_H
#define LAMPO_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/host/err.h"

/* In the order of the help. */
enum command_id {
	COMMAND_RUN,
	COMMAND_PS,
	COMMAND_LOGS,
	COMMAND_STOP,
	COMMAND_KILL,
	COMMAND_WAIT,
	COMMAND_RM,
	COMMAND_BUILD,
	COMMAND_PULL,
	COMMAND_PUSH,
	COMMAND_IMPORT,
	COMMAND_EXPORT,
	COMMAND_IMAGES,
	COMMAND_IMAGE_INSPECT,
	COMMAND_IMAGE_VERIFY,
	COMMAND_IMAGE_HISTORY,
	COMMAND_TAG,
	COMMAND_RMI,
	COMMAND_PRUNE,
	COMMAND_DOCTOR,
	COMMAND_VERSION,
	COMMAND_HELP,
	COMMAND_COUNT,
};

/* Which program does a command; either starts the other for those that are not its own. */
enum command_program {
	PROGRAM_LAMPO,
	PROGRAM_IMAGE, /* lampo-image: all that works on images, and links the libraries for it */
};

/* What may be completed after an option or as argument. */
enum completion {
	COMPLETE_NOTHING,
	COMPLETE_FILE,
	COMPLETE_DIRECTORY,
	COMPLETE_VM,
	COMPLETE_SIGNAL,
	COMPLETE_COMMAND,
	COMPLETE_PROGRAM,
	COMPLETE_IMAGE,
};

struct command_option {
	const char *name; /* long name, without "--" */
	char letter;      /* or 0 */
	enum completion completion;
	const char *argument; /* name of its value; NULL: it has none */
	const char *help;     /* sentences; a paragraph in the man page */
};

struct command {
	const char *name; /* one word, or two: "image inspect" */
	enum command_program program;
	const char *arguments; /* as in the synopsis */
	const char *summary;
	const char *text; /* paragraphs, separated by an empty line */
	const struct command_option *options;
	size_t option_count;
	int arguments_min, arguments_max; /* -1: any number */
	bool stop_at_argument;            /* what follows the first argument is not ours */
	enum completion completion;       /* of the arguments */
};

extern const struct command commands[COMMAND_COUNT];
/* By the whole name; NULL if there is none. */
const struct command *command_find(const char *name);
/* The command that the words begin with; *used: how many of them are its name. NULL with *err: there is none. */
const struct command *command_match(int count, char *const *words, int *used, struct err *err);
/* The word is the first of commands with two. */
bool command_is_group(const char *word);

/* The parsed command line of one command. */
struct arguments {
	const struct command *command;
	struct argument_value {
		const struct command_option *option;
		const char *value; /* NULL if the option has none */
	} * values;                /* in order */
	size_t value_count;
	char **rest; /* NULL-terminated; points into argv */
	int rest_count;
	bool dashes; /* "--" came before the first of the rest */
};

/* argv[0] is the command's name. On failure -EINVAL, and *err says what is wrong and points at the help. */
int arguments_parse(struct arguments *arguments, const struct command *command, int argc, char **argv, struct err *err);
void arguments_fini(struct arguments *arguments);
/* By the option's long name, which must be in the table. value: the last one, or NULL. */
bool arguments_have(const struct arguments *arguments, const char *name);
const char *arguments_value(const struct arguments *arguments, const char *name);

#endif
