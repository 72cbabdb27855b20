/* SPDX-License-Identifier: Apache-2.0 */
/* What main() of both programs does: finding the command, parsing, running it, printing the error. */
#ifndef LAMPO_CLI_DISPATCH_H
#define LAMPO_CLI_DISPATCH_H

#include "cli/cli.h"

struct program {
	const char *name; /* for error messages */
	enum command_program id;
	command_function *const *functions; /* COMMAND_COUNT of them; those of the other program are NULL */
};

/* Runs the command line; returns the exit code. A command of the other program is executed in place of this one. */
int dispatch(const struct program *program, int argc, char **argv);

#endif
