/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs, downwards: several at once, each hashed as it comes, continued where it was cut off (RFC 9110, 14: range
 * requests). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "image/registry_call.h"

struct blob_call {
	struct registry_call call;
	struct registry_blob *blob;
	struct progress *progress;
	struct sha256 hash;
	uint64_t done;
	bool started;   /* the body of this attempt has begun */
	bool resumed;   /* the beginning is from an earlier attempt or run */
	bool restarted; /* all was thrown away once */
	char range[64], label[32];
};

static struct blob_call *from_http(struct http_call *http) { return container_of(http, struct blob_call, call.http); }

static void show(struct blob_call *b, const char *what)
{
	progress_set(b->progress, b->blob->item, b->label, what, b->done, b->blob->bytes);
}

static int throw_away(struct blob_call *b, struct err *err)
{
	b->done = 0;
	b->resumed = false;
	sha256_init(&b->hash);
	if (ftruncate(b->blob->fd, 0) < 0)
		return err_set(err, -errno, "cannot empty the file of the blob %s", b->blob->digest);
	return 0;
}

/* What the file has of the blob already. */
static int take_stock(struct blob_call *b, struct err *err)
{
	static uint8_t buffer[1 << 18];
	struct stat info;

	sha256_init(&b->hash);
	if (fstat(b->blob->fd, &info) < 0)
		return err_set(err, -errno, "cannot look at the file of the blob %s", b->blob->digest);
	if ((uint64_t)info.st_size > b->blob->bytes)
		return throw_away(b, err);
	while (b->done < (uint64_t)info.st_size) {
		size_t want = min_u64(sizeof(buffer), (uint64_t)info.st_size - b->done);
		ssize_t n = pread(b->blob->fd, buffer, want, (off_t)b->done);
		/* A part that cannot be read is fetched again. */
		if (n <= 0)
			return throw_away(b, err);
		sha256_update(&b->hash, buffer, (size_t)n);
		b->done += (uint64_t)n;
	}
	b->resumed = b->done > 0;
	return 0;
}

static void prepare(struct registry_call *call)
{
	struct blob_call *b = container_of(call, struct blob_call, call);

	b->started = false;
	b->call.http.headers[0] = NULL;
	if (b->done == 0)
		return;
	b->resumed = true;
	snprintf(b->range, sizeof(b->range), "Range: bytes=%llu-", (unsigned long long)b->done);
	b->call.http.headers[0] = b->range;
}

/* "bytes FIRST-LAST/TOTAL" must be exactly what was asked for. */
static int check_range(const struct blob_call *b, const char *text, struct err *err)
{
	char wanted[80], open_end[80];
	unsigned long long first = b->done, total = b->blob->bytes;

	snprintf(wanted, sizeof(wanted), "bytes %llu-%llu/%llu", first, total - 1, total);
	snprintf(open_end, sizeof(open_end), "bytes %llu-%llu/*", first, total - 1);
	if (b->done == 0 || (strcmp(text, wanted) != 0 && strcmp(text, open_end) != 0))
		return err_set(err, -EPROTO, "the answer has the range '%.100s' instead of '%s'!", text,
			       b->done == 0 ? "all" : wanted);
	return 0;
}

static int begin(struct blob_call *b, struct err *err)
{
	const struct http_call *http = &b->call.http;
	int code = 0;

	b->started = true;
	if (http->status == 206)
		code = check_range(b, http->response.content_range, err);
	else if (http->status != 200)
		code = err_set(err, -EPROTO, "the answer has the status %u!", http->status);
	else if (b->done > 0) /* it does not do ranges */
		code = throw_away(b, err);
	if (code == 0 && http->content_length >= 0 && (uint64_t)http->content_length != b->blob->bytes - b->done)
		code = err_set(err, -EPROTO, "the answer has %lld bytes instead of %llu!",
			       (long long)http->content_length, (unsigned long long)(b->blob->bytes - b->done));
	return code;
}

static int blob_sink(struct http_call *http, const void *data, size_t bytes, struct err *err)
{
	struct blob_call *b = from_http(http);
	const char *from = data;

	if (!b->started) {
		int code = begin(b, err);
		if (code < 0)
			return code;
	}
	if (bytes > b->blob->bytes - b->done)
		return err_set(err, -EPROTO, "the answer is longer than the %llu bytes that the blob has!",
			       (unsigned long long)b->blob->bytes);
	sha256_update(&b->hash, data, bytes);
	while (bytes > 0) {
		ssize_t n = pwrite(b->blob->fd, from, bytes, (off_t)b->done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, n < 0 ? -errno : -EIO, "cannot write the blob %s", b->blob->digest);
		from += n;
		bytes -= (size_t)n;
		b->done += (uint64_t)n;
	}
	show(b, "pulling");
	return 0;
}

/* All bytes are there. 0, or 1: once more from the beginning. */
static int check_digest(struct blob_call *b, struct err *err)
{
	struct image_digest digest;
	char text[IMAGE_DIGEST_TEXT];

	sha256_final(&b->hash, digest.bytes);
	image_digest_format(&digest, text);
	if (strcmp(text, b->blob->digest) == 0) {
		show(b, "pulled");
		return 0;
	}
	bool again = b->resumed && !b->restarted;
	int code = throw_away(b, err);
	if (code < 0)
		return code;
	if (again) {
		b->restarted = true;
		return 1;
	}
	return err_set(err, -EBADMSG, "%s gave a blob with the digest %s instead of %s!", b->call.registry->name, text,
		       b->blob->digest);
}

static int blob_finished(struct http_call *http, struct err *err)
{
	struct blob_call *b = from_http(http);
	int code = registry_call_step(http, err);

	if (code != 0)
		return code < 0 && http->failure == HTTP_SINK_FAILED ? err_wrap(err, "blob %.19s", b->blob->digest)
								     : code;
	/* Nothing is there beyond what we have: it is another blob, or a registry that is confused. */
	if (http->status == 416 && b->done > 0 && !b->restarted) {
		b->restarted = true;
		code = throw_away(b, err);
	} else if (http->status != 200 && http->status != 206) {
		return registry_call_refused(&b->call, err);
	} else if (b->done == b->blob->bytes) {
		code = check_digest(b, err);
		if (code <= 0)
			return code;
	} else {
		http->failure = HTTP_LOST;
		err_set(&http->err, -ECONNRESET, "the answer ended after %llu of %llu bytes!",
			(unsigned long long)b->done, (unsigned long long)b->blob->bytes);
	}
	return code < 0 ? code : registry_call_repeat(&b->call, err);
}

/* 1: nothing needs to be fetched. */
static int set_up(struct blob_call *b, struct registry *registry, struct registry_blob *blob, struct progress *progress,
		  struct err *err)
{
	char path[1024];

	snprintf(path, sizeof(path), "/v2/%s/blobs/%s", registry->reference.repository, blob->digest);
	int code = registry_call_init(&b->call, registry, "GET", path, err);
	if (code < 0)
		return code;
	b->blob = blob;
	b->progress = progress;
	snprintf(b->label, sizeof(b->label), "%.12s", blob->digest + strlen("sha256:"));
	code = take_stock(b, err);
	if (code < 0)
		return code;
	if (b->done == blob->bytes && b->done > 0) {
		code = check_digest(b, err);
		if (code <= 0)
			return code < 0 ? code : 1;
	}
	b->call.http.sink = blob_sink;
	b->call.http.finished = blob_finished;
	b->call.prepare = prepare;
	registry_call_begin(&b->call);
	show(b, "waiting");
	return 0;
}

int registry_blobs_get(struct registry *registry, struct registry_blob *blobs, size_t count, struct progress *progress,
		       struct err *err)
{
	struct blob_call *all = calloc(count ? count : 1, sizeof(*all));
	struct http_call **calls = calloc(count ? count : 1, sizeof(struct http_call *));
	size_t wanted = 0;
	int code = 0;

	if (!all || !calls)
		code = err_set(err, -ENOMEM, "cannot fetch %zu blobs", count);
	for (size_t i = 0; code == 0 && i < count; i++) {
		int one = set_up(&all[i], registry, &blobs[i], progress, err);
		if (one == 0)
			calls[wanted++] = &all[i].call.http;
		code = one < 0 ? one : 0;
	}
	if (code == 0)
		code = http_run(registry->http, calls, wanted, REGISTRY_BLOBS_AT_ONCE, err);
	free(calls);
	free(all);
	return code;
}
