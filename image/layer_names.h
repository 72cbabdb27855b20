/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of a layer's entries, walked in the tree as a process with that root directory would: symbolic links on the way
 * are followed inside the tree ("/" is its root, and above that there is nothing), so that a layer may say lib/x where
 * an older one made lib a link to usr/lib. Nothing here knows the host's files.
 */
#ifndef LAMPO_IMAGE_LAYER_NAMES_H
#define LAMPO_IMAGE_LAYER_NAMES_H

#include "image/tree.h"

#define LAYER_PATH_MAX 4096u
#define LAYER_LINKS_MAX 40u

struct layer_names {
	struct tree *tree;
	unsigned layer;
	/* Steps done and allowed: hostile links and opaque marks make few bytes much work. Whoever walks adds to the
	 * allowance as entries come. */
	uint64_t work, work_max;
};

/* Where a name is to be: the directory, and the last component, which is not looked at. */
struct layer_place {
	struct tree_node *dir; /* NULL: it is not there */
	const char *name;      /* in the path */
	size_t length;         /* 0: the path is the root itself, and dir as well */
};

enum layer_find {
	LAYER_LOOK,
	LAYER_MAKE, /* missing directories are made, 0755 root:root, of this layer */
	/* What older layers have there: a file that replaced a directory has nothing below it, nor has a link of this
	 * layer. (umoci has whiteouts for what was in a directory that it replaces.) */
	LAYER_OLDER,
};
/* Absolute paths, "..", components with the prefix of whiteouts before the last, too long paths: -EINVAL,
 * -ENAMETOOLONG; a file among the directories: -ENOTDIR; too many links: -ELOOP; too much work: -EFBIG. */
int layer_names_find(struct layer_names *names, const char *path, enum layer_find how, struct layer_place *place,
		     struct err *err);
/* As a whiteout has it: what older layers made of `node` and below it vanishes; what this layer made stays. Not for the
 * root. */
int layer_names_hide(struct layer_names *names, struct tree_node *node, struct err *err);
/* The same for what is in a directory, but not itself: an opaque directory. */
int layer_names_hide_children(struct layer_names *names, struct tree_node *dir, struct err *err);

#endif
