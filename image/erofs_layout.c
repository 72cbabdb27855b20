/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where inodes, directories and links lie. Inodes are listed directory by directory, the children of one behind each
 * other: listing a directory and looking at what is in it then needs few blocks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "image/writer_parts.h"

/* The first inode's; 0 would be a strange inode number. */
#define FIRST_NID 2u
/* Holes could be larger than this only in files of which nothing is left to gain. */
#define CHUNK_BITS_MAX 18u

/* For errors: the end of the path, if it is very long. */
static const char *node_path(const struct tree_node *node, char path[512])
{
	size_t at = 511;

	path[at] = '\0';
	for (; node->parent; node = node->parent) {
		if (node->name_length + 1u > at)
			break;
		at -= node->name_length;
		memcpy(path + at, node->name, node->name_length);
		path[--at] = '/';
	}
	return path[at] ? path + at : "/";
}

static int check_inode(const struct tree_node *node, struct err *err)
{
	const struct tree_inode *inode = node->inode;
	uint32_t type = inode->mode & S_IFMT;
	char path[512];

	if (inode->mode > UINT16_MAX || inode->mtime_ns > 999999999)
		return err_set(err, -EINVAL, "mode or time of '%s' are out of range!", node_path(node, path));
	if ((type == S_IFCHR || type == S_IFBLK) && (inode->rdev_major > 0xfff || inode->rdev_minor > 0xfffff))
		return err_set(err, -EOVERFLOW, "the device number of '%s' is out of range!", node_path(node, path));
	if (type == S_IFLNK && !inode->target)
		return err_set(err, -EINVAL, "the symbolic link '%s' has no target!", node_path(node, path));
	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFCHR && type != S_IFBLK &&
	    type != S_IFIFO && type != S_IFSOCK)
		return err_set(err, -EINVAL, "the type of '%s' is not known!", node_path(node, path));
	return 0;
}

int layout_list(struct layout *layout, struct tree *tree, struct err *err)
{
	uint64_t room = tree_node_count(tree);

	layout->places = calloc(room, sizeof(*layout->places));
	if (!layout->places)
		return err_set(err, -ENOMEM, "cannot lay out the image");
	layout->places[layout->count++].node = tree_root(tree);
	/* The list is the queue, too. nid marks what is in it. */
	tree_root(tree)->inode->nid = FIRST_NID;
	for (uint64_t i = 0; i < layout->count; i++) {
		struct place *place = &layout->places[i];
		int r = check_inode(place->node, err);
		if (r < 0)
			return r;
		if (!S_ISDIR(place->node->inode->mode)) {
			place->nlink = place->node->inode->links;
			continue;
		}
		struct tree_node **children = tree_sorted(place->node);
		place->nlink = 2;
		for (uint32_t k = 0; k < place->node->child_count; k++) {
			place->nlink += S_ISDIR(children[k]->inode->mode) ? 1 : 0;
			if (children[k]->inode->nid != 0)
				continue;
			children[k]->inode->nid = FIRST_NID;
			layout->places[layout->count++].node = children[k];
		}
	}
	return 0;
}

void layout_free(struct layout *layout)
{
	free(layout->places);
	memset(layout, 0, sizeof(*layout));
}

/* Every extent but the last is whole chunks. */
unsigned layout_chunk_bits(const struct tree_data *data)
{
	unsigned bits = CHUNK_BITS_MAX;
	uint64_t at = 0;

	for (unsigned i = 0; i + 1 < data->extent_count; i++) {
		at += data->extents[i].blocks;
		if ((unsigned)__builtin_ctzll(at) < bits)
			bits = (unsigned)__builtin_ctzll(at);
	}
	return bits;
}

static bool has_holes(const struct tree_data *data)
{
	for (unsigned i = 0; i < data->extent_count; i++) {
		if (data->extents[i].block == 0)
			return true;
	}
	return false;
}

static void place_file(struct layout *layout, struct place *place)
{
	const struct tree_data *data = &place->node->inode->data;

	place->size = data->bytes;
	if (data->in_memory) {
		place->layout = EROFS_LAYOUT_INLINE;
		place->tail = (uint32_t)data->bytes;
	} else if (has_holes(data)) {
		place->layout = EROFS_LAYOUT_CHUNKED;
		place->u = layout_chunk_bits(data);
		layout->chunked = true;
	} else if (data->extent_count > 0) {
		place->u = (uint32_t)data->extents[0].block;
	}
}

/* Short ones are inline, others get blocks of their own. */
static void place_contents(struct layout *layout, struct place *place, uint64_t size)
{
	place->size = size;
	if (size <= INLINE_MAX) {
		place->layout = EROFS_LAYOUT_INLINE;
		place->tail = (uint32_t)size;
	} else {
		place->u = (uint32_t)(layout->extra_first + layout->extra_blocks);
		layout->extra_blocks += (size + EROFS_BLOCK - 1) / EROFS_BLOCK;
	}
}

static void place_one(struct layout *layout, struct place *place)
{
	const struct tree_inode *inode = place->node->inode;

	place->xattr_bytes = tree_xattr_bytes(inode);
	place->layout = EROFS_LAYOUT_PLAIN;
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		place_file(layout, place);
		break;
	case S_IFDIR:
		place_contents(layout, place, dir_size(place->node));
		break;
	case S_IFLNK:
		place_contents(layout, place, strlen(inode->target));
		break;
	case S_IFCHR:
	case S_IFBLK:
		/* Linux's new_encode_dev() */
		place->u = (inode->rdev_minor & 0xff) | inode->rdev_major << 8 | (inode->rdev_minor & ~0xffu) << 12;
		break;
	default:
		break;
	}
}

/* What lies behind the inode and its attributes. */
static uint64_t behind_bytes(const struct place *place)
{
	if (place->layout != EROFS_LAYOUT_CHUNKED)
		return place->tail;
	uint64_t chunk = (uint64_t)EROFS_BLOCK << place->u;
	return (place->size + chunk - 1) / chunk * 4;
}

int layout_place(struct layout *layout, uint64_t first, struct err *err)
{
	uint64_t at = FIRST_NID * EROFS_NID_BYTES;

	layout->extra_first = first;
	for (uint64_t i = 0; i < layout->count; i++) {
		struct place *place = &layout->places[i];
		place_one(layout, place);
		uint64_t head = sizeof(struct erofs_disk_inode_extended) + place->xattr_bytes;
		at = align_up(at, EROFS_NID_BYTES);
		/* Inline data does not go across a block's end. */
		if (place->tail > 0 && (at + head) % EROFS_BLOCK + place->tail > EROFS_BLOCK)
			at = align_up(align_up(at + head, EROFS_BLOCK) - head, EROFS_NID_BYTES);
		place->node->inode->nid = at / EROFS_NID_BYTES;
		at += head + behind_bytes(place);
	}
	layout->meta_block = first + layout->extra_blocks;
	layout->meta_blocks = (at + EROFS_BLOCK - 1) / EROFS_BLOCK;
	if (layout->meta_block + layout->meta_blocks > IMAGE_FILE_MAX / EROFS_BLOCK)
		return err_set(err, -EFBIG, "the image would have more than %llu bytes!",
			       (unsigned long long)IMAGE_FILE_MAX);
	return 0;
}
