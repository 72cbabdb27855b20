/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/registry_call.h"

#define SMALL_BYTES (4u << 20) /* costs little to send again */
#define UPLOAD_STARTS_MAX 3u   /* from the beginning */
#define UPLOAD_LOSSES_MAX 6u   /* in a row, without progress */
#define UPLOAD_PATIENCE 4u     /* a registry that stores what it got answers late */
#define UPLOAD_ANSWER_MAX 65536u

struct upload {
	struct registry *registry;
	const char *digest;
	int fd;
	const void *data;
	uint64_t bytes, done, done_before; /* of the last loss */
	struct url location;               /* of the next request */
	unsigned starts, losses, losses_total;
	struct progress *progress;
	unsigned item;
	char label[32];
};

/* A request that has a part of the blob as its body. */
struct upload_call {
	struct registry_call call;
	struct upload *up;
};

static void on_sent(struct http_call *http, uint64_t bytes)
{
	const struct upload *up = container_of(http, struct upload_call, call.http)->up;

	progress_set(up->progress, up->item, up->label, "pushing", up->done + bytes, up->bytes);
}

static bool lost(const struct registry_call *call)
{
	return call->http.failure != HTTP_COMPLETE || call->http.status >= 500;
}

/* 1: the registry has it. */
static int have(struct upload *up, struct err *err)
{
	struct registry_call call;
	char path[1024];

	snprintf(path, sizeof(path), "/v2/%s/blobs/%s", up->registry->reference.repository, up->digest);
	int code = registry_call_init(&call, up->registry, "HEAD", path, err);
	if (code == 0)
		code = registry_call_make(&call, 0, err);
	unsigned status = call.http.status;
	if (code == 0 && status != 200 && status != 404)
		code = registry_call_refused(&call, err);
	registry_call_free(&call);
	return code < 0 ? code : status == 200;
}

/* Where to go on: what a 2xx answer says. */
static int take_location(struct upload *up, const struct registry_call *call, struct err *err)
{
	if (call->http.response.location[0] == '\0')
		return err_set(err, -EPROTO, "%s does not say where to send the blob to!", up->registry->name);
	int code = url_resolve(&up->location, &call->url, call->http.response.location, err);
	return code < 0 ? code : registry_url_check(up->registry, &call->url, &up->location, err);
}

static int begin(struct upload *up, struct err *err)
{
	struct registry_call call;
	char path[1024];

	if (++up->starts > UPLOAD_STARTS_MAX)
		return err_set(err, -ECONNRESET, "cannot upload the blob %s to %s: given up after %u attempts!",
			       up->digest, up->registry->name, UPLOAD_STARTS_MAX);
	up->done = 0;
	snprintf(path, sizeof(path), "/v2/%s/blobs/uploads/", up->registry->reference.repository);
	int code = registry_call_init(&call, up->registry, "POST", path, err);
	if (code == 0)
		code = registry_call_make(&call, UPLOAD_ANSWER_MAX, err);
	if (code == 0)
		code = call.http.status == 202 ? take_location(up, &call, err) : registry_call_refused(&call, err);
	registry_call_free(&call);
	return code;
}

/* Asks how far the registry got. 1: it has forgotten, begin again. */
static int ask_progress(struct upload *up, struct err *err)
{
	struct registry_call call;
	unsigned long long last = 0;
	int end = 0;

	int code = registry_call_init(&call, up->registry, "GET", up->location.text, err);
	if (code == 0)
		code = registry_call_make(&call, UPLOAD_ANSWER_MAX, err);
	if (code < 0) {
		registry_call_free(&call);
		return code;
	}
	/* "0-LAST"; "0-0" is nothing or one byte, and counts as nothing: the registry refuses if that is wrong. */
	bool said = call.http.status / 100 == 2 && sscanf(call.http.response.range, "0-%19llu%n", &last, &end) == 1 &&
		    call.http.response.range[end] == '\0' && last < up->bytes;
	if (said) {
		up->done = last == 0 ? 0 : last + 1;
		if (call.http.response.location[0] != '\0')
			code = take_location(up, &call, err);
	}
	registry_call_free(&call);
	return said ? code : 1;
}

/* After a request that was lost. */
static int recover(struct upload *up, const struct registry_call *call, struct err *err)
{
	/* Those have taken their time already. */
	up->losses += call->http.failure == HTTP_LOST && call->http.err.code == -ETIMEDOUT ? 3 : 1;
	if (up->losses > UPLOAD_LOSSES_MAX || ++up->losses_total > REGISTRY_TRIES_TOTAL)
		return registry_call_refused(call, err);
	int code = have(up, err);
	if (code != 0)
		return code < 0 ? code : 1;
	code = up->bytes > SMALL_BYTES ? ask_progress(up, err) : 1;
	if (code == 1)
		code = begin(up, err);
	if (up->done >= up->done_before + REGISTRY_PROGRESS_BYTES)
		up->losses = 0;
	up->done_before = up->done;
	return code;
}

static int body_call(struct upload_call *body, struct upload *up, const char *method, const char *location,
		     struct err *err)
{
	int code = registry_call_init(&body->call, up->registry, method, location, err);
	struct http_call *http = &body->call.http;

	body->up = up;
	body->call.once = true;
	http->headers[0] = "Content-Type: application/octet-stream";
	http->body = up->data ? (const char *)up->data + up->done : NULL;
	http->body_fd = up->fd;
	http->body_offset = up->done;
	http->body_bytes = up->bytes - up->done;
	http->sent = on_sent;
	http->stall_factor = UPLOAD_PATIENCE;
	return code;
}

/* All that is missing yet. 1: the blob is there already. */
static int send_rest(struct upload *up, struct err *err)
{
	struct upload_call body;
	struct registry_call *call = &body.call;
	char range[80];

	int code = body_call(&body, up, "PATCH", up->location.text, err);
	if (code < 0)
		return code;
	snprintf(range, sizeof(range), "Content-Range: %llu-%llu", (unsigned long long)up->done,
		 (unsigned long long)(up->bytes - 1));
	call->http.headers[1] = range;
	code = registry_call_make(call, UPLOAD_ANSWER_MAX, err);
	if (code == 0 && (lost(call) || call->http.status == 416 || call->http.status == 404)) {
		code = recover(up, call, err);
	} else if (code == 0 && call->http.status != 202) {
		code = registry_call_refused(call, err);
	} else if (code == 0) {
		code = take_location(up, call, err);
		up->done = up->bytes;
	}
	registry_call_free(call);
	return code;
}

/* The last request, with all of a small blob. 1: there is more to send, after a loss. */
static int finish(struct upload *up, bool *there, struct err *err)
{
	struct upload_call body;
	struct registry_call *call = &body.call;
	char address[URL_MAX];

	snprintf(address, sizeof(address), "%.*s%cdigest=%s", (int)(sizeof(address) - 100), up->location.text,
		 strchr(up->location.text, '?') ? '&' : '?', up->digest);
	int code = body_call(&body, up, "PUT", address, err);
	if (code < 0)
		return code;
	code = registry_call_make(call, UPLOAD_ANSWER_MAX, err);
	if (code == 0 && lost(call)) {
		code = recover(up, call, err);
		*there = code == 1;
		code = code < 0 ? code : 1;
	} else if (code == 0 && call->http.status != 201) {
		code = registry_call_refused(call, err);
	}
	registry_call_free(call);
	return code;
}

static int upload(struct upload *up, struct err *err)
{
	bool there = false;
	int code = begin(up, err);

	while (code == 0) {
		progress_set(up->progress, up->item, up->label, "pushing", up->done, up->bytes);
		if (up->bytes > SMALL_BYTES && up->done < up->bytes) {
			code = send_rest(up, err);
			there = code == 1;
		} else {
			code = finish(up, &there, err);
			if (code == 0)
				return 0;
			code = code == 1 && !there ? 0 : code;
		}
	}
	return there ? 0 : code;
}

int registry_blob_put(struct registry *registry, const char *digest, int fd, const void *data, uint64_t bytes,
		      unsigned item, struct progress *progress, struct err *err)
{
	struct upload *up = calloc(1, sizeof(*up));

	if (!up)
		return err_set(err, -ENOMEM, "cannot upload the blob %s", digest);
	up->registry = registry;
	up->digest = digest;
	up->fd = fd;
	up->data = data;
	up->bytes = bytes;
	up->progress = progress;
	up->item = item;
	snprintf(up->label, sizeof(up->label), "%.12s", digest + strlen("sha256:"));
	int code = have(up, err);
	bool there = code == 1;
	if (code == 0)
		code = upload(up, err);
	if (code >= 0)
		progress_set(progress, item, up->label, there ? "already there" : "pushed", bytes, bytes);
	free(up);
	return code < 0 ? code : 0;
}
