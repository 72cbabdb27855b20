/* SPDX-License-Identifier: Apache-2.0 */
#include "image/registry_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/json.h"

static struct registry_call *from_http(struct http_call *http)
{
	return container_of(http, struct registry_call, http);
}

int registry_call_init(struct registry_call *call, struct registry *registry, const char *method, const char *location,
		       struct err *err)
{
	memset(call, 0, sizeof(*call));
	call->registry = registry;
	call->http.method = method;
	call->http.url = &call->url;
	call->http.body_fd = -1;
	call->http.finished = registry_call_step;
	int code = url_resolve(&call->start, &registry->origin, location, err);
	if (code == 0)
		code = registry_url_check(registry, &registry->origin, &call->start, err);
	call->url = call->start;
	return code;
}

void registry_call_free(struct registry_call *call)
{
	free(call->body);
	call->body = NULL;
}

int registry_url_check(const struct registry *registry, const struct url *from, const struct url *to, struct err *err)
{
	char shown[320];

	url_show(to->text, shown, sizeof(shown));
	/* A registry elsewhere has no business with what listens on this machine. */
	if (url_is_local(to) && !url_is_local(&registry->origin))
		return err_set(err, -EACCES, "%s leads to an address of this machine, %s!",
			       registry->reference.registry, shown);
	if (to->tls)
		return 0;
	if (from->tls)
		return err_set(err, -EACCES, "%s leads from https to %s, which is not encrypted!",
			       registry->reference.registry, shown);
	bool same_host = strcmp(to->host, registry->origin.host) == 0;
	if (!same_host && !url_is_loopback(to))
		return err_set(err, -EACCES, "%s leads to %s, which is not encrypted!", registry->reference.registry,
			       shown);
	return 0;
}

/* Goes back to the beginning, for another attempt. */
static void restart(struct registry_call *call)
{
	call->url = call->start;
	call->redirects = 0;
	call->body_bytes = 0;
	if (call->prepare)
		call->prepare(call);
}

/* Who we are is told to the registry itself only. */
static void set_authorization(struct registry_call *call)
{
	bool own = url_same_origin(&call->url, &call->registry->origin);

	call->http.authorization = own ? call->registry->authorization : NULL;
	call->serial = call->registry->authorization_serial;
}

void registry_call_begin(struct registry_call *call)
{
	restart(call);
	set_authorization(call);
}

static int describe_failure(const struct registry_call *call, struct err *err)
{
	char shown[320];

	url_show(call->url.text, shown, sizeof(shown));
	*err = call->http.err;
	return err_wrap(err, "cannot %s %s", strcmp(call->http.method, "GET") == 0 ? "get" : call->http.method, shown);
}

int registry_call_refused(const struct registry_call *call, struct err *err)
{
	unsigned status = call->http.status;
	const char *code = "", *message = "";
	struct err ignored;
	json_t *root = NULL;
	char shown[320];

	if (call->http.failure != HTTP_COMPLETE)
		return describe_failure(call, err);
	/* {"errors": [{"code", "message"}]}: distribution specification, "Error Codes" */
	if (image_json_parse(&root, call->http.error_body, strlen(call->http.error_body), HTTP_ERROR_BODY_MAX, "answer",
			     &ignored) == 0) {
		json_t *first = json_array_get(json_object_get(root, "errors"), 0);
		image_json_string(first, "code", &code, "answer", &ignored);
		image_json_string(first, "message", &message, "answer", &ignored);
	}
	url_show(call->url.text, shown, sizeof(shown));
	int number = status == 401 || status == 403 ? -EACCES
		     : status == 404                ? -ENOENT
		     : status == 429                ? -EBUSY
						    : -EPROTO;
	err_set(err, number, "%s %s: the registry answers %u%s%.60s%s%.200s!", call->http.method, shown, status,
		code[0] != '\0' ? " " : "", code, message[0] != '\0' ? ": " : "", message);
	json_decref(root);
	return number;
}

int registry_call_repeat(struct registry_call *call, struct err *err)
{
	const struct http_call *http = &call->http;
	unsigned most = REGISTRY_TRIES_MAX;

	/* Where nobody answers, waiting hardly helps; and a time-out has taken its time already. */
	if (http->failure == HTTP_NO_CONNECTION)
		most = 2;
	else if (http->failure == HTTP_LOST && http->err.code == -ETIMEDOUT)
		most = 3;
	if (http->received >= REGISTRY_PROGRESS_BYTES)
		call->tries = 0;
	call->tries++;
	call->tries_total++;
	if (call->tries >= most || call->tries_total >= REGISTRY_TRIES_TOTAL) {
		registry_call_refused(call, err);
		return call->tries > 1 ? err_hint(err, "this was tried %u times", call->tries_total) : err->code;
	}
	if (http->retry_after > REGISTRY_WAIT_MAX) {
		registry_call_refused(call, err);
		return err_hint(err, "the registry asks to come back in %llu seconds",
				(unsigned long long)http->retry_after);
	}
	call->http.delay_ms = http->retry_after ? (unsigned)http->retry_after * 1000u : 250u << (call->tries - 1);
	restart(call);
	set_authorization(call);
	return 1;
}

static int follow_redirect(struct registry_call *call, struct err *err)
{
	unsigned status = call->http.status;
	bool reading = strcmp(call->http.method, "GET") == 0 || strcmp(call->http.method, "HEAD") == 0;
	struct url next;

	/* Others may turn what is sent into a GET (RFC 9110, 15.4). */
	if (!reading && status != 307 && status != 308)
		return registry_call_refused(call, err);
	if (call->http.response.location[0] == '\0') {
		registry_call_refused(call, err);
		return err_hint(err, "it redirects, but does not say where to");
	}
	if (++call->redirects > REGISTRY_REDIRECTS_MAX) {
		char shown[320];
		url_show(call->start.text, shown, sizeof(shown));
		return err_set(err, -ELOOP, "cannot get %s: more than %u redirects!", shown, REGISTRY_REDIRECTS_MAX);
	}
	int code = url_resolve(&next, &call->url, call->http.response.location, err);
	if (code == 0)
		code = registry_url_check(call->registry, &call->url, &next, err);
	if (code < 0)
		return code;
	call->url = next;
	set_authorization(call);
	return 1;
}

static int authenticate(struct registry_call *call, struct err *err)
{
	struct registry *registry = call->registry;

	if (!url_same_origin(&call->url, &registry->origin))
		return 0;
	/* Unless another call has done it meanwhile. */
	if (call->serial == registry->authorization_serial) {
		if (++call->authorizations > 2) {
			registry_call_refused(call, err);
			return err_hint(err, "the credentials for %s do not allow this", registry->reference.registry);
		}
		int code = registry_authorize(registry, &call->http.response, err);
		if (code < 0)
			return code;
	}
	restart(call);
	set_authorization(call);
	return 1;
}

int registry_call_step(struct http_call *http, struct err *err)
{
	struct registry_call *call = from_http(http);

	switch (http->failure) {
	case HTTP_COMPLETE:
		break;
	case HTTP_LOST:
	case HTTP_NO_CONNECTION:
		return call->once ? 0 : registry_call_repeat(call, err);
	case HTTP_NO_TLS:
	case HTTP_UNUSABLE:
	case HTTP_SINK_FAILED:
		return describe_failure(call, err);
	}
	switch (http->status) {
	case 401:
		return authenticate(call, err);
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return follow_redirect(call, err);
	case 408:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return call->once && http->status != 429 ? 0 : registry_call_repeat(call, err);
	default:
		return 0;
	}
}

static int memory_sink(struct http_call *http, const void *data, size_t bytes, struct err *err)
{
	struct registry_call *call = from_http(http);

	if (http->content_length > (int64_t)call->body_max || bytes > call->body_max - call->body_bytes)
		return err_set(err, -EFBIG, "the answer is longer than %zu bytes!", call->body_max);
	if (call->body_bytes + bytes >= call->body_room) {
		size_t room = call->body_room + bytes + 65536;
		char *more = realloc(call->body, room);
		if (!more)
			return err_set(err, -ENOMEM, "cannot keep the answer");
		call->body = more;
		call->body_room = room;
	}
	memcpy(call->body + call->body_bytes, data, bytes);
	call->body_bytes += bytes;
	call->body[call->body_bytes] = '\0';
	return 0;
}

int registry_call_make(struct registry_call *call, size_t body_max, struct err *err)
{
	struct http_call *http = &call->http;

	call->body_max = body_max;
	http->sink = memory_sink;
	if (http->total_seconds == 0 && http->stall_factor == 0 && http->body_bytes == 0)
		http->total_seconds = REGISTRY_SMALL_SECONDS;
	registry_call_begin(call);
	return http_run(call->registry->http, &http, 1, 1, err);
}
