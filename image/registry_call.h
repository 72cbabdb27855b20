/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of image/registry*.c share: one request to a registry, and all that it takes until there is an answer.
 */
#ifndef LAMPO_IMAGE_REGISTRY_CALL_H
#define LAMPO_IMAGE_REGISTRY_CALL_H

#include "image/auth.h"
#include "image/http.h"
#include "image/registry.h"

#define REGISTRY_REDIRECTS_MAX 5u
#define REGISTRY_TRIES_MAX 5u          /* in a row, without progress */
#define REGISTRY_TRIES_TOTAL 200u      /* with progress in between */
#define REGISTRY_PROGRESS_BYTES 65536u /* what counts as progress */
#define REGISTRY_WAIT_MAX 60u          /* seconds that a registry may ask us to wait */
#define REGISTRY_SMALL_SECONDS 60u     /* for the whole of a small answer */

struct registry {
	struct reference reference;
	struct registry_options options;
	char name[REFERENCE_MAX + 2];
	struct url origin; /* https://HOST[:PORT]/ */
	struct http_options http_options;
	struct http *http;
	struct http *token_http; /* tokens are fetched while other calls are being made */
	char *ca_pem, cert_file[4096], key_file[4096];
	char *authorization;           /* header line; NULL: none yet */
	unsigned authorization_serial; /* counts its changes */
};

/* One request, which starts over from `start` when it has to be repeated. */
struct registry_call {
	struct http_call http;
	struct registry *registry;
	struct url start, url;
	unsigned tries, tries_total, redirects, authorizations, serial;
	bool once; /* a lost connection, and 5xx, are left to the caller, who looks at http.failure and http.status */
	void (*prepare)(struct registry_call *call); /* before each repetition; may be NULL */
	/* The body, if it goes to memory: */
	char *body; /* malloc'd, terminated */
	size_t body_bytes, body_room, body_max;
};

/* A call of `method` for base + location (an absolute path, or an address that the registry gave). To be freed. */
int registry_call_init(struct registry_call *call, struct registry *registry, const char *method, const char *location,
		       struct err *err);
void registry_call_free(struct registry_call *call);
/* Its `finished` function: follows redirects, authenticates, repeats. Done when there is an answer of another kind. */
int registry_call_step(struct http_call *http, struct err *err);
/* Treats the last attempt as lost: 1: again, or -errno when that was too often. */
int registry_call_repeat(struct registry_call *call, struct err *err);
/* Before the first attempt of a call that http_run() is to make. */
void registry_call_begin(struct registry_call *call);
/* Makes one call. The answer's body goes to memory, at most body_max bytes of it. */
int registry_call_make(struct registry_call *call, size_t body_max, struct err *err);
/* Sets *err: what the registry said. Returns its code. */
int registry_call_refused(const struct registry_call *call, struct err *err);
/* Whether an address that came from `from` may be used: -EACCES with *err. */
int registry_url_check(const struct registry *registry, const struct url *from, const struct url *to, struct err *err);
/* Answers what the registry asked for with 401: sets registry->authorization. */
int registry_authorize(struct registry *registry, const struct http_headers *response, struct err *err);
/* Certificates for this registry, from the file and certs.d. */
int registry_load_certificates(struct registry *registry, struct err *err);

#endif
