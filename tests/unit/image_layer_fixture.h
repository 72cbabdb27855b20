/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives made by hand, byte by byte, and images made of them. For the tests of layers. */
#ifndef LAMPO_TESTS_UNIT_IMAGE_LAYER_FIXTURE_H
#define LAMPO_TESTS_UNIT_IMAGE_LAYER_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "base/util.h"
#include "image/image_file.h"
#include "image/layer.h"

/* ---- making tar archives ---- */

struct tar {
	uint8_t *bytes;
	size_t used, room;
	uint8_t pax[8192]; /* records for the next header */
	size_t pax_used;
};

static inline void tar_put(struct tar *tar, const void *data, size_t bytes)
{
	if (tar->used + bytes > tar->room) {
		tar->room = 2 * (tar->used + bytes) + 4096;
		tar->bytes = realloc(tar->bytes, tar->room);
		assert_non_null(tar->bytes);
	}
	if (data)
		memcpy(tar->bytes + tar->used, data, bytes);
	else
		memset(tar->bytes + tar->used, 0, bytes);
	tar->used += bytes;
}

static inline void tar_free(struct tar *tar)
{
	free(tar->bytes);
	*tar = (struct tar){0};
}

struct tar_header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[8], uname[32],
	    gname[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct tar_header) == 512, "a block");

static inline struct tar_header tar_header(const char *name, char type, uint64_t size)
{
	struct tar_header h = {
	    .mode = "0000644", .uid = "0000000", .gid = "0000000", .mtime = "00000000001", .type = type};

	memcpy(h.magic, "ustar\00000", 8);
	memcpy(h.name, name, min_u64(strlen(name), 100));
	snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)(size & 077777777777));
	if (type == '5')
		memcpy(h.mode, "0000755", 8);
	return h;
}

static inline void tar_put_data(struct tar *tar, const void *data, size_t bytes)
{
	tar_put(tar, data, bytes);
	tar_put(tar, NULL, -bytes & 511);
}

static inline void tar_put_header(struct tar *tar, struct tar_header *h)
{
	unsigned sum = 0;

	if (tar->pax_used > 0) {
		size_t bytes = tar->pax_used;
		struct tar_header x = tar_header("pax", 'x', bytes);
		tar->pax_used = 0;
		tar_put_header(tar, &x);
		tar_put_data(tar, tar->pax, bytes);
	}

	memset(h->sum, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += ((uint8_t *)h)[i];
	snprintf(h->sum, sizeof(h->sum), "%06o", sum);
	tar_put(tar, h, 512);
}

/* An entry; long names go into a GNU header. data: contents of a file, target of a link. */
static inline void tar_add(struct tar *tar, const char *name, char type, const char *data)
{
	size_t length = strlen(name), bytes = type == '0' && data ? strlen(data) : 0;

	if (length > 100) {
		struct tar_header l = tar_header("././@LongLink", 'L', length + 1);
		tar_put_header(tar, &l);
		tar_put_data(tar, name, length + 1);
	}
	if ((type == '1' || type == '2') && strlen(data) > 100) {
		struct tar_header l = tar_header("././@LongLink", 'K', strlen(data) + 1);
		tar_put_header(tar, &l);
		tar_put_data(tar, data, strlen(data) + 1);
	}
	struct tar_header h = tar_header(name, type, bytes);
	if (type == '1' || type == '2')
		memcpy(h.link, data, min_u64(strlen(data), 100));
	tar_put_header(tar, &h);
	if (bytes > 0)
		tar_put_data(tar, data, bytes);
}

/* A pax record, for the entry that follows. */
static inline void tar_add_pax(struct tar *tar, const char *key, const void *value, size_t bytes)
{
	size_t body = strlen(key) + bytes + 3, digits = 1;
	char number[24];

	while ((size_t)snprintf(number, sizeof(number), "%zu", body + digits) != digits)
		digits++;
	assert_true(tar->pax_used + body + digits <= sizeof(tar->pax));
	uint8_t *at = tar->pax + tar->pax_used + sprintf((char *)tar->pax + tar->pax_used, "%s %s=", number, key);
	memcpy(at, value, bytes);
	at[bytes] = '\n';
	tar->pax_used += body + digits;
}

static inline void tar_end(struct tar *tar) { tar_put(tar, NULL, 1024); }

/* ---- compressing ---- */

static inline struct tar gzipped(const void *data, size_t bytes)
{
	struct tar out = {0};
	z_stream z = {.next_in = (void *)(uintptr_t)data, .avail_in = (unsigned)bytes};

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	size_t room = deflateBound(&z, bytes) + 64;
	tar_put(&out, NULL, room);
	z.next_out = out.bytes;
	z.avail_out = (unsigned)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out.used = room - z.avail_out;
	deflateEnd(&z);
	return out;
}

static inline struct tar zstd_made(const void *data, size_t bytes)
{
	struct tar out = {0};
	size_t room = ZSTD_compressBound(bytes);

	tar_put(&out, NULL, room);
	out.used = ZSTD_compress(out.bytes, room, data, bytes, 3);
	assert_false(ZSTD_isError(out.used));
	return out;
}

static inline void digest_text(const void *data, size_t bytes, char text[IMAGE_DIGEST_TEXT])
{
	struct image_digest digest;

	sha256(data, bytes, digest.bytes);
	image_digest_format(&digest, text);
}

/* ---- making images ---- */

struct memory_source {
	const uint8_t *data;
	size_t bytes, at, step; /* step: at most so many at a time; 0: as many as asked */
	int fail_at_end;        /* -errno instead of the end */
};

static inline int64_t memory_read(void *context, void *to, size_t bytes, struct err *err)
{
	struct memory_source *s = context;
	size_t n = min_u64(bytes, s->bytes - s->at);

	if (s->step)
		n = min_u64(n, s->step);
	if (n == 0 && s->fail_at_end)
		return err_set(err, s->fail_at_end, "the source fails");
	if (n > 0)
		memcpy(to, s->data + s->at, n);
	s->at += n;
	return (int64_t)n;
}

struct fixture {
	int fd;
	struct tree *tree;
	struct image_writer *writer;
	unsigned layers;
	struct layer_limits limits;
	struct err err;
	bool finished;
	struct image_file image;
};

static inline void fixture_open(struct fixture *f)
{
	*f = (struct fixture){.limits = LAYER_LIMITS_DEFAULT, .fd = memfd_create("image", MFD_CLOEXEC)};
	f->tree = tree_new();
	assert_non_null(f->tree);
	assert_int_equal(image_writer_open(&f->writer, f->fd, &IMAGE_LIMITS_DEFAULT, &f->err), 0);
}

static inline int fixture_apply_source(struct fixture *f, struct memory_source *memory, const char *digest,
				       const char *diff_id)
{
	struct layer_source source = {
	    .read = memory_read, .context = memory, .name = "the layer", .digest = digest, .diff_id = diff_id};

	return layer_apply(f->tree, f->writer, ++f->layers, &source, &f->limits, &f->err);
}

/* Applies a layer and frees its bytes; ends the archive first unless it has an end. */
static inline int fixture_apply(struct fixture *f, struct tar *tar)
{
	struct memory_source memory = {.data = tar->bytes, .bytes = tar->used};

	int r = fixture_apply_source(f, &memory, NULL, NULL);
	tar_free(tar);
	return r;
}

static inline void fixture_finish(struct fixture *f)
{
	struct image_digest digest;
	char *json;

	if (image_writer_finish(f->writer, f->tree, "{}", &digest, &f->err) != 0)
		fail_msg("%s", f->err.text);
	assert_int_equal(image_file_open(&f->image, dup(f->fd), &digest, &f->err), 0);
	assert_int_equal(image_file_verify(&f->image, NULL, NULL, &f->err), 0);
	assert_int_equal(image_file_config(&f->image, &json, &f->err), 0);
	free(json);
	f->finished = true;
}

static inline void fixture_close(struct fixture *f)
{
	if (f->finished)
		image_file_close(&f->image);
	image_writer_close(f->writer);
	tree_free(f->tree);
	close(f->fd);
}

/* ---- looking at them ---- */

static inline struct tree_node *find(const struct fixture *f, const char *path)
{
	struct tree_node *node;

	return tree_walk(f->tree, path, false, &node) == 0 ? node : NULL;
}

static inline bool has(const struct fixture *f, const char *path) { return find(f, path) != NULL; }

/* The contents as the finished image has them. */
static inline void assert_contents(struct fixture *f, const char *path, const void *expected, size_t bytes)
{
	struct erofs_inode inode;
	uint8_t *data = malloc(bytes + 1);

	assert_true(f->finished);
	assert_int_equal(erofs_walk(&f->image.erofs, path, false, &inode), 0);
	assert_true(S_ISREG(inode.mode));
	assert_int_equal(inode.size, bytes);
	assert_int_equal(erofs_read(&f->image.erofs, &inode, 0, data, bytes + 1), bytes);
	if (bytes > 0)
		assert_memory_equal(data, expected, bytes);
	free(data);
}

static inline void assert_text(struct fixture *f, const char *path, const char *expected)
{
	assert_contents(f, path, expected, strlen(expected));
}

#endif
