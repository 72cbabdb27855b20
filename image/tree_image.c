/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tree_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TARGET_MAX 4095u

struct loader {
	struct tree *tree;
	struct build_contents *contents;
	struct image_file *image;
	struct build_links seen; /* inodes by nid: directories, of which each has one name, and files with several */
	struct err *err;
};

static int take_xattrs(struct loader *l, const struct erofs_inode *from, struct tree_inode *inode)
{
	struct erofs_xattr x;
	uint32_t position = 0;
	int code;

	while ((code = erofs_xattr(&l->image->erofs, from, &position, &x)) > 0) {
		code = tree_set_xattr(inode, x.name, x.value, x.value_bytes);
		if (code < 0)
			return code;
	}
	return code;
}

static int take_target(struct loader *l, const struct erofs_inode *from, struct tree_inode *inode)
{
	char target[TARGET_MAX + 1];

	if (from->size > TARGET_MAX)
		return -EUCLEAN;
	int64_t n = erofs_read(&l->image->erofs, from, 0, target, from->size);
	if (n < 0 || (uint64_t)n != from->size)
		return n < 0 ? (int)n : -EUCLEAN;
	return tree_set_target(inode, target, (size_t)n);
}

static int take_attributes(struct loader *l, const struct erofs_inode *from, struct tree_inode *inode)
{
	inode->mode = from->mode;
	inode->uid = from->uid;
	inode->gid = from->gid;
	inode->mtime = from->mtime;
	inode->mtime_ns = from->mtime_ns;
	return take_xattrs(l, from, inode);
}

static int load_directory(struct loader *l, struct tree_node *dir, const struct erofs_inode *from);

static int load_entry(struct loader *l, struct tree_node *dir, const struct erofs_entry *entry)
{
	struct erofs_inode from;
	struct tree_node *node;
	char name[EROFS_NAME_MAX + 1];
	int code = erofs_inode(&l->image->erofs, entry->nid, &from);

	if (code < 0)
		return code;
	if (entry->length > EROFS_NAME_MAX)
		return -EUCLEAN;
	memcpy(name, entry->name, entry->length);
	bool shared = S_ISDIR(from.mode) || from.nlink > 1;
	struct tree_inode *known = shared ? build_links_find(&l->seen, from.nid, 0) : NULL;
	if (known != NULL)
		return S_ISDIR(from.mode) ? -EUCLEAN : tree_link(l->tree, dir, name, entry->length, known, &node);
	code = tree_add(l->tree, dir, name, entry->length, from.mode, &node);
	if (code == 0 && shared)
		code = build_links_add(&l->seen, from.nid, 0, node->inode);
	if (code == 0)
		code = take_attributes(l, &from, node->inode);
	if (code < 0)
		return code;
	if (S_ISDIR(from.mode))
		return load_directory(l, node, &from);
	if (S_ISLNK(from.mode))
		return take_target(l, &from, node->inode);
	if (S_ISCHR(from.mode) || S_ISBLK(from.mode))
		erofs_rdev(&from, &node->inode->rdev_major, &node->inode->rdev_minor);
	return S_ISREG(from.mode) && from.size > 0 ? build_contents_add_image(l->contents, node->inode, l->image, &from)
						   : 0;
}

static int load_directory(struct loader *l, struct tree_node *dir, const struct erofs_inode *from)
{
	struct erofs_entry entry;
	uint64_t position = 0;
	int code;

	while ((code = erofs_list(&l->image->erofs, from, &position, &entry)) > 0) {
		if (entry.length > 0 && entry.length <= 2 && memcmp(entry.name, "..", entry.length) == 0)
			continue;
		code = load_entry(l, dir, &entry);
		if (code < 0)
			return code;
	}
	return code;
}

int tree_image_load(struct tree *tree, struct build_contents *contents, struct image_file *image, struct err *err)
{
	struct loader l = {.tree = tree, .contents = contents, .image = image, .err = err};
	struct erofs_inode root;
	int code = erofs_inode(&image->erofs, image->erofs.root_nid, &root);

	if (code == 0 && !S_ISDIR(root.mode))
		code = -EUCLEAN;
	if (code == 0)
		code = build_links_add(&l.seen, root.nid, 0, tree_root(tree)->inode);
	if (code == 0)
		code = take_attributes(&l, &root, tree_root(tree)->inode);
	if (code == 0)
		code = load_directory(&l, tree_root(tree), &root);
	build_links_free(&l.seen);
	if (code == -EEXIST)
		code = -EUCLEAN; /* a name twice in one directory */
	return code < 0 ? err_set(err, code, "cannot read the image") : 0;
}
