/* SPDX-License-Identifier: Apache-2.0 */
/* The environment of the program in the VM. */
#ifndef LAMPO_CLI_ENVIRONMENT_H
#define LAMPO_CLI_ENVIRONMENT_H

#include <stdbool.h>

#include "cli/command.h"

struct environment {
	char **strings; /* NULL-terminated, "K=V"; each malloc'd */
	size_t count;
};

/* The variables that are passed in any case, then each -e in order; a later one replaces an earlier.
 * With a terminal TERM is "xterm" if the caller has none. */
int environment_init(struct environment *environment, const struct arguments *arguments, bool tty, struct err *err);
/* Of a VM that runs an image: nothing of the caller's, but PATH, HOME (home), the image's own (NULL-terminated, may be
 * NULL), each -e. */
int environment_init_image(struct environment *environment, const struct arguments *arguments, char *const *image,
			   const char *home, bool tty, struct err *err);
void environment_fini(struct environment *environment);

#endif
