/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store (image/store*.c) share. */
#ifndef LAMPO_IMAGE_STORE_INTERNAL_H
#define LAMPO_IMAGE_STORE_INTERNAL_H

#include "image/store.h"

#define STORE_IMAGES "images/sha256"
#define STORE_TMP "tmp"
#define STORE_QUARANTINE "quarantine"
#define STORE_INDEX "index.json"
#define STORE_INDEX_NEW "tmp/index.json" /* written under the index lock only */
#define STORE_INDEX_MAX (16u << 20)
#define STORE_DRAFT_PREFIX "draft-"
#define STORE_HEX (2 * SHA256_BYTES)

/* "images/sha256/HEX" */
#define STORE_IMAGE_PATH (sizeof(STORE_IMAGES) + 1 + STORE_HEX)
void store_image_path(const struct image_digest *digest, char path[STORE_IMAGE_PATH]);
/* Name of a file in STORE_IMAGES: 64 lower-case hexadecimal digits. */
bool store_image_name(const char *name, struct image_digest *digest);
/* The file is the image `digest`, as far as its footer says. */
int store_check_footer(int fd, const struct image_digest *digest, struct err *err);

/* Sets the hint: what brings a lost or damaged image back. */
void store_hint_heal(const struct store *store, const struct image_digest *digest, struct err *err);

/* flock() that goes on after signals; 0 or -errno. */
int store_flock(int fd, int operation);
/* Sets "cannot VERB: reason" for something in the store, and what to do about common reasons; returns code. */
int store_fail(const struct store *store, int code, struct err *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* fsync of a directory of the store ("." itself). */
int store_sync_dir(const struct store *store, const char *path, struct err *err);
/* Calls it for the name of each entry of a directory but "." and ".." until one fails. */
int store_each_file(const struct store *store, const char *path,
		    int (*function)(const struct store *store, const char *name, void *context, struct err *err),
		    void *context, struct err *err);

/* The index in memory: names in order; what is in it was checked. */
struct store_index {
	struct store_entry *entries; /* bytes is not filled in */
	size_t count;
};

/* A descriptor that holds the index lock, or -errno. */
int store_index_lock(const struct store *store, struct err *err);
int store_index_read(const struct store *store, struct store_index *index, struct err *err);
void store_index_free(struct store_index *index);
/* With the lock held: makes this the index, durably. */
int store_index_write(const struct store *store, const struct store_index *index, struct err *err);
/* "registry/repository:tag", as names are kept; a digest has no place in it: -EINVAL. */
int store_plain_name(const char *text, char name[REFERENCE_MAX], struct err *err);
/* Changes the index in memory. name as of reference_format(). */
int store_index_set(struct store_index *index, const char *name, const struct image_digest *digest,
		    const struct store_origin *origin, struct err *err);
/* NULL if there is none */
const struct store_entry *store_index_find(const struct store_index *index, const char *name);
const struct store_entry *store_index_digest(const struct store_index *index, const struct image_digest *digest);

#endif
