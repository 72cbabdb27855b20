/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the host for an image that is being built. Owners become root; symbolic links are never followed. */
#ifndef LAMPO_IMAGE_BUILD_HOST_H
#define LAMPO_IMAGE_BUILD_HOST_H

#include "image/build_glob.h"
#include "image/build_tree.h"
#include "image/text.h"

/* Attributes that mean something in an image ("user.*" and "security.capability") of an open file. */
int build_host_xattrs(struct tree_inode *inode, int fd);

struct build_host {
	struct tree *tree;
	struct build_contents *contents;
	int root_fd; /* stays open until the contents were written */
	struct build_links links;
	struct err *err;
};

/* Makes dir/name of the file that lies at `path` below root_fd, name parent_fd/base and status *st; a directory is made
 * empty. *node NULL: it is nothing that an image can have (a socket). */
int build_host_node(struct build_host *host, struct tree_node *dir, const char *name, int parent_fd, const char *base,
		    const char *path, const struct stat *st, struct tree_node **node);
/* The names in a directory below root_fd ("." is root_fd itself), in order. Its descriptor is *fd. */
int build_host_list(const struct build_host *host, const char *path, struct string_list *names, int *fd);
/* The whole of root_fd, without what `ignore` names, becomes host->tree. */
int build_host_scan(struct build_host *host, const struct build_ignore *ignore);

#endif
