/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes: what virtiofs.c (names, attributes) and virtiofs_data.c share. */
#ifndef NUCLEO_FS_VIRTIOFS_H
#define NUCLEO_FS_VIRTIOFS_H

#include "kernel/fs/fuse_node.h"

struct virtiofs_inode {
	struct inode inode;
	struct node node;
	uint64_t checked_ns; /* CLOCK_MONOTONIC: when the attributes came from the host */
	bool wrote;          /* since then: times differ without anybody else having changed the file */
};

static struct virtiofs_inode *virtiofs_of(struct inode *inode)
{
	return container_of(inode, struct virtiofs_inode, inode);
}

/* Asks the host for the attributes if they are older than a second. May sleep. */
int virtiofs_refresh(struct inode *inode);
int virtiofs_fallocate(struct inode *inode, int mode, uint64_t offset, uint64_t bytes);
extern const struct cache_ops virtiofs_cache_ops;
extern const struct file_ops virtiofs_file_ops;

#endif
