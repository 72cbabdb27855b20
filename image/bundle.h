/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The named files that an image comes in: a directory (an OCI layout), or a tar archive, compressed or not, from a file
 * or a pipe. The names are asked for, never believed: beneath the directory without following links, or in the
 * archive's own list. An archive's files may come in any order; what cannot be read twice is kept in a file of the
 * store while it is needed.
 */
#ifndef LAMPO_IMAGE_BUNDLE_H
#define LAMPO_IMAGE_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/store.h"

#define BUNDLE_MEMBERS_MAX 100000u
#define BUNDLE_NAME_MAX 512u /* longer names are not kept: nobody asks for them */

struct bundle_member {
	char *name;
	char *target; /* of a symbolic link: another member, relative to this; NULL: a file */
	uint64_t offset, bytes;
};

struct bundle {
	struct store *store;
	char *path; /* for errors */
	int fd;     /* of the directory, or the archive */
	bool is_directory;
	bool spooled; /* fd is the draft's */
	struct store_draft spool;
	struct bundle_member *members; /* sorted by name */
	size_t count;
};

/* path: a directory, a file, or "-" for standard input. */
int bundle_open(struct bundle *bundle, struct store *store, const char *path, struct err *err);
void bundle_close(struct bundle *bundle);

/* A file of it, to be read from the start. */
struct bundle_file {
	int fd;
	bool own; /* fd is to be closed */
	uint64_t at, end, bytes;
};
/* -ENOENT: not there (*err is set); -EINVAL: there twice. */
int bundle_file_open(struct bundle *bundle, const char *name, struct bundle_file *file, struct err *err);
void bundle_file_close(struct bundle_file *file);
/* As struct layer_source has it; context is a struct bundle_file. */
int64_t bundle_file_read(void *context, void *to, size_t bytes, struct err *err);
/* All of a small file, and a NUL; malloc'd. -EFBIG: more than bytes_max. */
int bundle_read(struct bundle *bundle, const char *name, size_t bytes_max, char **text, size_t *bytes, struct err *err);

#endif
