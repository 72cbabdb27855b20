/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread, the caller's, reads, hashes and decompresses the layer; another takes the archive apart and writes the
 * image. The compressed stream's end, and so its digest, is looked at even if the archive ends before it.
 */
#include "image/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "image/layer_entry.h"
#include "image/relay.h"
#include "image/stream.h"

struct apply {
	struct layer_writer to;
	const struct layer_source *source;
	const struct layer_limits *limits;
	struct relay relay;
	EVP_MD_CTX *hash; /* of the archive; NULL if nobody asks */
	int result;       /* the worker's */
	struct err err;
};

/* The next piece of the archive; -1: there is no more, for a reason that the other thread knows. */
static int64_t piece_take(struct apply *apply, const void **data)
{
	int64_t n = relay_take(&apply->relay, data);

	if (n > 0 && apply->hash != NULL && EVP_DigestUpdate(apply->hash, *data, (size_t)n) != 1)
		return -1;
	return n;
}

static la_ssize_t archive_take(struct archive *archive, void *context, const void **data)
{
	int64_t n = piece_take(context, data);

	if (n < 0)
		archive_set_error(archive, EIO, "the stream failed");
	return n < 0 ? ARCHIVE_FATAL : (la_ssize_t)n;
}

static int archive_failed(struct archive *archive, const char *name, struct err *err)
{
	const char *text = archive_error_string(archive);

	if (archive_errno(archive) == ENOMEM)
		return err_set(err, -ENOMEM, "cannot read %s", name);
	return err_set(err, -EBADMSG, "cannot read %s: %s!", name, text != NULL ? text : "it is no tar archive");
}

/* Names are bytes. In the C locale libarchive takes those of pax headers as they are, and warns if they are not ASCII.
 */
static bool is_harmless(struct archive *archive)
{
	const char *text = archive_error_string(archive);

	return text != NULL && strstr(text, "can't be converted") != NULL;
}

static int entries_apply(struct apply *apply, struct archive *archive, struct err *err)
{
	uint64_t entries = 0;
	struct archive_entry *entry;

	for (;;) {
		int r = archive_read_next_header(archive, &entry);
		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK && !(r == ARCHIVE_WARN && is_harmless(archive)))
			return archive_failed(archive, apply->source->name, err);
		if (++entries > apply->limits->entries)
			return err_set(err, -EFBIG, "cannot use %s: it has more than %llu entries!",
				       apply->source->name, (unsigned long long)apply->limits->entries);
		r = layer_entry_apply(&apply->to, archive, entry, err);
		if (r < 0 && archive_errno(archive) != 0 && r == -EBADMSG)
			return archive_failed(archive, apply->source->name, err);
		if (r < 0)
			return err_wrap(err, "cannot use %s", apply->source->name);
	}
}

static int archive_apply(struct apply *apply, struct err *err)
{
	struct archive *archive = archive_read_new();
	const void *rest;
	int r;

	if (archive == NULL)
		return err_set(err, -ENOMEM, "cannot read %s", apply->source->name);
	archive_read_support_format_tar(archive);
	archive_read_support_format_empty(archive);
	if (archive_read_open(archive, apply, NULL, archive_take, NULL) != ARCHIVE_OK)
		r = archive_failed(archive, apply->source->name, err);
	else
		r = entries_apply(apply, archive, err);
	/* What follows the archive's end counts for the digests. */
	int64_t n = 1;
	while (r == 0 && n > 0)
		n = piece_take(apply, &rest);
	archive_read_free(archive);
	if (r == 0 && n == 0)
		r = stream_hash_check(apply->hash, apply->source->diff_id, "the digest of what is in it",
				      apply->source->name, err);
	return r == 0 && n < 0 ? err_set(err, -EIO, "cannot read %s", apply->source->name) : r;
}

static void *worker(void *context)
{
	struct apply *apply = context;
	locale_t c = newlocale(LC_ALL_MASK, "C", NULL);

	if (c == NULL) {
		apply->result = err_set(&apply->err, -ENOMEM, "cannot read %s", apply->source->name);
	} else {
		uselocale(c);
		apply->result = archive_apply(apply, &apply->err);
		uselocale(LC_GLOBAL_LOCALE);
		freelocale(c);
	}
	relay_stop(&apply->relay);
	return NULL;
}

/* Until the stream ends or the worker wants no more. */
static int pump(struct stream *stream, struct relay *relay, struct err *err)
{
	int64_t n = 1;
	void *room;

	while (n > 0 && (room = relay_room(relay)) != NULL) {
		n = stream_read(stream, room, RELAY_BUFFER_BYTES, err);
		if (n > 0)
			relay_fill(relay, (size_t)n);
	}
	relay_end(relay, n < 0);
	return n < 0 ? (int)n : 0;
}

/* A damaged archive in a damaged stream is the stream's fault, and the better message is its digest's. */
static int blame_stream(struct stream *stream, struct err *err)
{
	struct err stream_err;
	int64_t n = 1;
	uint8_t *scratch = malloc(RELAY_BUFFER_BYTES);

	while (scratch != NULL && n > 0)
		n = stream_read(stream, scratch, RELAY_BUFFER_BYTES, &stream_err);
	free(scratch);
	if (n < 0 && stream_err.code == -EBADMSG)
		*err = stream_err;
	return err->code;
}

int layer_apply(struct tree *tree, struct image_writer *writer, unsigned layer, const struct layer_source *source,
		const struct layer_limits *limits, struct err *err)
{
	struct apply apply = {
	    .to = {.names = {.tree = tree, .layer = layer, .work_max = LAYER_WORK_BASE}, .writer = writer},
	    .source = source,
	    .limits = limits,
	};
	struct stream *stream;
	pthread_t thread;

	int r = stream_open(&stream, source, limits, STREAM_DETECT, err);
	if (r < 0)
		return r;
	if (source->diff_id != NULL)
		apply.hash = stream_hash_new();
	if (relay_init(&apply.relay) < 0 || (source->diff_id != NULL && apply.hash == NULL)) {
		relay_fini(&apply.relay);
		EVP_MD_CTX_free(apply.hash);
		stream_close(stream);
		return err_set(err, -ENOMEM, "cannot read %s", source->name);
	}
	r = -pthread_create(&thread, NULL, worker, &apply);
	if (r < 0) {
		err_set(err, r, "cannot start a thread");
	} else {
		r = pump(stream, &apply.relay, err);
		pthread_join(thread, NULL);
		if (r == 0 && apply.result < 0) {
			*err = apply.err;
			r = apply.result == -EBADMSG ? blame_stream(stream, err) : apply.result;
		}
	}
	relay_fini(&apply.relay);
	EVP_MD_CTX_free(apply.hash);
	stream_close(stream);
	return r;
}
