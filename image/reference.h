/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of images: [HOST[:PORT]/]PATH[:TAG][@DIGEST], as the OCI distribution specification 1.1 (2.) and Docker have
 * them. Without a tag and digest the tag is "latest". A name without a registry is a local one ("app:1"); nothing is
 * ever looked up at a default registry.
 */
#ifndef LAMPO_IMAGE_REFERENCE_H
#define LAMPO_IMAGE_REFERENCE_H

#include "base/host/err.h"

#define REFERENCE_MAX 512u

struct reference {
	char registry[256];   /* "host:port", or "" */
	char repository[256]; /* "library/app" */
	char tag[129];        /* "" if only a digest was given */
	char digest[72];      /* "sha256:..." or "" */
};

/* -EINVAL with *err: what is wrong with it. */
int reference_parse(struct reference *reference, const char *text, struct err *err);
/* The name under which the store keeps it: "registry/repository:tag", without digest; "" if there is no tag. */
void reference_format(const struct reference *reference, char text[REFERENCE_MAX]);

#endif
