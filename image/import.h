/* SPDX-License-Identifier: Apache-2.0 */
/* Images from archives: what docker save and podman save write, OCI image layouts (directories and archives), and
 * Lampo's own export. */
#ifndef LAMPO_IMAGE_IMPORT_H
#define LAMPO_IMAGE_IMPORT_H

#include "image/progress.h"
#include "image/store.h"

struct import_options {
	const char
	    *name; /* for the image, which must then be the only one chosen; NULL: the names that the archive has */
	const char *reference; /* chooses among several, by the name in the archive; NULL: all of them */
	struct progress *progress;
	/* Called for each name that is given. */
	void (*imported)(void *context, const char *name, const struct image_digest *digest);
	void *context;
};

/* path: a directory, a file, "-": standard input. What was imported before a failure stays. */
int image_import(struct store *store, const char *path, const struct import_options *options, struct err *err);
/* path: a directory whose files, as they are, become those of an image, or a tar archive of one; "-" for standard
 * input. */
int image_import_rootfs(struct store *store, const char *path, const char *name, struct progress *progress,
			struct image_digest *digest, struct err *err);

#endif
