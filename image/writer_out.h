/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the writer puts blocks: collects them in large pieces, which a thread hashes and writes while the next one is
 * filled. Used by one thread at a time. An error of the disk comes out of the next call that can fail.
 */
#ifndef LAMPO_IMAGE_WRITER_OUT_H
#define LAMPO_IMAGE_WRITER_OUT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/host/err.h"
#include "base/sha256.h"

#define OUT_BLOCK 4096u
#define OUT_PIECE_BLOCKS 256u
#define OUT_PIECE (OUT_PIECE_BLOCKS * OUT_BLOCK)
#define OUT_PIECES 6u

struct out_piece {
	uint64_t first; /* its first block in the file */
	size_t bytes;   /* filled so far */
	uint8_t *data;
	uint8_t hashes[OUT_PIECE_BLOCKS][SHA256_BYTES];
};

struct out {
	int fd;
	uint64_t blocks_max;
	uint8_t (*hashes)[SHA256_BYTES]; /* of blocks 0 to hashed - 1 */
	uint64_t hashed, hash_room;

	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool running, quit;
	int error; /* -errno, the first one's: nothing is written any more */
	/* Pieces are numbered; number n is pieces[n % OUT_PIECES]. submitted is the one being filled. */
	uint64_t submitted, done, collected;
	struct out_piece pieces[OUT_PIECES];
};

int out_open(struct out *out, int fd, uint64_t blocks_max, struct err *err);
void out_close(struct out *out);

/* The place of the next byte. */
static inline uint64_t out_position(const struct out *out)
{
	const struct out_piece *piece = &out->pieces[out->submitted % OUT_PIECES];

	return piece->first * OUT_BLOCK + piece->bytes;
}

/* Makes sure that `bytes` (at most OUT_PIECE) can be put in one piece from here; only at a block's start may this begin
 * a new one. */
int out_reserve(struct out *out, size_t bytes, struct err *err);
/* What was reserved: where the next byte goes. out_advance() says how much was put there, out_retract() takes it back.
 */
static inline uint8_t *out_next(struct out *out)
{
	struct out_piece *piece = &out->pieces[out->submitted % OUT_PIECES];

	return piece->data + piece->bytes;
}
static inline void out_advance(struct out *out, size_t bytes)
{
	out->pieces[out->submitted % OUT_PIECES].bytes += bytes;
}
static inline void out_retract(struct out *out, size_t bytes)
{
	out->pieces[out->submitted % OUT_PIECES].bytes -= bytes;
}

/* Any number of bytes; NULL: zeros. */
int out_append(struct out *out, const void *data, uint64_t bytes, struct err *err);
/* Zeros up to the next block. */
int out_pad(struct out *out, struct err *err);
/* Everything is in the file, and hashed; the position must be a block's start. */
int out_drain(struct out *out, struct err *err);
/* After out_drain(): the file ends after `blocks` blocks, and goes on there. */
void out_rewind(struct out *out, uint64_t blocks);
/* All of it at that offset: 0 or -errno. */
int out_pwrite(int fd, const void *data, size_t bytes, uint64_t offset);

#endif
