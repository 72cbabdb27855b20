/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of bytes from outside, hashed as it comes, decompressed if it is gzip (RFC 1952, any number of members) or zstd (RFC 8878),
 * hashed again. At its end, and only there, it is known to be what its digests say.
 */
#ifndef LAMPO_IMAGE_STREAM_H
#define LAMPO_IMAGE_STREAM_H

#include "image/layer.h"

enum stream_format {
	STREAM_DETECT, /* gzip, zstd, or anything else as it is */
	STREAM_PLAIN,
	STREAM_ZSTD,
};

struct stream;

/* source and what it points to stay the caller's, and there. limits: bytes and ratio count. */
int stream_open(struct stream **stream, const struct layer_source *source, const struct layer_limits *limits,
		enum stream_format format, struct err *err);
void stream_close(struct stream *stream); /* NULL is fine */
/* Fills `to` as far as there is something: short only at the end; 0: that was all, and the digests are right. -errno: -EBADMSG damaged or
 * truncated or not what the digests say, -EFBIG beyond the limits, or what the source said. */
int64_t stream_read(struct stream *stream, void *to, size_t bytes, struct err *err);

#endif
