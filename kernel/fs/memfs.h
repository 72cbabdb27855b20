/* SPDX-License-Identifier: Apache-2.0 */
/* The file system in guest memory; with a lower node behind an inode it is the overlay (overlay.h). */
#ifndef NUCLEO_FS_MEMFS_H
#define NUCLEO_FS_MEMFS_H

#include "kernel/fs/node.h"
#include "kernel/fs/vfs.h"

struct memfs_xattr; /* memfs_xattr.c */

struct memfs_inode {
	struct inode inode;
	struct node lower;           /* id 0: wholly in memory */
	uint64_t lower_bytes;        /* data below comes from the lower file where the cache has no page */
	struct dir_list lower_names; /* of a directory, once it was listed */
	bool listed;
	bool xattrs_loaded; /* those of the lower inode are in `xattrs` */
	bool dirty;         /* differs from the lower one: must not be forgotten; holds a reference to itself */
	char *target;       /* text of a symbolic link */
	struct memfs_xattr *xattrs;
	const struct memfs_fixed *fixed; /* INODE_LAZY: names to make */
};

/* Names that a directory has from the beginning; populated when it is first looked at. */
struct memfs_fixed {
	const char *name;
	uint32_t mode;
	uint64_t rdev;
	const char *target;
};

static inline struct memfs_inode *memfs_of(struct inode *inode)
{
	return container_of(inode, struct memfs_inode, inode);
}

extern const struct inode_ops memfs_ops;
struct memfs_inode *memfs_inode_new(struct super *super, uint32_t mode, const struct inode_ops *ops);
/* Makes a name without asking for rights: a pinned child. NULL: no memory. */
struct dentry *memfs_add(struct dentry *parent, const char *name, uint32_t mode, uint64_t rdev, const char *target);
void memfs_mark_dirty(struct inode *inode);

/* memfs_xattr.c */
int64_t memfs_get_xattr(struct inode *inode, const char *name, void *value, uint64_t size);
int memfs_set_xattr(struct inode *inode, const char *name, const void *value, uint64_t size, int flags);
int64_t memfs_list_xattr(struct inode *inode, char *to, uint64_t size);
void memfs_free_xattrs(struct memfs_inode *inode);
/* One that the lower inode has. */
int memfs_add_xattr(struct memfs_inode *m, const char *name, const void *value, uint64_t size);

#endif
