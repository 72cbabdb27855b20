/* SPDX-License-Identifier: Apache-2.0 */
/* What the two families of archives share. */
#ifndef LAMPO_IMAGE_IMPORT_INTERNAL_H
#define LAMPO_IMAGE_IMPORT_INTERNAL_H

#include "image/bundle.h"
#include "image/import.h"
#include "image/manifest.h"

struct import {
	struct store *store;
	struct bundle bundle;
	const struct import_options *options;
};

/* One layer of an image in the bundle. */
struct import_layer {
	const char *path;               /* in the bundle */
	char digest[IMAGE_DIGEST_TEXT]; /* "" if only the configuration's diff_id is known */
	bool sized;
	uint64_t bytes; /* if sized: what it must have */
};

/* Converts, puts into the store, and gives it the names (store form, at least one). */
int import_image(struct import *import, const char *config, size_t config_bytes, const struct import_layer *layers,
		 size_t count, char (*names)[REFERENCE_MAX], size_t name_count, struct err *err);
/* Gives a finished draft its names. */
int import_commit(struct import *import, struct store_draft *draft, const struct image_digest *digest,
		  char (*names)[REFERENCE_MAX], size_t name_count, struct err *err);
/* The store's form of a name in the archive; false if it is none ("latest" alone is a tag). */
bool import_name(const char *text, char name[REFERENCE_MAX]);
bool import_wants(const struct import *import, const char *text); /* --ref */
int import_nameless(const struct import *import, struct err *err);
/* -EBADMSG if the bytes are not what the digest says. */
int import_digest_check(const struct import *import, const char *what, const void *data, size_t bytes,
			const char *digest, struct err *err);

int import_docker(struct import *import, struct err *err);
int import_oci(struct import *import, struct err *err);

#endif
