/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: image files by digest, and names for them.
 *
 *   DIR/images/sha256/HEX     image files, read-only (0444)
 *   DIR/index.json            names: {"version": 1, "images": [{"name", "digest", "created", "origin": {...}}, ...]} in
 * the order of the names, replaced whole DIR/lock                  flock: shared by whoever adds or reads images,
 * exclusive for collecting garbage DIR/index.lock            flock: exclusive around a change of index.json DIR/tmp/
 * files being written; what is there and not locked (flock) by a living process is rubbish DIR/quarantine/ image files
 * that were found damaged, until the next prune
 *
 * DIR: $LAMPO_DATA, else /var/lib/lampo/images for root, else $XDG_DATA_HOME/lampo/images (~/.local/share). Every
 * change is: temporary file, written and verified, fsync, rename, fsync of the directory; so that after a crash at any
 * point the store is the old or the new one.
 */
#ifndef LAMPO_IMAGE_STORE_H
#define LAMPO_IMAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/host/err.h"
#include "image/image_file.h"
#include "image/reference.h"

struct store {
	int dir_fd, lock_fd;
	char path[4096];
};

/* Where an image came from, for push and pull. Strings may be "". */
struct store_origin {
	char reference[REFERENCE_MAX]; /* registry/repository:tag that was pulled */
	char manifest_digest[72];      /* of the original's manifest for this platform, as pulled */
	char manifest_type[128];       /* its media type */
	uint64_t manifest_bytes;
};

struct store_entry {
	char name[REFERENCE_MAX]; /* reference_format() */
	struct image_digest digest;
	int64_t created; /* when this name was given, seconds since 1970 */
	uint64_t bytes;  /* of the image file; 0: it is missing */
	struct store_origin origin;
};

/* make: the directory is made if missing; else -ENOENT. Takes DIR/lock shared until store_close(). */
int store_open(struct store *store, bool make, struct err *err);
void store_close(struct store *store);

/* Sorted by name; then those without one, by digest, with name "". malloc'd. */
int store_list(struct store *store, struct store_entry **entries, size_t *count, struct err *err);
/* By name, or by digest ("sha256:HEX", or at least 6 of its digits if only one image begins so). -ENOENT, -EEXIST:
 * ambiguous. */
int store_find(struct store *store, const char *text, struct store_entry *entry, struct err *err);
/* Opens the image file of an entry; its footer is verified against the digest. -EUCLEAN, -ENOENT: says how to heal it.
 */
int store_image_open(struct store *store, const struct image_digest *digest, struct image_file *image, struct err *err);
bool store_has(struct store *store, const struct image_digest *digest);

/* An image file being made: an unnamed or temporary file in DIR/tmp. */
struct store_draft {
	int fd; /* readable and writable */
	char name[64];
};
int store_draft_open(struct store *store, struct store_draft *draft, struct err *err);
/* Makes the finished file the image `digest` (durably) and gives it `name` unless NULL. The draft is used up, also on
 * failure. An image that is there already is kept if its footer is right, replaced if not (healing). */
int store_draft_commit(struct store *store, struct store_draft *draft, const struct image_digest *digest,
		       const char *name, const struct store_origin *origin, struct err *err);
void store_draft_discard(struct store *store, struct store_draft *draft);
/* Removes the files of all drafts of this process. For signal handlers, before _exit(). */
void store_draft_abandon_all(void);

/* Names. store_tag replaces a name that is there. */
int store_tag(struct store *store, const struct image_digest *digest, const char *name,
	      const struct store_origin *origin, struct err *err);
/* Several names (NULL-terminated), all or none of them. */
int store_tag_all(struct store *store, const struct image_digest *digest, const char *const *names,
		  const struct store_origin *origin, struct err *err);
int store_untag(struct store *store, const char *name, struct err *err); /* -ENOENT */
/* All names of an image at once. */
int store_untag_all(struct store *store, const struct image_digest *digest, struct err *err);
/* Removes image files without a name, rubbish in tmp and quarantine. wait: for others who use the store; otherwise
 * -EBUSY. */
struct store_pruned {
	uint64_t images, bytes; /* bytes: of all that was removed */
};
int store_prune(struct store *store, bool wait, struct store_pruned *pruned, struct err *err);
/* Removes the file of one image without a name; -EBUSY: others use the store now; -EEXIST: it has a name. */
int store_remove(struct store *store, const struct image_digest *digest, struct err *err);
/* Verifies every block of an image. A damaged file is moved to the quarantine: -EUCLEAN, and *err says what is wrong.
 * -ENOENT: there is none. Both say how to heal it. progress may be NULL. */
int store_verify(struct store *store, const struct image_digest *digest,
		 void (*progress)(void *, uint64_t done, uint64_t total), void *context, struct err *err);

#endif
