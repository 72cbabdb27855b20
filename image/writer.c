/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's front: contents of files, as they come. */
#include "image/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/writer_parts.h"

int image_writer_open(struct image_writer **writer, int fd, const struct image_limits *limits, struct err *err)
{
	struct image_writer *made = calloc(1, sizeof(*made));

	if (!made)
		return err_set(err, -ENOMEM, "cannot start writing the image");
	made->limits = *limits;
	int r = out_open(&made->out, fd, min_u64(limits->image_bytes, IMAGE_FILE_MAX) / OUT_BLOCK, err);
	if (r < 0) {
		free(made);
		return r;
	}
	/* The superblock's place. */
	r = out_append(&made->out, NULL, EROFS_BLOCK, err);
	if (r < 0)
		image_writer_close(made);
	else
		*writer = made;
	return r;
}

void image_writer_close(struct image_writer *writer)
{
	if (!writer)
		return;
	tree_data_free(&writer->data);
	out_close(&writer->out);
	free(writer);
}

uint64_t image_writer_bytes(const struct image_writer *writer)
{
	return out_position(&writer->out) + writer->inline_total;
}

int image_writer_start(struct image_writer *writer, struct err *err)
{
	if (writer->open)
		return err_set(err, -EINVAL, "cannot write two files of an image at once");
	writer->open = true;
	writer->spilled = false;
	writer->bytes = 0;
	writer->chunk_bytes = 0;
	tree_data_free(&writer->data);
	writer->extent_room = 0;
	return 0;
}

/* block 0: a hole. */
static int add_extent(struct image_writer *writer, uint64_t block, uint64_t blocks, struct err *err)
{
	struct tree_data *data = &writer->data;

	if (data->extent_count > 0) {
		struct tree_extent *last = &data->extents[data->extent_count - 1];
		if (block == 0 ? last->block == 0 : last->block != 0 && last->block + last->blocks == block) {
			last->blocks += blocks;
			return 0;
		}
	}
	if (data->extent_count == writer->extent_room) {
		unsigned room = writer->extent_room ? writer->extent_room * 2 : 1;
		struct tree_extent *extents = realloc(data->extents, room * sizeof(*extents));
		if (!extents)
			return err_set(err, -ENOMEM, "cannot write a file of the image");
		data->extents = extents;
		writer->extent_room = room;
	}
	data->extents[data->extent_count++] = (struct tree_extent){block, blocks};
	return 0;
}

static bool is_zero(const uint8_t *data, size_t bytes)
{
	static const uint8_t zeros[16];

	if (bytes <= sizeof(zeros))
		return memcmp(data, zeros, bytes) == 0;
	return memcmp(data, zeros, sizeof(zeros)) == 0 && memcmp(data, data + 16, bytes - 16) == 0;
}

/* Decides what the last bytes are, all in the current piece: data or a hole. A hole has HOLE_BYTES, or is the file's
 * end and goes on. */
static int close_chunk(struct image_writer *writer, struct err *err)
{
	struct out *out = &writer->out;
	const struct tree_data *data = &writer->data;
	size_t bytes = writer->chunk_bytes;
	bool after_hole = data->extent_count > 0 && data->extents[data->extent_count - 1].block == 0;
	uint64_t blocks = (bytes + EROFS_BLOCK - 1) / EROFS_BLOCK;

	writer->chunk_bytes = 0;
	if (is_zero(out_next(out) - bytes, bytes) && (bytes == HOLE_BYTES || after_hole)) {
		out_retract(out, bytes);
		return add_extent(writer, 0, blocks, err);
	}
	uint64_t block = (out_position(out) - bytes) / EROFS_BLOCK;
	int r = out_pad(out, err);
	return r < 0 ? r : add_extent(writer, block, blocks, err);
}

/* data NULL: zeros. */
static int put(struct image_writer *writer, const uint8_t *data, uint64_t bytes, struct err *err)
{
	struct out *out = &writer->out;

	while (bytes > 0) {
		/* A chunk begins at a block, and lies in one piece, so that it can be taken back. */
		int r = writer->chunk_bytes == 0 ? out_reserve(out, HOLE_BYTES, err) : 0;
		if (r < 0)
			return r;
		size_t take = min_u64(bytes, HOLE_BYTES - writer->chunk_bytes);
		if (data) {
			memcpy(out_next(out), data, take);
			data += take;
		} else {
			memset(out_next(out), 0, take);
		}
		out_advance(out, take);
		writer->chunk_bytes += take;
		bytes -= take;
		if (writer->chunk_bytes == HOLE_BYTES)
			r = close_chunk(writer, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int spill(struct image_writer *writer, struct err *err)
{
	if (writer->spilled)
		return 0;
	writer->spilled = true;
	return put(writer, writer->small, writer->bytes, err);
}

/* Counts bytes that are to come. */
static int check_size(const struct image_writer *writer, uint64_t bytes, struct err *err)
{
	if (!writer->open)
		return err_set(err, -EINVAL, "no file of the image is being written");
	if (bytes > writer->limits.file_bytes - writer->bytes)
		return err_set(err, -EFBIG, "a file would have more than %llu bytes!",
			       (unsigned long long)writer->limits.file_bytes);
	return 0;
}

int image_writer_write(struct image_writer *writer, const void *data, size_t bytes, struct err *err)
{
	int r = check_size(writer, bytes, err);

	if (r < 0)
		return r;
	if (!writer->spilled && bytes <= INLINE_MAX - writer->bytes) {
		if (bytes > 0)
			memcpy(writer->small + writer->bytes, data, bytes);
	} else {
		r = spill(writer, err);
		if (r == 0)
			r = put(writer, data, bytes, err);
	}
	writer->bytes += bytes;
	return r;
}

int image_writer_skip(struct image_writer *writer, uint64_t bytes, struct err *err)
{
	int r = check_size(writer, bytes, err);

	if (r < 0)
		return r;
	if (!writer->spilled && bytes <= INLINE_MAX - writer->bytes) {
		memset(writer->small + writer->bytes, 0, bytes);
		writer->bytes += bytes;
		return 0;
	}
	r = spill(writer, err);
	writer->bytes += bytes;
	if (r == 0 && writer->chunk_bytes > 0) {
		uint64_t fill = min_u64(bytes, HOLE_BYTES - writer->chunk_bytes);
		r = put(writer, NULL, fill, err);
		bytes -= fill;
	}
	if (r == 0 && bytes >= HOLE_BYTES)
		r = add_extent(writer, 0, bytes / HOLE_BYTES * HOLE_BLOCKS, err);
	return r < 0 ? r : put(writer, NULL, bytes % HOLE_BYTES, err);
}

static int end_small(struct image_writer *writer, struct err *err)
{
	writer->data.small = malloc(writer->bytes);
	if (!writer->data.small)
		return err_set(err, -ENOMEM, "cannot write a file of the image");
	memcpy(writer->data.small, writer->small, writer->bytes);
	writer->data.in_memory = true;
	writer->inline_total += writer->bytes;
	return 0;
}

int image_writer_end(struct image_writer *writer, struct tree_data *data, struct err *err)
{
	int r = check_size(writer, 0, err);

	if (r < 0)
		return r;
	if (!writer->spilled && writer->bytes > 0 && writer->inline_total + writer->bytes <= INLINE_TOTAL_MAX) {
		r = end_small(writer, err);
	} else {
		r = spill(writer, err);
		if (r == 0 && writer->chunk_bytes > 0)
			r = close_chunk(writer, err);
	}
	if (r < 0)
		return r;
	writer->data.bytes = writer->bytes;
	writer->open = false;
	tree_data_free(data);
	*data = writer->data;
	memset(&writer->data, 0, sizeof(writer->data));
	return 0;
}
