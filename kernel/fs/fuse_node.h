/* SPDX-License-Identifier: Apache-2.0 */
/* Client side of virtio-fs: what overlay and volumes ask the host (FUSE protocol 7.38, include/abi/fuse_walk.h).
 * All functions may sleep. */
#ifndef NUCLEO_FS_FUSE_NODE_H
#define NUCLEO_FS_FUSE_NODE_H

#include <linux/fuse.h>

#include "abi/fuse_walk.h"
#include "kernel/fs/node.h"

/* Out of the table, and the host is told. */
void fuse_node_fini(struct node *node);

struct fuse_walk {
	char *buffer; /* a path buffer, holds the reply; fuse_walk_done() gives it back */
	unsigned count;
	int error; /* why the walk ended before the last component; 0: all are there */
	const struct fuse_entry_out *entries;
	const char *link; /* text of the last entry if that is a symbolic link and the text came along */
	unsigned link_length;
	unsigned components; /* asked for */
	char *names;         /* them, each terminated, one after another; in a second path buffer */
};
/* Resolves `name` and then as much of `rest` as is worth while, from directory `id` on. */
int fuse_walk(uint32_t device, uint64_t id, const char *name, const char *rest, struct fuse_walk *walk);
void fuse_walk_done(struct fuse_walk *walk);

void fuse_to_inode(struct inode *inode, const struct fuse_attr *attr); /* all attributes, size too */
int fuse_getattr(uint32_t device, uint64_t id, struct fuse_attr *attr);
int fuse_list(uint32_t device, uint64_t id, struct dir_list *list);
int fuse_readlink(uint32_t device, uint64_t id, char *to, size_t size);
/* Fills `count` consecutive zeroed pages from page `index` on with what the file has below `limit` bytes. */
int fuse_fill(uint32_t device, uint64_t id, uint64_t index, struct page **pages, unsigned count, uint64_t limit);
/* One write; bytes <= FUSE_WRITE_MAX. Returns the bytes written. */
int64_t fuse_write(uint32_t device, uint64_t id, uint64_t offset, const void *data, uint32_t bytes);
/* The same from several buffers, at most FUSE_WRITE_MAX / 4096. */
struct fuse_segment;
int64_t fuse_write_segments(uint32_t device, uint64_t id, uint64_t offset, const struct fuse_segment *segments,
			    unsigned count);
#define FUSE_WRITE_MAX 65536u

#endif
