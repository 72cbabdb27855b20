/* SPDX-License-Identifier: Apache-2.0 */
#include "image/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

#define BODY_IGNORED_MAX (256u << 10) /* of an error's body */

struct http {
	const struct http_options *options;
	CURLM *multi;
};

/* Of a call while it is being made. */
struct http_state {
	CURL *easy;
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
	uint64_t header_bytes, sent, error_bytes;
	bool headers_done;
	bool ended;      /* a callback has ended the call, and set failure and err */
	bool enough;     /* a callback has ended it, but the response is as good as complete */
	bool done;       /* not to be made again */
	uint64_t due_ms; /* not before */
};

int http_open(struct http **http, const struct http_options *options, struct err *err)
{
	*http = NULL;
	struct http *h = calloc(1, sizeof(*h));
	if (!h || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
		free(h);
		return err_set(err, -ENOMEM, "cannot set up HTTP");
	}
	h->options = options;
	h->multi = curl_multi_init();
	if (!h->multi) {
		free(h);
		return err_set(err, -ENOMEM, "cannot set up HTTP");
	}
	*http = h;
	return 0;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	curl_multi_cleanup(http->multi);
	free(http);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* Ends the attempt from within a callback. */
static void end_call(struct http_call *call, enum http_failure failure)
{
	call->failure = failure;
	call->state->ended = true;
}

struct header {
	const char *name, *value;
	size_t name_length, value_length;
};

static bool split_header(const char *line, size_t length, struct header *header)
{
	const char *colon = memchr(line, ':', length);

	if (!colon)
		return false;
	header->name = line;
	header->name_length = (size_t)(colon - line);
	const char *end = line + length;
	const char *value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	header->value = value;
	header->value_length = (size_t)(end - value);
	return true;
}

/* A value that does not fit counts as missing. */
static void keep_header(struct http_headers *r, const struct header *header)
{
	const struct {
		const char *name;
		char *to;
		size_t size;
	} known[] = {
	    {"content-type", r->content_type, sizeof(r->content_type)},
	    {"content-range", r->content_range, sizeof(r->content_range)},
	    {"range", r->range, sizeof(r->range)},
	    {"docker-content-digest", r->digest, sizeof(r->digest)},
	    {"oci-subject", r->subject, sizeof(r->subject)},
	    {"location", r->location, sizeof(r->location)},
	    {"link", r->link, sizeof(r->link)},
	    {"www-authenticate", NULL, sizeof(r->challenges[0])},
	};

	for (size_t i = 0; i < countof(known); i++) {
		if (strlen(known[i].name) != header->name_length ||
		    strncasecmp(known[i].name, header->name, header->name_length) != 0)
			continue;
		if (header->value_length >= known[i].size)
			return;
		char *to = known[i].to;
		if (!to && r->challenge_count < HTTP_CHALLENGES_MAX)
			to = r->challenges[r->challenge_count++];
		if (!to)
			return;
		memcpy(to, header->value, header->value_length);
		to[header->value_length] = '\0';
		return;
	}
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
	struct http_call *call = context;
	struct header header;
	size_t length = size * count;

	call->state->header_bytes += length;
	if (call->state->header_bytes > HTTP_HEADERS_MAX) {
		err_set(&call->err, -EFBIG, "the headers of the answer are longer than %u bytes!", HTTP_HEADERS_MAX);
		end_call(call, HTTP_UNUSABLE);
		return 0;
	}
	call->state->headers_done = length <= 2;
	/* Another response begins, after an interim one. */
	if (length > 5 && memcmp(line, "HTTP/", 5) == 0)
		memset(&call->response, 0, sizeof(call->response));
	else if (split_header(line, length, &header))
		keep_header(&call->response, &header);
	return length;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
	struct http_call *call = context;
	struct http_state *state = call->state;
	size_t bytes = size * count;
	long status = 0;

	curl_easy_getinfo(state->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200 && status < 300 && call->sink) {
		curl_off_t length = -1;
		curl_easy_getinfo(state->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
		call->status = (unsigned)status;
		call->content_length = length;
		if (call->sink(call, data, bytes, &call->err) < 0) {
			end_call(call, HTTP_SINK_FAILED);
			return 0;
		}
		call->received += bytes;
		return bytes;
	}
	size_t room = sizeof(call->error_body) - 1 - min_u64(state->error_bytes, sizeof(call->error_body) - 1);
	memcpy(call->error_body + sizeof(call->error_body) - 1 - room, data, min_u64(room, bytes));
	state->error_bytes += bytes;
	if (state->error_bytes > BODY_IGNORED_MAX) {
		state->enough = true;
		return 0;
	}
	return bytes;
}

static size_t on_send(char *to, size_t size, size_t count, void *context)
{
	struct http_call *call = context;
	uint64_t at = call->state->sent;
	size_t bytes = min_u64(size * count, call->body_bytes - at);
	ssize_t n = (ssize_t)bytes;

	if (call->body)
		memcpy(to, (const char *)call->body + at, bytes);
	else if (bytes > 0)
		n = pread(call->body_fd, to, bytes, (off_t)(call->body_offset + at));
	if (n < 0 || (n == 0 && bytes > 0)) {
		err_set(&call->err, n < 0 ? -errno : -EIO, "cannot read what is to be sent");
		end_call(call, HTTP_SINK_FAILED);
		return CURL_READFUNC_ABORT;
	}
	call->state->sent += (size_t)n;
	if (call->sent)
		call->sent(call, call->state->sent);
	return (size_t)n;
}

/* libcurl sends the body once more if a connection that it had kept turns out to be closed. */
static int on_seek(void *context, curl_off_t offset, int origin)
{
	struct http_call *call = context;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > call->body_bytes)
		return CURL_SEEKFUNC_FAIL;
	call->state->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static int set_request(struct http_call *call)
{
	struct http_state *state = call->state;
	CURL *easy = state->easy;
	struct curl_slist *list = NULL;
	const char *lines[countof(call->headers) + 2] = {"Expect:", call->authorization};

	memcpy(lines + 2, call->headers, sizeof(call->headers));
	for (size_t i = 0; i < countof(lines); i++) {
		if (!lines[i])
			continue;
		list = curl_slist_append(state->headers, lines[i]);
		if (!list)
			return -ENOMEM;
		state->headers = list;
	}
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, state->headers);
	curl_easy_setopt(easy, CURLOPT_URL, call->url->text);
	if (strcmp(call->method, "GET") == 0)
		return 0;
	if (strcmp(call->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return 0;
	}
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
	curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body_bytes);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
	curl_easy_setopt(easy, CURLOPT_READDATA, call);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
	return 0;
}

static void set_limits(const struct http_options *options, struct http_call *call)
{
	CURL *easy = call->state->easy;
	long patience = (long)options->stall_seconds * (long)(call->stall_factor ? call->stall_factor : 1);

	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)options->connect_seconds);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)HTTP_SPEED_MIN);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, patience);
	if (call->total_seconds)
		curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)call->total_seconds);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, call->url->tls ? "https" : "http");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256l << 10);
}

static void set_tls(const struct http_options *options, struct http_call *call)
{
	CURL *easy = call->state->easy;

	if (!call->url->tls)
		return;
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (options->ca_pem) {
		struct curl_blob blob = {(void *)options->ca_pem, strlen(options->ca_pem), CURL_BLOB_NOCOPY};
		curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
	}
	if (options->cert_file && url_same_origin(call->url, options->cert_origin)) {
		curl_easy_setopt(easy, CURLOPT_SSLCERT, options->cert_file);
		curl_easy_setopt(easy, CURLOPT_SSLKEY, options->key_file);
	}
}

static void end_attempt(struct http *http, struct http_call *call)
{
	struct http_state *state = call->state;

	if (state->easy) {
		curl_multi_remove_handle(http->multi, state->easy);
		curl_easy_cleanup(state->easy);
	}
	curl_slist_free_all(state->headers);
	*state = (struct http_state){.done = state->done, .due_ms = state->due_ms};
}

static int start_attempt(struct http *http, struct http_call *call)
{
	struct http_state *state = call->state;

	call->failure = HTTP_COMPLETE;
	call->status = 0;
	call->received = call->retry_after = 0;
	call->content_length = -1;
	memset(&call->err, 0, sizeof(call->err));
	memset(&call->response, 0, sizeof(call->response));
	memset(call->error_body, 0, sizeof(call->error_body));
	state->easy = curl_easy_init();
	if (!state->easy)
		return -ENOMEM;
	CURL *easy = state->easy;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, http->options->user_agent);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, state->error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	set_limits(http->options, call);
	set_tls(http->options, call);
	if (set_request(call) < 0 || curl_multi_add_handle(http->multi, easy) != CURLM_OK)
		return -ENOMEM;
	return 0;
}

static enum http_failure judge(CURLcode result, int *code)
{
	switch (result) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		*code = -EHOSTUNREACH;
		return HTTP_NO_CONNECTION;
	case CURLE_COULDNT_CONNECT:
		*code = -ECONNREFUSED;
		return HTTP_NO_CONNECTION;
	case CURLE_SSL_CONNECT_ERROR:
		*code = -EPROTO;
		return HTTP_NO_TLS;
	case CURLE_OPERATION_TIMEDOUT:
		*code = -ETIMEDOUT;
		return HTTP_LOST;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_FAIL_REWIND:
		*code = -ECONNRESET;
		return HTTP_LOST;
	default:
		*code = -EPROTO;
		return HTTP_UNUSABLE;
	}
}

/* Fills in what came of the attempt. */
static void take_result(struct http_call *call, CURLcode result)
{
	struct http_state *state = call->state;
	long status = 0;
	curl_off_t length = -1, wait = 0;
	int code = 0;

	curl_easy_getinfo(state->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(state->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	curl_easy_getinfo(state->easy, CURLINFO_RETRY_AFTER, &wait);
	call->status = (unsigned)status;
	call->content_length = length;
	call->retry_after = wait > 0 ? (uint64_t)wait : 0;
	if (state->ended || state->enough || result == CURLE_OK)
		return;
	/* libcurl's word for a line of a header that is longer than it takes. */
	if (result == CURLE_OUT_OF_MEMORY && !state->headers_done)
		snprintf(state->error, sizeof(state->error), "the headers of the answer are too long to be kept");
	call->failure = judge(result, &code);
	/* Timed out before there was a connection. */
	curl_off_t connected = 0;
	curl_easy_getinfo(state->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
	if (code == -ETIMEDOUT && connected == 0)
		call->failure = HTTP_NO_CONNECTION;
	err_set(&call->err, code, "%s!", state->error[0] != '\0' ? state->error : curl_easy_strerror(result));
}

/* Takes in the calls that have ended; how many, or -errno if one did so for good. */
static int reap(struct http *http, unsigned *active, struct err *err)
{
	CURLMsg *message;
	int left, reaped = 0;

	while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
		struct http_call *call = NULL;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
		take_result(call, message->data.result);
		end_attempt(http, call);
		(*active)--;
		reaped++;
		call->delay_ms = 0;
		int next = call->finished(call, err);
		if (next < 0)
			return next;
		call->state->done = next == 0;
		call->state->due_ms = now_ms() + call->delay_ms;
	}
	return reaped;
}

/* Starts what may be; *wait_ms: until the next one may. 1: all are done. */
static int start_due(struct http *http, struct http_call *const *calls, size_t count, unsigned parallel,
		     unsigned *active, int *wait_ms)
{
	uint64_t now = now_ms();
	bool all = true;

	*wait_ms = 1000;
	for (size_t i = 0; i < count; i++) {
		struct http_state *state = calls[i]->state;
		all = all && state->done;
		if (state->done || state->easy || *active >= parallel)
			continue;
		if (state->due_ms > now) {
			*wait_ms = (int)min_u64((uint64_t)*wait_ms, state->due_ms - now);
			continue;
		}
		if (start_attempt(http, calls[i]) < 0)
			return -ENOMEM;
		(*active)++;
	}
	return all;
}

static int run(struct http *http, struct http_call *const *calls, size_t count, unsigned parallel, struct err *err)
{
	unsigned active = 0;
	int running, wait_ms;

	for (;;) {
		int code = start_due(http, calls, count, parallel, &active, &wait_ms);
		if (code == 1)
			return 0;
		if (code < 0 || curl_multi_perform(http->multi, &running) != CURLM_OK)
			return err_set(err, -ENOMEM, "cannot make HTTP requests");
		code = reap(http, &active, err);
		if (code < 0)
			return code;
		if (code == 0 && curl_multi_poll(http->multi, NULL, 0, wait_ms, NULL) != CURLM_OK)
			return err_set(err, -ENOMEM, "cannot wait for answers to HTTP requests");
	}
}

int http_run(struct http *http, struct http_call *const *calls, size_t count, unsigned parallel, struct err *err)
{
	struct http_state *states = calloc(count ? count : 1, sizeof(*states));

	if (!states)
		return err_set(err, -ENOMEM, "cannot make HTTP requests");
	for (size_t i = 0; i < count; i++)
		calls[i]->state = &states[i];
	int code = run(http, calls, count, parallel, err);
	for (size_t i = 0; i < count; i++) {
		end_attempt(http, calls[i]);
		calls[i]->state = NULL;
	}
	free(states);
	return code;
}
