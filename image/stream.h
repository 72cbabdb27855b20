/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of bytes from outside, hashed as it comes, and decompressed if it is gzip (RFC 1952, any number of members)
 * or zstd (RFC 8878). At its end, and only there, it is known to be what its digest says.
 */
#ifndef LAMPO_IMAGE_STREAM_H
#define LAMPO_IMAGE_STREAM_H

#include <openssl/types.h>

#include "image/layer.h"

enum stream_format {
	STREAM_DETECT, /* gzip, zstd, or anything else as it is */
	STREAM_PLAIN,
	STREAM_ZSTD,
};

struct stream;

/* source and what it points to stay the caller's, and there; its diff_id is not looked at. limits: bytes and ratio
 * count. */
int stream_open(struct stream **stream, const struct layer_source *source, const struct layer_limits *limits,
		enum stream_format format, struct err *err);
void stream_close(struct stream *stream); /* NULL is fine */
/* Fills `to` as far as there is something: short only at the end; 0: that was all, and the digest is right. -errno:
 * -EBADMSG damaged or truncated or not what the digest says, -EFBIG beyond the limits, or what the source said. */
int64_t stream_read(struct stream *stream, void *to, size_t bytes, struct err *err);

/* A SHA-256 that OpenSSL makes; NULL: no memory. */
EVP_MD_CTX *stream_hash_new(void);
/* Ends it. -EBADMSG if it is not `expected` (NULL: any); what, name: for the error, "its digest" of "layer 1". */
int stream_hash_check(EVP_MD_CTX *hash, const char *expected, const char *what, const char *name, struct err *err);

#endif
