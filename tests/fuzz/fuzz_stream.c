/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed streams of hostile bytes. ISA-L's gzip is assembler that no sanitizer sees: input and output end at pages
 * that are not there, and what it makes is compared with zlib's.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "base/util.h"
#include "image/stream.h"

#define ROOM (1u << 17)

static void require(bool condition)
{
	if (!condition)
		abort();
}

struct input {
	const uint8_t *data;
	size_t bytes, step;
};

static int64_t input_read(void *context, void *to, size_t bytes, struct err *err)
{
	struct input *in = context;
	size_t n = min_u64(min_u64(bytes, in->bytes), in->step);
	(void)err;

	if (n > 0)
		memcpy(to, in->data, n);
	in->data += n;
	in->bytes -= n;
	return (int64_t)n;
}

/* A place that ends where nothing is mapped. */
static uint8_t *fence(void)
{
	uint8_t *place = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require(place != MAP_FAILED && mprotect(place + ROOM, 4096, PROT_NONE) == 0);
	return place;
}

/* As zlib sees it: bytes, or -1. */
static int64_t reference(const uint8_t *data, size_t bytes, uint8_t *out)
{
	z_stream z = {
	    .next_in = (uint8_t *)(uintptr_t)data, .avail_in = (unsigned)bytes, .next_out = out, .avail_out = ROOM};
	int r;

	require(inflateInit2(&z, 15 + 16) == Z_OK);
	while ((r = inflate(&z, Z_FINISH)) == Z_STREAM_END && z.avail_in > 0)
		inflateReset(&z);
	inflateEnd(&z);
	return r == Z_STREAM_END ? (int64_t)(ROOM - z.avail_out) : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *out, *expected, bytes[1u << 15];
	const struct layer_limits limits = {.bytes = ROOM - 1, .ratio = 1200};
	struct stream *stream;
	struct err err;
	size_t have = 0;
	int64_t n = 0;

	if (out == NULL) {
		out = fence();
		expected = fence();
	}
	if (size < 2 || size > sizeof(bytes) - 32)
		return 0;
	unsigned mode = data[0] % 4;
	size_t length = size - 2;
	if (mode == 0) { /* as it is */
		memcpy(bytes, data + 2, length);
	} else if (mode == 1) { /* a member with those contents */
		uLongf room = sizeof(bytes);
		z_stream z = {.next_in = (uint8_t *)(uintptr_t)data + 2,
			      .avail_in = (unsigned)length,
			      .next_out = bytes,
			      .avail_out = room};
		require(deflateInit2(&z, data[1] % 10, Z_DEFLATED, 15 + 16, 8, data[1] / 64) == Z_OK);
		require(deflate(&z, Z_FINISH) == Z_STREAM_END);
		length = room - z.avail_out;
		deflateEnd(&z);
	} else { /* those bytes as what a member has compressed, with the right sum if zlib makes sense of it */
		memcpy(bytes, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
		memcpy(bytes + 10, data + 2, length);
		z_stream z = {
		    .next_in = bytes + 10, .avail_in = (unsigned)length, .next_out = expected, .avail_out = ROOM - 1};
		require(inflateInit2(&z, -15) == Z_OK);
		(void)inflate(&z, Z_FINISH);
		length = 10 + length - z.avail_in;
		uint32_t trailer[2] = {(uint32_t)crc32(0, expected, (unsigned)z.total_out), (uint32_t)z.total_out};
		memcpy(bytes + length, trailer, 8);
		length += 8;
		inflateEnd(&z);
	}
	struct input in = {.data = bytes, .bytes = length, .step = data[1] < 128 ? data[1] + 1u : sizeof(bytes)};
	struct layer_source source = {.read = input_read, .context = &in, .name = "it"};
	if (stream_open(&stream, &source, &limits, STREAM_DETECT, &err) < 0)
		return 0;
	size_t piece = data[1] % 5 == 0 ? 1 + data[1] : ROOM;
	/* Each piece is put so that it ends at the fence. */
	while (have < ROOM) {
		size_t want = min_u64(piece, ROOM - have);
		n = stream_read(stream, out + ROOM - want, want, &err);
		require(n >= -4095 && n <= (int64_t)want);
		if (n <= 0)
			break;
		/* Compared at once: the place is used again. */
		if (length >= 3 && memcmp(bytes, "\x1f\x8b\x08", 3) == 0 && have == 0 && piece == ROOM) {
			int64_t all = reference(bytes, length, expected);
			if (all >= 0)
				require(all >= n && memcmp(expected, out + ROOM - want, (size_t)n) == 0);
		}
		have += (size_t)n;
	}
	if (length >= 3 && memcmp(bytes, "\x1f\x8b\x08", 3) == 0) {
		int64_t all = reference(bytes, length, expected);
		/* What zlib takes is taken, unless it is too much. */
		if (all >= 0 && all < (int64_t)limits.bytes)
			require(n == 0 && (int64_t)have == all);
	}
	if (n < 0)
		require(err.code < 0 && err.text[0] != '\0');
	stream_close(stream);
	return 0;
}
