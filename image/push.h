/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings an image from the store to a registry. In Lampo's own form it is attached to the original if it was pulled
 * from the same repository (OCI distribution specification 1.1, "Pushing Manifests with Subject"); as an OCI image it
 * is for other tools.
 */
#ifndef LAMPO_IMAGE_PUSH_H
#define LAMPO_IMAGE_PUSH_H

#include "image/registry.h"
#include "image/store.h"

enum push_format {
	PUSH_ZSTD, /* Lampo's form, compressed */
	PUSH_RAW,  /* Lampo's form */
	PUSH_OCI,  /* one tar layer */
};

struct push_options {
	struct registry_options registry;
	enum push_format format;
};

enum push_result {
	PUSH_TAGGED,   /* the reference names it now */
	PUSH_ATTACHED, /* the reference still names the original, to which it is attached */
};

/* The image is verified first. manifest: gets the digest of what the registry has now. */
int image_push(struct store *store, const struct store_entry *entry, const struct reference *reference,
	       const struct push_options *options, struct progress *progress, char manifest[IMAGE_DIGEST_TEXT],
	       enum push_result *result, struct err *err);

#endif
