/* SPDX-License-Identifier: Apache-2.0 */
#include "image/writer_out.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

static struct out_piece *current(struct out *out) { return &out->pieces[out->submitted % OUT_PIECES]; }

int out_pwrite(int fd, const void *data, size_t bytes, uint64_t offset)
{
	const uint8_t *p = data;

	while (bytes > 0) {
		ssize_t n = pwrite(fd, p, bytes, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		bytes -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static int piece_finish(struct out *out, struct out_piece *piece)
{
	sha256_each(piece->data, OUT_BLOCK, piece->bytes / OUT_BLOCK, piece->hashes);
	int r = out_pwrite(out->fd, piece->data, piece->bytes, piece->first * OUT_BLOCK);
	/* The disk may begin: whoever needs the file to be durable waits the less. Only a hint, so it cannot fail. */
	sync_file_range(out->fd, (off_t)(piece->first * OUT_BLOCK), (off_t)piece->bytes, SYNC_FILE_RANGE_WRITE);
	return r;
}

static void *out_thread(void *context)
{
	struct out *out = context;

	pthread_mutex_lock(&out->mutex);
	for (;;) {
		while (!out->quit && out->done == out->submitted)
			pthread_cond_wait(&out->changed, &out->mutex);
		if (out->quit)
			break;
		if (out->error == 0) {
			struct out_piece *piece = &out->pieces[out->done % OUT_PIECES];
			pthread_mutex_unlock(&out->mutex);
			int r = piece_finish(out, piece);
			pthread_mutex_lock(&out->mutex);
			out->error = r;
		}
		out->done++;
		pthread_cond_signal(&out->changed);
	}
	pthread_mutex_unlock(&out->mutex);
	return NULL;
}

static int thread_start(struct out *out)
{
	sigset_t all, before;

	/* Signals are for whoever runs the program's main loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&out->thread, NULL, out_thread, out);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	out->running = r == 0;
	return -r;
}

int out_open(struct out *out, int fd, uint64_t blocks_max, struct err *err)
{
	memset(out, 0, sizeof(*out));
	out->fd = fd;
	out->blocks_max = blocks_max;
	pthread_mutex_init(&out->mutex, NULL);
	pthread_cond_init(&out->changed, NULL);
	int r = 0;
	for (unsigned i = 0; i < OUT_PIECES && r == 0; i++) {
		out->pieces[i].data = aligned_alloc(OUT_BLOCK, OUT_PIECE);
		r = out->pieces[i].data ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = thread_start(out);
	if (r < 0) {
		out_close(out);
		return err_set(err, r, "cannot start writing the image");
	}
	return 0;
}

void out_close(struct out *out)
{
	if (out->running) {
		pthread_mutex_lock(&out->mutex);
		out->quit = true;
		pthread_cond_signal(&out->changed);
		pthread_mutex_unlock(&out->mutex);
		pthread_join(out->thread, NULL);
	}
	pthread_cond_destroy(&out->changed);
	pthread_mutex_destroy(&out->mutex);
	for (unsigned i = 0; i < OUT_PIECES; i++)
		free(out->pieces[i].data);
	free(out->hashes);
	memset(out, 0, sizeof(*out));
}

/* Whoever goes on after an error gets it again. */
static int fail(struct out *out, int code, struct err *err)
{
	pthread_mutex_lock(&out->mutex);
	out->error = code;
	pthread_mutex_unlock(&out->mutex);
	return err_set(err, code, "cannot write the image file");
}

/* Takes over the hashes of pieces that are done, until no more than `pending` are not. */
static int collect(struct out *out, uint64_t pending, struct err *err)
{
	pthread_mutex_lock(&out->mutex);
	while (out->submitted - out->done > pending)
		pthread_cond_wait(&out->changed, &out->mutex);
	uint64_t done = out->done;
	int error = out->error;
	pthread_mutex_unlock(&out->mutex);
	if (error < 0)
		return err_set(err, error, "cannot write the image file");
	for (; out->collected < done; out->collected++) {
		const struct out_piece *piece = &out->pieces[out->collected % OUT_PIECES];
		uint64_t blocks = piece->bytes / OUT_BLOCK;
		if (out->hashed + blocks > out->hash_room) {
			uint64_t room = max_u64(out->hash_room * 2, 16384);
			void *hashes = realloc(out->hashes, room * SHA256_BYTES);
			if (!hashes)
				return fail(out, -ENOMEM, err);
			out->hashes = hashes;
			out->hash_room = room;
		}
		memcpy(out->hashes[out->hashed], piece->hashes, blocks * SHA256_BYTES);
		out->hashed += blocks;
	}
	return 0;
}

/* The current piece goes to the thread, and a free one becomes current. */
static int submit(struct out *out, struct err *err)
{
	uint64_t next = out_position(out) / OUT_BLOCK;

	if (next > out->blocks_max)
		return err_set(err, -EFBIG, "the image would have more than %llu bytes!",
			       (unsigned long long)out->blocks_max * OUT_BLOCK);
	pthread_mutex_lock(&out->mutex);
	out->submitted++;
	pthread_cond_signal(&out->changed);
	pthread_mutex_unlock(&out->mutex);
	int r = collect(out, OUT_PIECES - 1, err);
	if (r < 0)
		return r;
	current(out)->first = next;
	current(out)->bytes = 0;
	return 0;
}

int out_reserve(struct out *out, size_t bytes, struct err *err)
{
	if (OUT_PIECE - current(out)->bytes >= bytes)
		return 0;
	return submit(out, err);
}

int out_append(struct out *out, const void *data, uint64_t bytes, struct err *err)
{
	const uint8_t *from = data;

	while (bytes > 0) {
		int r = out_reserve(out, 1, err);
		if (r < 0)
			return r;
		size_t take = min_u64(bytes, OUT_PIECE - current(out)->bytes);
		if (from) {
			memcpy(out_next(out), from, take);
			from += take;
		} else {
			memset(out_next(out), 0, take);
		}
		out_advance(out, take);
		bytes -= take;
	}
	return 0;
}

int out_pad(struct out *out, struct err *err)
{
	return out_append(out, NULL, align_up(out_position(out), OUT_BLOCK) - out_position(out), err);
}

int out_drain(struct out *out, struct err *err)
{
	int r = current(out)->bytes > 0 ? submit(out, err) : 0;

	return r < 0 ? r : collect(out, 0, err);
}

void out_rewind(struct out *out, uint64_t blocks)
{
	out->hashed = blocks;
	current(out)->first = blocks;
	current(out)->bytes = 0;
}
