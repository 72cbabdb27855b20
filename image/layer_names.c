/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int walk(struct layer_names *names, const char *path, enum layer_find how, unsigned *links,
		struct tree_node **dir, struct err *err);

static int work(struct layer_names *names, uint64_t steps, struct err *err)
{
	names->work += steps;
	if (names->work <= names->work_max)
		return 0;
	return err_set(err, -EFBIG, "its links and opaque directories make too much work!");
}

/* Follows a link that stands in *dir. */
static int follow(struct layer_names *names, const char *target, enum layer_find how, unsigned *links,
		  struct tree_node **dir, struct err *err)
{
	if (++*links > LAYER_LINKS_MAX)
		return err_set(err, -ELOOP, "too many symbolic links on the way!");
	if (target[0] == '/')
		*dir = tree_root(names->tree);
	return walk(names, target, how, links, dir, err);
}

/* Goes from *dir to its directory `name`; *dir becomes NULL if there is none. */
static int step(struct layer_names *names, const char *name, size_t length, enum layer_find how, unsigned *links,
		struct tree_node **dir, struct err *err)
{
	int r = work(names, 1, err);
	if (r < 0)
		return r;
	if (length == 1 && name[0] == '.')
		return 0;
	if (length == 2 && name[0] == '.' && name[1] == '.') { /* only links have these */
		*dir = (*dir)->parent != NULL ? (*dir)->parent : *dir;
		return 0;
	}
	struct tree_node *child = tree_find(*dir, name, length);
	bool none = child == NULL && how != LAYER_MAKE;
	if (child != NULL && how == LAYER_OLDER)
		none = S_ISLNK(child->inode->mode) ? child->layer == names->layer : !S_ISDIR(child->inode->mode);
	if (none) {
		*dir = NULL;
		return 0;
	}
	if (child == NULL) {
		if (length >= 4 && memcmp(name, ".wh.", 4) == 0) /* by a link; no file may have such a name */
			return err_set(err, -EINVAL, "a symbolic link leads through a whiteout!");
		r = tree_add(names->tree, *dir, name, length, S_IFDIR | 0755, &child);
		if (r < 0)
			return err_set(err, r, "cannot make the directory %.*s", (int)length, name);
		child->layer = names->layer;
	}
	if (S_ISLNK(child->inode->mode))
		return follow(names, child->inode->target, how, links, dir, err);
	if (!S_ISDIR(child->inode->mode))
		return err_set(err, -ENOTDIR, "%.*s is no directory!", (int)length, name);
	*dir = child;
	return 0;
}

/* All components of a path, from *dir. */
static int walk(struct layer_names *names, const char *path, enum layer_find how, unsigned *links,
		struct tree_node **dir, struct err *err)
{
	int r = 0;

	for (path += strspn(path, "/"); r == 0 && *dir != NULL && *path != '\0'; path += strspn(path, "/")) {
		size_t length = strcspn(path, "/");
		r = step(names, path, length, how, links, dir, err);
		path += length;
	}
	return r;
}

static bool is_dot(const char *name, size_t length) { return length == 1 && name[0] == '.'; }

static int path_check(const char *path, struct err *err)
{
	if (path[0] == '\0')
		return err_set(err, -EINVAL, "the name is empty!");
	if (path[0] == '/')
		return err_set(err, -EINVAL, "the name is absolute!");
	if (strnlen(path, LAYER_PATH_MAX + 1) > LAYER_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "the name has more than %u bytes!", LAYER_PATH_MAX);
	for (const char *p = path; *p != '\0'; p += strspn(p, "/")) {
		size_t length = strcspn(p, "/");
		if (length == 2 && p[0] == '.' && p[1] == '.')
			return err_set(err, -EINVAL, "the name has \"..\" in it!");
		if (length > 255)
			return err_set(err, -ENAMETOOLONG, "the name has a part of more than 255 bytes!");
		p += length;
		if (*p == '/' && p[strspn(p, "/")] != '\0' && length >= 4 && memcmp(p - length, ".wh.", 4) == 0)
			return err_set(err, -EINVAL, "a whiteout has something below it!");
	}
	return 0;
}

int layer_names_find(struct layer_names *names, const char *path, enum layer_find how, struct layer_place *place,
		     struct err *err)
{
	unsigned links = 0;

	*place = (struct layer_place){.dir = tree_root(names->tree), .name = path};
	int r = path_check(path, err);
	/* Each component is a step once it is known that it is not the last. */
	while (r == 0 && *path != '\0') {
		size_t length = strcspn(path, "/");
		if (length > 0 && !is_dot(path, length)) {
			if (place->length > 0 && place->dir != NULL)
				r = step(names, place->name, place->length, how, &links, &place->dir, err);
			place->name = path;
			place->length = length;
		}
		path += length;
		path += strspn(path, "/");
	}
	return r;
}

/* What an older layer said about a directory that this layer only passes through no longer counts. */
static void make_implicit(struct layer_names *names, struct tree_node *dir)
{
	struct tree_inode *inode = dir->inode;

	inode->mode = S_IFDIR | 0755;
	inode->uid = inode->gid = 0;
	inode->mtime = 0;
	inode->mtime_ns = 0;
	tree_clear_xattrs(inode);
	dir->layer = names->layer;
}

/* *left: something of this layer is still there. */
static int hide(struct layer_names *names, struct tree_node *node, bool *left, struct err *err)
{
	int r = 0;

	*left = node->layer == names->layer;
	if (!S_ISDIR(node->inode->mode))
		return 0;
	if ((r = layer_names_hide_children(names, node, err)) < 0)
		return r;
	if (!*left && node->child_count > 0) {
		make_implicit(names, node);
		*left = true;
	}
	return 0;
}

int layer_names_hide(struct layer_names *names, struct tree_node *node, struct err *err)
{
	bool left;

	int r = hide(names, node, &left, err);
	if (r == 0 && !left)
		tree_remove(names->tree, node);
	return r;
}

int layer_names_hide_children(struct layer_names *names, struct tree_node *dir, struct err *err)
{
	uint32_t count = dir->child_count;

	int r = work(names, 1 + (uint64_t)count, err);
	if (r < 0 || count == 0)
		return r;
	struct tree_node **children = malloc(count * sizeof(*children));
	if (children == NULL)
		return err_set(err, -ENOMEM, "cannot hide what is in a directory");
	memcpy(children, tree_sorted(dir), count * sizeof(*children));
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = layer_names_hide(names, children[i], err);
	free(children);
	return r;
}
