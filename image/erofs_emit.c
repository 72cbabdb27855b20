/* SPDX-License-Identifier: Apache-2.0 */
/* Puts directories, links and inodes down, where erofs_layout.c said. */
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "image/writer_parts.h"

static int emit_dir(struct out *out, struct tree_node *dir, bool whole_blocks, struct err *err)
{
	struct dir_cursor cursor;
	uint8_t block[EROFS_BLOCK];
	unsigned bytes;
	int r = 0;

	dir_cursor_start(&cursor, dir);
	while (r == 0 && dir_block_make(&cursor, block, &bytes))
		r = out_append(out, block, whole_blocks ? EROFS_BLOCK : bytes, err);
	return r;
}

static int emit_extra(struct out *out, const struct layout *layout, struct err *err)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < layout->count; i++) {
		const struct place *place = &layout->places[i];
		const struct tree_inode *inode = place->node->inode;
		if (place->layout != EROFS_LAYOUT_PLAIN)
			continue;
		if (S_ISDIR(inode->mode)) {
			r = emit_dir(out, place->node, true, err);
		} else if (S_ISLNK(inode->mode)) {
			r = out_append(out, inode->target, place->size, err);
			if (r == 0)
				r = out_pad(out, err);
		}
	}
	return r;
}

static int emit_xattrs(struct out *out, const struct tree_inode *inode, struct err *err)
{
	const struct erofs_disk_xattr_header header = {0};
	int r = inode->xattrs ? out_append(out, &header, sizeof(header), err) : 0;

	for (const struct tree_xattr *x = inode->xattrs; x && r == 0; x = x->next) {
		size_t prefix, length;
		int index = tree_xattr_index(x->name, &prefix);
		length = strlen(x->name + prefix);
		struct erofs_disk_xattr disk = {(uint8_t)length, (uint8_t)index, x->value_bytes};
		r = out_append(out, &disk, sizeof(disk), err);
		if (r == 0)
			r = out_append(out, x->name + prefix, length, err);
		if (r == 0)
			r = out_append(out, x->value, x->value_bytes, err);
		if (r == 0)
			r = out_append(out, NULL, -(length + x->value_bytes) & 3, err);
	}
	return r;
}

/* A chunk's list: the first block of each. */
static int emit_chunks(struct out *out, const struct place *place, struct err *err)
{
	const struct tree_data *data = &place->node->inode->data;
	uint64_t chunk = 1ull << place->u;
	uint32_t list[256];
	unsigned count = 0;
	int r = 0;

	for (unsigned i = 0; i < data->extent_count; i++) {
		const struct tree_extent *extent = &data->extents[i];
		for (uint64_t at = 0; r == 0 && at < extent->blocks; at += chunk) {
			list[count++] = extent->block == 0 ? EROFS_CHUNK_HOLE : (uint32_t)(extent->block + at);
			if (count == countof(list)) {
				r = out_append(out, list, sizeof(list), err);
				count = 0;
			}
		}
	}
	return r < 0 ? r : out_append(out, list, count * sizeof(list[0]), err);
}

static int emit_inode(struct out *out, const struct place *place, uint32_t number, struct err *err)
{
	const struct tree_inode *inode = place->node->inode;
	struct erofs_disk_inode_extended disk = {
	    .format = (uint16_t)(1 | place->layout << 1),
	    .mode = (uint16_t)inode->mode,
	    .size = place->size,
	    .u = place->u,
	    .ino = number,
	    .uid = inode->uid,
	    .gid = inode->gid,
	    .mtime = (uint64_t)inode->mtime,
	    .mtime_ns = inode->mtime_ns,
	    .nlink = place->nlink,
	};

	if (place->xattr_bytes > 0)
		disk.xattr_count = (uint16_t)((place->xattr_bytes - sizeof(struct erofs_disk_xattr_header)) / 4 + 1);
	int r = out_append(out, &disk, sizeof(disk), err);
	if (r == 0)
		r = emit_xattrs(out, inode, err);
	if (r < 0)
		return r;
	if (place->layout == EROFS_LAYOUT_CHUNKED)
		return emit_chunks(out, place, err);
	if (place->layout != EROFS_LAYOUT_INLINE)
		return 0;
	if (S_ISDIR(inode->mode))
		return emit_dir(out, place->node, false, err);
	return out_append(out, S_ISLNK(inode->mode) ? (const void *)inode->target : inode->data.small, place->tail,
			  err);
}

int emit_all(struct out *out, const struct layout *layout, struct err *err)
{
	uint64_t meta = layout->meta_block * EROFS_BLOCK;
	int r = emit_extra(out, layout, err);

	for (uint64_t i = 0; r == 0 && i < layout->count; i++) {
		const struct place *place = &layout->places[i];
		r = out_append(out, NULL, meta + place->node->inode->nid * EROFS_NID_BYTES - out_position(out), err);
		if (r == 0)
			r = emit_inode(out, place, (uint32_t)i + 1, err);
	}
	return r < 0 ? r : out_pad(out, err);
}

/* Castagnoli's, reflected, without the final inversion: as Linux's crc32c(). */
static uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		crc ^= data[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

/* Times, UUID and volume name are zero: equal trees make equal images. */
void emit_super(const struct layout *layout, uint8_t block[EROFS_BLOCK])
{
	struct erofs_disk_super super = {
	    .magic = EROFS_MAGIC,
	    .feature_compat = EROFS_COMPAT_CHECKSUM | EROFS_COMPAT_MTIME,
	    .block_bits = 12,
	    .root_nid = (uint16_t)layout->places[0].node->inode->nid,
	    .inode_count = layout->count,
	    .blocks = (uint32_t)(layout->meta_block + layout->meta_blocks),
	    .meta_block = (uint32_t)layout->meta_block,
	    .feature_incompat = layout->chunked ? EROFS_INCOMPAT_CHUNKED : 0,
	};

	memset(block, 0, EROFS_BLOCK);
	memcpy(block + EROFS_SUPER_OFFSET, &super, sizeof(super));
	super.checksum = crc32c(~0u, block + EROFS_SUPER_OFFSET, EROFS_BLOCK - EROFS_SUPER_OFFSET);
	memcpy(block + EROFS_SUPER_OFFSET, &super, sizeof(super));
}
