/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings an image from a registry into the store: Lampo's own form of it if the registry has that (attached to the
 * original, or under the name itself), else the original's layers, converted.
 *
 * Blobs are fetched into DIR/tmp/blob-HEX of the store. What is there after an interruption is continued by the next
 * pull, or removed by prune.
 */
#ifndef LAMPO_IMAGE_PULL_H
#define LAMPO_IMAGE_PULL_H

#include "image/manifest.h"
#include "image/registry.h"
#include "image/store.h"

enum pull_result {
	PULL_UP_TO_DATE, /* it was there, and whole */
	PULL_FETCHED,    /* in Lampo's own form */
	PULL_CONVERTED,
};

struct pull_options {
	struct registry_options registry;
	bool convert; /* the original's layers, whatever is attached */
};

/* The image gets the reference's name, unless that has a digest only. */
int image_pull(struct store *store, const struct reference *reference, const struct pull_options *options,
	       struct progress *progress, struct image_digest *digest, enum pull_result *result, struct err *err);

/* The parts of image/pull*.c: blobs that are being fetched, each once, in the order given. */
struct pull_blobs {
	struct store *store;
	struct registry_blob *blobs;
	char (*paths)[128]; /* beneath the store; "" if it has no name */
	size_t count;
};
/* Opens the files of these blobs, with what they have, and fetches the rest. Fails at once if the disk has no room for
 * them. */
int pull_blobs_get(struct pull_blobs *blobs, struct store *store, struct registry *registry,
		   const struct manifest_descriptor *const *descriptors, size_t count, struct progress *progress,
		   struct err *err);
/* done: they are not needed any more; else they stay for the next time. */
void pull_blobs_close(struct pull_blobs *blobs, bool done);
/* The descriptor of a blob's file; stays theirs. */
int pull_blobs_fd(const struct pull_blobs *blobs, const char *digest);

#endif
