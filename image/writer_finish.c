/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's end: from contents and a tree to an image file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "image/writer_parts.h"

/* ---- squeezing out what no file of the tree uses any more ---- */

struct extent_list {
	struct tree_extent **extents;
	size_t count;
};

static int compare_extents(const void *a, const void *b)
{
	const struct tree_extent *x = *(struct tree_extent *const *)a, *y = *(struct tree_extent *const *)b;

	return x->block < y->block ? -1 : x->block > y->block;
}

static int extents_list(struct extent_list *list, const struct layout *layout)
{
	size_t count = 0;
	bool sorted = true;

	for (uint64_t i = 0; i < layout->count; i++)
		count += layout->places[i].node->inode->data.extent_count;
	list->extents = malloc((count + 1) * sizeof(struct tree_extent *));
	if (!list->extents)
		return -ENOMEM;
	for (uint64_t i = 0; i < layout->count; i++) {
		struct tree_data *data = &layout->places[i].node->inode->data;
		for (unsigned k = 0; k < data->extent_count; k++) {
			if (data->extents[k].block == 0)
				continue;
			list->extents[list->count++] = &data->extents[k];
			sorted &= list->count < 2 ||
				  compare_extents(&list->extents[list->count - 2], &list->extents[list->count - 1]) < 0;
		}
	}
	if (!sorted)
		qsort(list->extents, list->count, sizeof(struct tree_extent *), compare_extents);
	return 0;
}

/* Downwards, so that copying from the beginning does not overwrite what is still to be copied. */
static int move_blocks(struct out *out, uint8_t *buffer, uint64_t from, uint64_t to, uint64_t blocks)
{
	memmove(out->hashes[to], out->hashes[from], blocks * SHA256_BYTES);
	for (uint64_t done = 0; done < blocks;) {
		size_t bytes = min_u64(blocks - done, OUT_PIECE_BLOCKS) * OUT_BLOCK;
		ssize_t n = pread(out->fd, buffer, bytes, (off_t)((from + done) * OUT_BLOCK));
		if (n < 0 && errno == EINTR)
			continue;
		n -= n > 0 ? n % (ssize_t)OUT_BLOCK : 0;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		int r = out_pwrite(out->fd, buffer, (size_t)n, (to + done) * OUT_BLOCK);
		if (r < 0)
			return r;
		done += (uint64_t)n / OUT_BLOCK;
	}
	return 0;
}

/* *end: the first block behind the files' contents. The tree's extents are changed. */
static int squeeze(struct out *out, const struct layout *layout, uint64_t *end, struct err *err)
{
	struct extent_list list = {0};
	uint8_t *buffer = malloc(OUT_PIECE);
	uint64_t next = 1;
	int r = buffer ? extents_list(&list, layout) : -ENOMEM;

	for (size_t i = 0; r == 0 && i < list.count; i++) {
		struct tree_extent *extent = list.extents[i];
		if (extent->block != next)
			r = move_blocks(out, buffer, extent->block, next, extent->blocks);
		extent->block = next;
		next += extent->blocks;
	}
	free(list.extents);
	free(buffer);
	*end = next;
	if (r == 0 && next < out->hashed && ftruncate(out->fd, (off_t)(next * OUT_BLOCK)) != 0)
		r = -errno;
	if (r < 0)
		return err_set(err, r, "cannot write the image file");
	out_rewind(out, next);
	return 0;
}

/* ---- the rest of the file ---- */

static int write_super(struct out *out, const struct layout *layout, struct err *err)
{
	uint8_t block[EROFS_BLOCK];

	emit_super(layout, block);
	sha256(block, sizeof(block), out->hashes[0]);
	int r = out_pwrite(out->fd, block, sizeof(block), 0);
	return r < 0 ? err_set(err, r, "cannot write the image file") : 0;
}

/* The tree and the footer, behind the data, all of which is hashed. */
static int write_tree(struct image_writer *writer, struct image_footer *footer, struct image_digest *digest,
		      struct err *err)
{
	struct out *out = &writer->out;
	struct verity_layout layout;
	int r = verity_layout(&layout, footer->data_blocks);
	uint64_t tree_bytes = layout.tree_blocks * VERITY_BLOCK;

	if (r < 0 || footer->data_blocks + layout.tree_blocks + 1 > out->blocks_max)
		return err_set(err, -EFBIG, "the image would have more than %llu bytes!",
			       (unsigned long long)out->blocks_max * OUT_BLOCK);
	/* The hashes become the tree: together they would take twice the memory. */
	uint8_t *tree = realloc(out->hashes, tree_bytes + sizeof(*footer));
	if (!tree)
		return err_set(err, -ENOMEM, "cannot write the image file");
	out->hashes = (uint8_t(*)[SHA256_BYTES])tree;
	verity_build(&layout, (const uint8_t(*)[SHA256_BYTES])tree, tree, footer->root);
	footer->tree_blocks = layout.tree_blocks;
	memcpy(tree + tree_bytes, footer, sizeof(*footer));
	sha256(footer, sizeof(*footer), digest->bytes);
	r = out_pwrite(out->fd, tree, tree_bytes + sizeof(*footer), footer->data_blocks * VERITY_BLOCK);
	return r < 0 ? err_set(err, r, "cannot write the image file") : 0;
}

static int write_all(struct image_writer *writer, struct layout *layout, struct tree *tree, const char *config_json,
		     struct image_digest *digest, struct err *err)
{
	struct out *out = &writer->out;
	struct image_footer footer = {
	    .magic = IMAGE_MAGIC,
	    .version = IMAGE_VERSION,
	    .footer_bytes = sizeof(footer),
	    .config_bytes = strlen(config_json),
	};
	uint64_t end;

	int r = out_drain(out, err);
	if (r == 0)
		r = layout_list(layout, tree, err);
	if (r == 0)
		r = squeeze(out, layout, &end, err);
	if (r == 0)
		r = layout_place(layout, end, err);
	if (r == 0 && layout->meta_block + layout->meta_blocks > out->blocks_max)
		r = err_set(err, -EFBIG, "the image would have more than %llu bytes!",
			    (unsigned long long)out->blocks_max * OUT_BLOCK);
	if (r == 0)
		r = emit_all(out, layout, err);
	footer.erofs_bytes = out_position(out);
	if (r == 0)
		r = out_append(out, config_json, footer.config_bytes, err);
	if (r == 0)
		r = out_pad(out, err);
	footer.data_blocks = out_position(out) / OUT_BLOCK;
	if (r == 0)
		r = out_drain(out, err);
	if (r == 0)
		r = write_super(out, layout, err);
	return r < 0 ? r : write_tree(writer, &footer, digest, err);
}

int image_writer_finish(struct image_writer *writer, struct tree *tree, const char *config_json,
			struct image_digest *digest, struct err *err)
{
	struct layout layout = {0};
	size_t config_bytes = strlen(config_json);

	if (writer->open)
		return err_set(err, -EINVAL, "cannot finish an image in the middle of a file");
	if (config_bytes == 0 || config_bytes > IMAGE_CONFIG_MAX)
		return err_set(err, -EINVAL, "the image's configuration has %zu bytes; 1 to %u are possible!",
			       config_bytes, IMAGE_CONFIG_MAX);
	int r = write_all(writer, &layout, tree, config_json, digest, err);
	layout_free(&layout);
	return r;
}
