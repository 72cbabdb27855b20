/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests over libcurl, several at once. This is the transport: one call is made once, within limits of time and
 * size, and is then given to its `finished` function, which says whether it is to be made again. Redirects are not
 * followed here, nothing is authenticated, nothing is retried: image/registry.c does that. Proxies are taken from the
 * environment, as curl does.
 */
#ifndef LAMPO_IMAGE_HTTP_H
#define LAMPO_IMAGE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/host/err.h"
#include "image/url.h"

#define HTTP_HEADERS_MAX (64u << 10) /* of all headers of one response, bytes */
#define HTTP_CHALLENGES_MAX 4u
#define HTTP_ERROR_BODY_MAX 4096u
/* Slower than this for as long as the stall time is the same as nothing. */
#define HTTP_SPEED_MIN 256u /* bytes a second */

struct http_options {
	const char *user_agent;
	unsigned connect_seconds, stall_seconds;
	const char *ca_pem;               /* certificates beside the system's; NULL: none */
	const char *cert_file, *key_file; /* of the client, shown to cert_origin only; NULL: none */
	const struct url *cert_origin;
};

struct http;
/* Options are borrowed until http_close(). */
int http_open(struct http **http, const struct http_options *options, struct err *err);
void http_close(struct http *http); /* NULL is fine */

/* How one attempt ended, if not with a complete response. */
enum http_failure {
	HTTP_COMPLETE,
	HTTP_NO_CONNECTION, /* refused, or there is no such host */
	HTTP_NO_TLS,        /* what answered does not speak TLS */
	HTTP_LOST,          /* hung up, or too slow, or cut short */
	HTTP_UNUSABLE,      /* the certificate is not trusted, a limit was passed, ... */
	HTTP_SINK_FAILED,   /* the sink did */
};

/* Of a response, what matters; "" where it is missing. */
struct http_headers {
	char content_type[256], content_range[128], range[128], digest[128], subject[128];
	char location[URL_MAX], link[URL_MAX];
	char challenges[HTTP_CHALLENGES_MAX][4096];
	unsigned challenge_count;
};

struct http_call {
	/* The request; everything is borrowed until the call is done. */
	const char *method;
	const struct url *url;
	const char *headers[6];    /* "Name: value", up to the first NULL */
	const char *authorization; /* "Authorization: ..." or NULL */
	const void *body;          /* or, if NULL, body_bytes from body_offset on of body_fd */
	int body_fd;
	uint64_t body_offset, body_bytes;
	unsigned total_seconds; /* 0: bounded by the stall time only */
	unsigned stall_factor;  /* patience, times the usual; 0: 1 */

	/* Told how much of the body has been sent; may be NULL. */
	void (*sent)(struct http_call *call, uint64_t bytes);
	/* Takes the body of a 2xx response as it comes; NULL: there should be none. -errno with *err ends the call. */
	int (*sink)(struct http_call *call, const void *data, size_t bytes, struct err *err);
	/* After each attempt. 0: done; 1: again, after delay_ms; -errno with *err: all calls end. */
	int (*finished)(struct http_call *call, struct err *err);
	unsigned delay_ms;

	/* What the attempt gave. */
	enum http_failure failure;
	struct err err; /* of a failure: what happened */
	unsigned status;
	struct http_headers response;
	int64_t content_length;               /* -1: not said */
	uint64_t retry_after;                 /* seconds; 0: not said */
	uint64_t received;                    /* bytes of body that the sink took */
	char error_body[HTTP_ERROR_BODY_MAX]; /* the beginning of what came with another status, terminated */

	struct http_state *state; /* the transport's */
};

/* Makes all calls, at most `parallel` at a time, in their order. The first that fails for good ends all. */
int http_run(struct http *http, struct http_call *const *calls, size_t count, unsigned parallel, struct err *err);

#endif
