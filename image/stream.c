/* SPDX-License-Identifier: Apache-2.0 */
#include "image/stream.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define INPUT_BYTES (256u << 10)
#define RATIO_FROM (64ull << 20)

struct stream {
	const struct layer_source *source;
	struct layer_limits limits;
	enum { PLAIN, GZIP, ZSTD } kind;
	uint8_t *input; /* INPUT_BYTES */
	size_t input_at, input_end;
	uint64_t in, out; /* bytes so far */
	bool input_ended; /* the source has said so */
	bool between;     /* gzip members or zstd frames: a good place for the end */
	bool ended;       /* and the digest is right */
	EVP_MD_CTX *hash; /* NULL if nobody asks */
	struct inflate_state *gzip;
	ZSTD_DStream *zstd;
};

EVP_MD_CTX *stream_hash_new(void)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();

	if (hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1)
		return hash;
	EVP_MD_CTX_free(hash);
	return NULL;
}

int stream_hash_check(EVP_MD_CTX *hash, const char *expected, const char *what, const char *name, struct err *err)
{
	struct image_digest digest;
	char text[IMAGE_DIGEST_TEXT];

	if (hash == NULL || expected == NULL)
		return 0;
	if (EVP_DigestFinal_ex(hash, digest.bytes, NULL) != 1)
		return err_set(err, -ENOMEM, "cannot hash %s", name);
	image_digest_format(&digest, text);
	if (strcmp(text, expected) == 0)
		return 0;
	return err_set(err, -EBADMSG, "cannot use %s: %s is %s, not %s!", name, what, text, expected);
}

/* More input, if there is none left. 0 also at its end. */
static int fill(struct stream *s, struct err *err)
{
	if (s->input_at < s->input_end || s->input_ended)
		return 0;
	s->input_at = s->input_end = 0;
	int64_t n = s->source->read(s->source->context, s->input, INPUT_BYTES, err);
	if (n < 0)
		return (int)n;
	s->input_ended = n == 0;
	s->input_end = (size_t)n;
	s->in += (uint64_t)n;
	if (n > 0 && s->hash != NULL && EVP_DigestUpdate(s->hash, s->input, (size_t)n) != 1)
		return err_set(err, -ENOMEM, "cannot hash %s", s->source->name);
	return 0;
}

/* The first bytes, which tell what it is. */
static int detect(struct stream *s, enum stream_format format, struct err *err)
{
	while (s->input_end < 4 && !s->input_ended) { /* fill() would begin at 0 again */
		int64_t n =
		    s->source->read(s->source->context, s->input + s->input_end, INPUT_BYTES - s->input_end, err);
		if (n < 0)
			return (int)n;
		s->input_ended = n == 0;
		if (n > 0 && s->hash != NULL && EVP_DigestUpdate(s->hash, s->input + s->input_end, (size_t)n) != 1)
			return err_set(err, -ENOMEM, "cannot hash %s", s->source->name);
		s->input_end += (size_t)n;
		s->in += (uint64_t)n;
	}
	if (format == STREAM_PLAIN)
		return 0;
	if (format == STREAM_DETECT && s->input_end >= 3 && memcmp(s->input, "\x1f\x8b\x08", 3) == 0) {
		s->kind = GZIP;
		s->between = true; /* nothing has begun */
		s->gzip = malloc(sizeof(*s->gzip));
		if (s->gzip == NULL)
			return err_set(err, -ENOMEM, "cannot decompress %s", s->source->name);
	} else if (format == STREAM_ZSTD || (s->input_end >= 4 && memcmp(s->input, "\x28\xb5\x2f\xfd", 4) == 0)) {
		s->kind = ZSTD; /* its window is at most 128 MiB (ZSTD_d_windowLogMax's default) */
		s->zstd = ZSTD_createDStream();
		if (s->zstd == NULL || ZSTD_isError(ZSTD_initDStream(s->zstd)))
			return err_set(err, -ENOMEM, "cannot decompress %s", s->source->name);
	}
	return 0;
}

int stream_open(struct stream **stream, const struct layer_source *source, const struct layer_limits *limits,
		enum stream_format format, struct err *err)
{
	struct stream *s = calloc(1, sizeof(*s));
	int r = 0;

	*stream = s;
	if (s == NULL)
		return err_set(err, -ENOMEM, "cannot read %s", source->name);
	s->source = source;
	s->limits = *limits;
	s->input = malloc(INPUT_BYTES);
	if (s->input == NULL || (source->digest != NULL && (s->hash = stream_hash_new()) == NULL))
		r = err_set(err, -ENOMEM, "cannot read %s", source->name);
	else
		r = detect(s, format, err);
	if (r < 0) {
		stream_close(s);
		*stream = NULL;
	}
	return r;
}

void stream_close(struct stream *s)
{
	if (s == NULL)
		return;
	free(s->gzip);
	ZSTD_freeDStream(s->zstd);
	EVP_MD_CTX_free(s->hash);
	free(s->input);
	free(s);
}

static int damaged(const struct stream *s, const char *why, struct err *err)
{
	return err_set(err, -EBADMSG, "cannot decompress %s: %s after %llu bytes!", s->source->name, why,
		       (unsigned long long)(s->in - (s->input_end - s->input_at)));
}

static int64_t plain_read(struct stream *s, uint8_t *to, size_t bytes)
{
	size_t n = s->input_end - s->input_at;

	if (n > bytes)
		n = bytes;
	memcpy(to, s->input + s->input_at, n);
	s->input_at += n;
	return (int64_t)n;
}

/* One step: may give nothing although there is more. By ISA-L, which takes half of zlib's time; that is most of an
 * import's. */
static int64_t gzip_read(struct stream *s, uint8_t *to, size_t bytes, struct err *err)
{
	size_t before = s->input_at;

	if (s->between) {
		isal_inflate_init(s->gzip);
		s->gzip->crc_flag = ISAL_GZIP;
		s->between = false;
	}
	s->gzip->next_in = s->input + s->input_at;
	s->gzip->avail_in = (uint32_t)(s->input_end - s->input_at);
	s->gzip->next_out = to;
	s->gzip->avail_out = (uint32_t)bytes;
	int r = isal_inflate(s->gzip);
	s->input_at = s->input_end - s->gzip->avail_in;
	if (r == ISAL_INCORRECT_CHECKSUM)
		return damaged(s, "wrong gzip checksum", err);
	if (r != ISAL_DECOMP_OK && r != ISAL_END_INPUT && r != ISAL_OUT_OVERFLOW)
		return damaged(s, "bad gzip data", err);
	s->between = s->gzip->block_state == ISAL_BLOCK_FINISH;
	/* It may hold back output for which there was no room. */
	if (s->input_at == before && s->gzip->avail_out == bytes && !s->between && s->input_ended)
		return damaged(s, "it ends in the middle,", err);
	return (int64_t)(bytes - s->gzip->avail_out);
}

static int64_t zstd_read(struct stream *s, uint8_t *to, size_t bytes, struct err *err)
{
	ZSTD_inBuffer in = {.src = s->input, .size = s->input_end, .pos = s->input_at};
	ZSTD_outBuffer out = {.dst = to, .size = bytes};

	if (s->between && in.pos == in.size)
		return 0;
	size_t r = ZSTD_decompressStream(s->zstd, &out, &in);
	if (ZSTD_isError(r))
		return damaged(s, ZSTD_getErrorName(r), err);
	if (in.pos == s->input_at && out.pos == 0 && s->input_ended)
		return damaged(s, "it ends in the middle,", err);
	s->input_at = in.pos;
	s->between = r == 0;
	return (int64_t)out.pos;
}

static int limits_check(const struct stream *s, struct err *err)
{
	if (s->out > s->limits.bytes)
		return err_set(err, -EFBIG, "cannot use %s: it has more than %llu bytes!", s->source->name,
			       (unsigned long long)s->limits.bytes);
	if (s->kind != PLAIN && s->limits.ratio != 0 && s->out > RATIO_FROM && s->out / s->limits.ratio > s->in)
		return err_set(err, -EFBIG, "cannot use %s: %llu bytes become more than %u times as many!",
			       s->source->name, (unsigned long long)s->in, s->limits.ratio);
	return 0;
}

static int64_t end(struct stream *s, struct err *err)
{
	int r = stream_hash_check(s->hash, s->source->digest, "its digest", s->source->name, err);

	s->ended = r == 0;
	return r;
}

int64_t stream_read(struct stream *s, void *to, size_t bytes, struct err *err)
{
	size_t have = 0;

	while (have < bytes && !s->ended) {
		int r = fill(s, err);
		if (r < 0)
			return r;
		if (s->input_ended && s->input_at == s->input_end && (s->kind == PLAIN || s->between)) {
			if (have > 0)
				break; /* the verdict comes with the next call */
			return end(s, err);
		}
		uint8_t *at = (uint8_t *)to + have;
		int64_t n = s->kind == GZIP   ? gzip_read(s, at, bytes - have, err)
			    : s->kind == ZSTD ? zstd_read(s, at, bytes - have, err)
					      : plain_read(s, at, bytes - have);
		if (n < 0)
			return n;
		have += (size_t)n;
		s->out += (uint64_t)n;
		if ((r = limits_check(s, err)) < 0)
			return r;
	}
	return (int64_t)have;
}
