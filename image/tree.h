/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of an image being made: names and inodes in memory; file contents go to the image file at once
 * (image/writer.h). Names are single components, never "", "." or "..", without '/' and NUL, at most 255 bytes:
 * everything else is refused here with -EINVAL (-ENAMETOOLONG), whoever asks.
 */
#ifndef LAMPO_IMAGE_TREE_H
#define LAMPO_IMAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/host/err.h"

#define TREE_NODES_MAX 8000000u
#define TREE_DEPTH_MAX 1024u
#define TREE_BYTES_MAX (1ull << 30) /* memory of all nodes, inodes, targets and attributes together */
#define TREE_XATTRS_MAX 1024u       /* of one inode */
#define TREE_TARGET_MAX 4095u

struct tree;

struct tree_xattr {
	struct tree_xattr *next;
	char *name; /* "user.x" */
	void *value;
	uint16_t value_bytes;
};

/* Contents: pieces of the image file; a hole has block 0. In block-sized units. */
struct tree_extent {
	uint64_t block, blocks; /* block: in the image file; 0: hole */
};
struct tree_data {
	uint64_t bytes;
	struct tree_extent *extents;
	unsigned extent_count;
	bool in_memory; /* small: the content itself is at `small`, and becomes inline data */
	uint8_t *small;
};

struct tree_inode {
	uint32_t mode, uid, gid, rdev_major, rdev_minor;
	uint32_t links; /* names that refer to it */
	int64_t mtime;
	uint32_t mtime_ns;
	char *target;              /* of a symbolic link */
	struct tree_xattr *xattrs; /* sorted by name when written */
	struct tree_data data;
	uint64_t nid; /* the writer's */
	struct tree *tree;
};

struct tree_node {
	struct tree_node *parent; /* NULL: the root */
	struct tree_inode *inode;
	struct tree_node **children; /* of a directory, in no order: tree_sorted() */
	struct tree_node **buckets;  /* the same by hash of the name; NULL while there are few */
	struct tree_node *hash_next;
	uint32_t child_count, child_room, bucket_count;
	uint32_t index; /* in the parent's children */
	uint32_t hash;
	uint32_t layer; /* the layer that made it, for opaque directories; 0 if there are none */
	uint16_t name_length, depth;
	bool sorted;
	char name[];
};

struct tree *tree_new(void); /* with a root directory 0755 root:root, mtime 0; NULL: no memory */
void tree_free(struct tree *tree);
struct tree_node *tree_root(struct tree *tree);
uint32_t tree_node_count(const struct tree *tree);
/* Child by name, or NULL. */
struct tree_node *tree_find(const struct tree_node *dir, const char *name, size_t length);
/* Makes a name for a new inode of that mode (file type and permissions). -EEXIST, -ENOTDIR, -ENOSPC (too many, or too
 * much memory), -ENOMEM, -ENAMETOOLONG (also: more than TREE_DEPTH_MAX levels). */
int tree_add(struct tree *tree, struct tree_node *dir, const char *name, size_t length, uint32_t mode,
	     struct tree_node **node);
/* Another name for an inode that is no directory (-EPERM), and as tree_add. */
int tree_link(struct tree *tree, struct tree_node *dir, const char *name, size_t length, struct tree_inode *inode,
	      struct tree_node **node);
/* Takes away a name and everything below it. Not the root. */
void tree_remove(struct tree *tree, struct tree_node *node);
/* 1 to TREE_TARGET_MAX bytes without NUL: -EINVAL, -ENAMETOOLONG. */
int tree_set_target(struct tree_inode *inode, const char *target, size_t length);
/* Replaces one of the same name. -E2BIG when an inode's attributes would not fit the format; -EOPNOTSUPP: none of
 * user.*, trusted.*, security.* and system.posix_acl_access or _default. */
int tree_set_xattr(struct tree_inode *inode, const char *name, const void *value, size_t bytes);
/* Takes all of them away. */
void tree_clear_xattrs(struct tree_inode *inode);
/* The node of "a/b/c" (leading, trailing and double slashes, "." ignored; ".." -EINVAL), never through a symbolic link
 * (-ELOOP). make: missing directories are made with mode 0755 root:root. -ENOENT, -ENOTDIR. */
int tree_walk(struct tree *tree, const char *path, bool make, struct tree_node **node);
/* Children in the order of their names (bytewise); valid until the directory changes. */
struct tree_node **tree_sorted(struct tree_node *dir);
/* Frees what it has, and empties it. */
void tree_data_free(struct tree_data *data);
/* The name index of an attribute (fs/erofs: erofs_fs.h) and how long its prefix is; -1: not known. */
int tree_xattr_index(const char *name, size_t *prefix);
/* How long an inode's attributes are on disk, their header included; 0 without. */
uint32_t tree_xattr_bytes(const struct tree_inode *inode);

#endif
