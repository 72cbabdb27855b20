/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One repository of a registry: OCI distribution specification 1.1. Redirects (at most five), authentication and
 * repetition are handled here; what is asked for is verified by its digest while it comes. Credentials go to the
 * registry itself, and to where it says that tokens are to be had; to no other host that an answer leads to.
 *
 * Plain HTTP: if asked for (plain_http), or if the registry is this machine (localhost, 127.0.0.0/8, ::1) and does not
 * speak TLS. From https nothing leads back to http.
 */
#ifndef LAMPO_IMAGE_REGISTRY_H
#define LAMPO_IMAGE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/host/err.h"
#include "image/image_file.h"
#include "image/progress.h"
#include "image/reference.h"

struct registry_options {
	const char *user_agent;
	const char *
	    ca_file; /* of the registry's certificate, beside the system's and those in certs.d; NULL: $LAMPO_CA_FILE */
	bool plain_http;
	bool push; /* what tokens are asked for */
};

struct registry;
/* Options: their strings are borrowed until registry_close(). -EINVAL: the reference names no registry. */
int registry_open(struct registry **registry, const struct reference *reference, const struct registry_options *options,
		  struct err *err);
void registry_close(struct registry *registry);             /* NULL is fine */
const char *registry_name(const struct registry *registry); /* "host:port/repository" */

struct registry_document {
	char *text; /* malloc'd, terminated */
	size_t bytes;
	char media_type[128];
	char digest[IMAGE_DIGEST_TEXT]; /* computed, never what the registry says */
};
void registry_document_free(struct registry_document *document);

/* name: a tag or a digest, which is verified. -ENOENT: there is no such thing. */
int registry_manifest_get(struct registry *registry, const char *name, struct registry_document *document,
			  struct err *err);
/* subject_known: the registry has taken note of the manifest's subject (OCI-Subject). */
int registry_manifest_put(struct registry *registry, const char *name, const char *text, size_t bytes,
			  const char *media_type, bool *subject_known, struct err *err);
/* A page of the index of what is attached to a manifest: by the referrers API, else by the tag that stands for it.
 * -ENOENT: nothing is. next: in: the page, "" for the first; out: the next one, or "". */
#define REGISTRY_PAGE_MAX 2048u
int registry_referrers_get(struct registry *registry, const char *digest, const char *artifact_type,
			   char next[REGISTRY_PAGE_MAX], struct registry_document *document, struct err *err);
/* Adds a manifest to the index under the tag, for registries without the referrers API. entry: its descriptor (JSON).
 */
int registry_referrers_add(struct registry *registry, const char *subject, const char *entry, struct err *err);

/* A blob that is to be fetched into a file. What the file has already counts as the blob's beginning, and is fetched no
 * more. */
struct registry_blob {
	char digest[IMAGE_DIGEST_TEXT];
	uint64_t bytes;
	int fd;
	unsigned item; /* for the progress */
};
#define REGISTRY_BLOBS_AT_ONCE 4u
/* Afterwards each file has its blob, verified. A file whose contents turn out to be wrong is emptied. */
int registry_blobs_get(struct registry *registry, struct registry_blob *blobs, size_t count, struct progress *progress,
		       struct err *err);
/* Uploads `bytes` of fd (or of data, if fd is -1) unless the registry has the blob. */
int registry_blob_put(struct registry *registry, const char *digest, int fd, const void *data, uint64_t bytes,
		      unsigned item, struct progress *progress, struct err *err);

#endif
