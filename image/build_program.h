/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs a program of the host with what it needs at run time: libraries, interpreter, the trees of files that it is
 * known to read (image/package_rules.c), and what else is asked for. See docs/build.md.
 */
#ifndef LAMPO_IMAGE_BUILD_PROGRAM_H
#define LAMPO_IMAGE_BUILD_PROGRAM_H

#include "image/build.h"
#include "image/text.h"

struct build_program_options {
	const char *program;    /* a path, or a name to be looked for in $PATH */
	char *const *add;       /* "HOST[:GUEST]"; the lists are NULL-terminated, or NULL */
	char *const *with;      /* names of groups (package_rules.h) */
	char *const *env;       /* "NAME=VALUE" */
	char *const *arguments; /* of the program when none are given */
	const char *entrypoint; /* a path or a JSON array; NULL: the program */
};

/* What went into the image, in order of paths, and what was not found. */
struct build_report {
	struct build_report_file {
		char *path, *reason; /* owned, in one allocation: path */
		char type;           /* 'f': file, 'l': symbolic link, 'm': made for the image */
		uint64_t bytes;
	} * files;
	size_t file_count, file_room;
	struct string_list notes; /* sentences */
};
void build_report_free(struct build_report *report);

/* output NULL: only the report is made. */
int build_program(const struct build_output *output, const struct build_program_options *options,
		  struct build_report *report, struct build_result *result, struct err *err);

#endif
