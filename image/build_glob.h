/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns for names of files: those of COPY, and of .dockerignore. */
#ifndef LAMPO_IMAGE_BUILD_GLOB_H
#define LAMPO_IMAGE_BUILD_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/host/err.h"

/*
 * Go's filepath.Match: '*' and '?' (not '/'), [a-z], [^a-z], '\' before a character that stands for itself. 1: it
 * matches, 0: not, -EINVAL: the pattern is malformed. doubled: "**" also crosses '/', as in .dockerignore: "**" + "/"
 * is any number of directories, also none.
 */
int build_glob_match(const char *pattern, const char *name, bool doubled);
/* Has it any of * ? [ \ ? */
bool build_glob_is_pattern(const char *text);

/* ---- .dockerignore ---- */

struct build_ignore {
	struct build_ignore_rule {
		char *pattern; /* without leading and trailing slashes */
		bool keep;     /* began with '!' */
	} * rules;
	size_t count;
	bool has_keep;
};

/* -EINVAL with *err, which says the line of `name`. bytes: at most 1 MiB. */
int build_ignore_parse(struct build_ignore *ignore, const char *text, size_t bytes, const char *name, struct err *err);
void build_ignore_free(struct build_ignore *ignore);
/* path: "a/b/c", relative to the context. The last rule that matches it or a directory above it decides. */
bool build_ignore_match(const struct build_ignore *ignore, const char *path);

#endif
