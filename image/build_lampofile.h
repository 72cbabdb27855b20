/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lampofiles: the part of Docker's Dockerfile language that needs no program to run while the image is built
 * (docs/build.md). Parsing is pure: text in, instructions out. Variables are not replaced here, as their values come
 * from the base image (image/build_words.h does that).
 */
#ifndef LAMPO_IMAGE_BUILD_LAMPOFILE_H
#define LAMPO_IMAGE_BUILD_LAMPOFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/host/err.h"
#include "image/text.h"

#define LAMPOFILE_BYTES_MAX TEXT_MAX
#define LAMPOFILE_INSTRUCTIONS_MAX 4096u
#define LAMPOFILE_WORDS_MAX 4096u /* of one instruction */

enum lampofile_kind {
	LAMPOFILE_FROM,
	LAMPOFILE_COPY,
	LAMPOFILE_ENV,
	LAMPOFILE_WORKDIR,
	LAMPOFILE_USER,
	LAMPOFILE_EXPOSE,
	LAMPOFILE_ENTRYPOINT,
	LAMPOFILE_CMD,
	LAMPOFILE_LABEL,
};

struct lampofile_instruction {
	enum lampofile_kind kind;
	unsigned line; /* where it begins, from 1 */
	char *text;    /* its arguments as they were written, continued lines joined, flags included */
	bool json;     /* the words are strings of a JSON array: quotes and variables were not looked at */
	/* FROM: the image. COPY: sources, destination. ENV and LABEL: name, value, name, value ... WORKDIR, USER: one.
	 * EXPOSE: ports. ENTRYPOINT and CMD: one, the line for the shell, or with json the arguments. Quotes as
	 * written. */
	struct string_list words;
	/* Values of flags as written, and the name after AS (in lower case); NULL: not given. */
	char *as, *from, *chown, *chmod, *platform;
};

struct lampofile {
	struct lampofile_instruction *instructions; /* the first is a FROM */
	size_t count;
	char escape; /* '\\' or '`' */
};

/* `name` is for errors: "NAME:LINE: ...". -EINVAL with *err. */
int lampofile_parse(struct lampofile *file, const char *text, size_t bytes, const char *name, struct err *err);
void lampofile_free(struct lampofile *file);
/* "COPY" */
const char *lampofile_keyword(enum lampofile_kind kind);

#endif
