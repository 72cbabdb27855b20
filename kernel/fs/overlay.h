/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay: memfs whose missing names and data come from something below it, which is never written. What that is,
 * its operations know: a host directory (overlay_host.c), or the image (overlay_image.c).
 */
#ifndef NUCLEO_FS_OVERLAY_H
#define NUCLEO_FS_OVERLAY_H

#include "kernel/fs/memfs.h"

/* Inodes given are memfs's, with a lower node. All but forget may sleep. */
struct lower_ops {
	/* Gives the dentry, which is not hashed yet, the inode that the lower directory has for its name: 1. 0: no such
	 * name. rest: what follows in the path. */
	int (*lookup)(struct inode *dir, struct dentry *dentry, const char *rest);
	/* Adds all names but "." and "..". */
	int (*list)(struct inode *dir, struct dir_list *list);
	/* Length, not terminated. */
	int (*readlink)(struct inode *link, char *to, size_t size);
	/* Adds the extended attributes with memfs_add_xattr(). NULL: none are shown. */
	int (*load_xattrs)(struct inode *inode);
	void (*forget)(struct node *node);
	const struct cache_ops *cache; /* of regular files; below memfs_inode.lower_bytes only */
};

/* The inode of a lower node, with a reference: known already, or made with `mode` and no other attributes (*fresh).
 * NULL: no memory. */
struct memfs_inode *overlay_inode(struct super *super, uint64_t id, uint32_t mode, bool *fresh);
/* A super whose root is that lower directory. */
int overlay_new(const struct lower_ops *lower, unsigned device, uint64_t node, struct super **super);

/* For memfs: what its directories and inodes with a lower node do. */
int overlay_lookup(struct inode *dir, struct dentry *dentry, const char *rest);
int overlay_list(struct dentry *directory); /* fills lower_names */
int overlay_load_xattrs(struct inode *inode);

#endif
