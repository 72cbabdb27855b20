/* SPDX-License-Identifier: Apache-2.0 */
/* Inodes that something behind them backs, found by its number there: a FUSE node, or an inode of the image. */
#ifndef NUCLEO_FS_NODE_H
#define NUCLEO_FS_NODE_H

#include "kernel/fs/vfs.h"

#define NODE_IN_IMAGE UINT32_MAX /* instead of a device: nobody has to be told of what is forgotten */

/* Part of an inode that comes from there. */
struct node {
	uint64_t id; /* 0: none */
	uint32_t device;
	uint32_t lookups; /* how often it was found: the host wants that many forgotten */
	struct inode *inode;
	struct node *hash_next;
};

/* The inode of a node that this super knows already, with a reference; or NULL. */
struct inode *node_find(struct super *super, uint64_t id);
void node_insert(struct node *node, struct inode *inode, uint32_t device, uint64_t id);
/* Out of the table. */
void node_remove(struct node *node);

#endif
