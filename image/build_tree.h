/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of an image that is being built (struct tree), with contents that stay where they are (in other images, on
 * the host, in memory) until all is known. Then everything is written in one go, in the order of names: the same input
 * gives the same file, and what was replaced on the way was never written.
 *
 * While building, tree_inode.nid of a regular file is the number of its contents here (0: empty).
 */
#ifndef LAMPO_IMAGE_BUILD_TREE_H
#define LAMPO_IMAGE_BUILD_TREE_H

#include <sys/stat.h>

#include "image/image_file.h"
#include "image/progress.h"
#include "image/tree.h"
#include "image/writer.h"

/* ---- contents ---- */

struct build_content {
	enum { BUILD_FROM_IMAGE, BUILD_FROM_HOST, BUILD_FROM_MEMORY } from;
	uint64_t bytes;
	union {
		struct {
			struct image_file *file; /* borrowed */
			uint64_t nid;
		} image;
		struct {
			int root_fd; /* borrowed */
			char *path;  /* below it, without symbolic links; owned */
			dev_t dev;
			ino_t ino;
			struct timespec mtime;
		} host;
		char *memory; /* owned */
	};
};

struct build_contents {
	struct build_content *list;
	size_t count, room;
};

void build_contents_free(struct build_contents *contents);
/* Each sets inode->nid. -ENOMEM. */
int build_contents_add_image(struct build_contents *contents, struct tree_inode *inode, struct image_file *image,
			     const struct erofs_inode *from);
int build_contents_add_host(struct build_contents *contents, struct tree_inode *inode, int root_fd, const char *path,
			    const struct stat *st);
int build_contents_add_memory(struct build_contents *contents, struct tree_inode *inode, const void *data,
			      size_t bytes);
/* How long an inode's contents are. */
uint64_t build_contents_bytes(const struct build_contents *contents, const struct tree_inode *inode);
/* All of a small file, terminated, malloc'd. -EFBIG: longer than `max`. -EIO and others with *err. */
int build_contents_read(const struct build_contents *contents, const struct tree_inode *inode, size_t max, char **data,
			size_t *bytes, struct err *err);
/* Lays the contents of all files down and turns the numbers into extents. latest: no file gets a later time of change;
 * INT64_MAX: all keep theirs. A file of the host that changed since it was added: -EAGAIN. */
int build_tree_write(struct tree *tree, const struct build_contents *contents, struct image_writer *writer,
		     int64_t latest, struct progress *progress, struct err *err);

/* ---- names ---- */

/* Where a path leads in a tree that is the root of everything: symbolic links are followed within it, ".." of the root
 * is the root. */
struct build_place {
	struct tree_node *node; /* NULL: nothing is there */
	struct tree_node *dir;  /* where it is, or would be; NULL for the root itself */
	char name[256];         /* how it is called there */
};

#define BUILD_WALK_FOLLOW 1u /* a symbolic link at the end, too */
#define BUILD_WALK_MAKE 2u   /* missing directories in front of the last component are made */

/* uid, gid: of directories that are made (0755). -ENOENT: a directory before the last component is missing (a missing
 * last one is 0 with node NULL). -ENOTDIR, -ELOOP, -ENAMETOOLONG, -ENOMEM and those of tree_add. */
int build_walk(struct tree *tree, const char *path, unsigned flags, uint32_t uid, uint32_t gid,
	       struct build_place *place);
/* The same, to a directory, which is made if missing. */
int build_walk_dir(struct tree *tree, const char *path, uint32_t uid, uint32_t gid, struct tree_node **dir);

/* ---- hard links: which inode of the tree stands for another one, named by two numbers ---- */

/* Begins as {0}. */
struct build_links {
	struct build_link {
		uint64_t a, b;
		struct tree_inode *inode; /* NULL: the slot is free */
	} * slots;
	size_t count, room;
	uint64_t seed[2];
};
/* Replaces what is there. -ENOMEM. */
int build_links_add(struct build_links *links, uint64_t a, uint64_t b, struct tree_inode *inode);
struct tree_inode *build_links_find(const struct build_links *links, uint64_t a, uint64_t b);
void build_links_free(struct build_links *links);

/* ---- copying ---- */

struct build_copy {
	struct tree *tree;        /* where to */
	int64_t uid, gid;         /* -1: kept */
	int32_t mode;             /* permissions of files and directories; -1: kept */
	struct build_links links; /* inodes that were copied and have several names; see build_copy_fini */
};

/* `from` (of another tree over the same contents) becomes dir/name. What is there is replaced, but a directory by
 * nothing else and nothing else by a directory; directories are merged, and a link to a directory counts as one.
 * -EISDIR, -ENOTDIR. */
int build_copy_node(struct build_copy *copy, const struct tree_node *from, struct tree_node *dir, const char *name);
/* Everything in the directory `from`, into `dir`. */
int build_copy_children(struct build_copy *copy, const struct tree_node *from, struct tree_node *dir);
/* Owner, mode, times, attributes of a directory. */
int build_copy_directory_metadata(const struct build_copy *copy, const struct tree_inode *from, struct tree_inode *to);
void build_copy_fini(struct build_copy *copy);

#endif
