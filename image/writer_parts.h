/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the writer share: writer.c takes the files' contents, erofs_layout.c says where everything else
 * will lie, erofs_dir.c makes directories, erofs_emit.c puts all that down, writer_finish.c makes it an image file. */
#ifndef LAMPO_IMAGE_WRITER_PARTS_H
#define LAMPO_IMAGE_WRITER_PARTS_H

#include "base/erofs.h"
#include "image/writer.h"
#include "image/writer_out.h"

/* Files up to this size are inline data. Directories and links are it, too, if they are so short. */
#define INLINE_MAX 2048u
#define INLINE_TOTAL_MAX (64ull << 20)
/* What a hole is made of: this many bytes, and so aligned in the file. */
#define HOLE_BYTES 65536u
#define HOLE_BLOCKS (HOLE_BYTES / EROFS_BLOCK)

struct image_writer {
	struct out out;
	struct image_limits limits;
	uint64_t inline_total;
	/* The file being written. */
	bool open, spilled; /* spilled: its contents are in blocks, not in `small` */
	uint64_t bytes;
	size_t chunk_bytes; /* of the HOLE_BYTES at its end that are not decided on */
	struct tree_data data;
	unsigned extent_room;
	uint8_t small[INLINE_MAX];
};

/* ---- erofs_layout.c ---- */

/* An inode and where it is put. */
struct place {
	struct tree_node *node; /* the first of its names */
	uint64_t size;
	uint32_t u; /* see erofs_disk_inode_extended */
	uint32_t nlink, xattr_bytes;
	uint32_t tail; /* bytes behind the inode, if the layout is EROFS_LAYOUT_INLINE */
	uint8_t layout;
};

struct layout {
	struct place *places; /* in the order of their nids; the root first */
	uint64_t count;
	uint64_t extra_first, extra_blocks; /* contents of directories and links that are not inline */
	uint64_t meta_block, meta_blocks;
	bool chunked;
};

/* Lists the inodes of the tree; layout is empty before. Free with layout_free(), also on failure. */
int layout_list(struct layout *layout, struct tree *tree, struct err *err);
/* Gives everything its place, from block `first` on. The files' contents must have theirs. */
int layout_place(struct layout *layout, uint64_t first, struct err *err);
void layout_free(struct layout *layout);
/* log2 of the blocks in a chunk of a file with holes. */
unsigned layout_chunk_bits(const struct tree_data *data);

/* ---- erofs_dir.c ---- */

struct dir_cursor {
	struct tree_node *dir;
	struct tree_node **children;
	uint32_t next;
	unsigned dots; /* how many of "." and ".." were passed */
};
void dir_cursor_start(struct dir_cursor *cursor, struct tree_node *dir);
/* Fills in the next block of the directory, zeros behind `*bytes`; false at the end. */
bool dir_block_make(struct dir_cursor *cursor, uint8_t block[EROFS_BLOCK], unsigned *bytes);
/* The size of the directory. */
uint64_t dir_size(struct tree_node *dir);

/* ---- erofs_emit.c ---- */

/* Directories and links in blocks, and all inodes; the position is layout->extra_first, and at the end behind the file
 * system. */
int emit_all(struct out *out, const struct layout *layout, struct err *err);
/* Block 0. */
void emit_super(const struct layout *layout, uint8_t block[EROFS_BLOCK]);

#endif
