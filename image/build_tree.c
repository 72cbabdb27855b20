/* SPDX-License-Identifier: Apache-2.0 */
/* Walking and copying in trees of images that are being built. */
#include "image/build_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "image/text.h"

#define LINKS_MAX 40u

/* ---- names ---- */

struct walk {
	struct tree *tree;
	unsigned flags, links;
	uint32_t uid, gid;
	char *rest; /* what is left of the path; owned */
	struct tree_node *node;
};

static int make_dir(const struct walk *w, struct tree_node *dir, const char *name, size_t length,
		    struct tree_node **made)
{
	int code = tree_add(w->tree, dir, name, length, S_IFDIR | 0755, made);

	if (code == 0) {
		(*made)->inode->uid = w->uid;
		(*made)->inode->gid = w->gid;
	}
	return code;
}

/* The rest of the path is to be looked for behind a link's target. */
static int follow(struct walk *w, const struct tree_node *link, const char *rest)
{
	const char *target = link->inode->target != NULL ? link->inode->target : "";
	struct text path = {0};

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if (*target == '\0')
		return -ENOENT;
	int code = text_add_string(&path, target);
	if (code == 0)
		code = text_add_char(&path, '/');
	if (code == 0)
		code = text_add_string(&path, rest);
	if (code == 0) {
		if (*target == '/')
			w->node = tree_root(w->tree);
		free(w->rest);
		w->rest = text_take(&path);
	}
	text_free(&path);
	return code;
}

/* Takes one component. 1: the walk is over, *place is filled in. */
static int step(struct walk *w, const char **at, struct build_place *place)
{
	const char *name = *at + strspn(*at, "/");
	size_t length = strcspn(name, "/");
	const char *rest = name + length + strspn(name + length, "/");
	bool last = *rest == '\0';

	if (length == 0 || (length == 1 && *name == '.') || (length == 2 && memcmp(name, "..", 2) == 0)) {
		if (length == 2 && w->node->parent != NULL)
			w->node = w->node->parent;
		*at = rest;
		*place = (struct build_place){.node = w->node, .dir = w->node->parent};
		if (w->node->parent != NULL)
			memcpy(place->name, w->node->name, w->node->name_length);
		return last;
	}
	if (!S_ISDIR(w->node->inode->mode))
		return -ENOTDIR;
	if (length >= sizeof(place->name))
		return -ENAMETOOLONG;
	struct tree_node *child = tree_find(w->node, name, length);
	if (child != NULL && S_ISLNK(child->inode->mode) && (!last || (w->flags & BUILD_WALK_FOLLOW) != 0)) {
		int code = follow(w, child, rest);
		*at = w->rest;
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): follow() frees the old w->rest, build_walk() the last */
		return code;
	}
	if (child == NULL && !last) {
		int code = (w->flags & BUILD_WALK_MAKE) != 0 ? make_dir(w, w->node, name, length, &child) : -ENOENT;
		if (code < 0)
			return code;
	}
	*place = (struct build_place){.node = child, .dir = w->node};
	memcpy(place->name, name, length);
	if (last)
		return 1;
	w->node = child;
	*at = rest;
	return 0;
}

int build_walk(struct tree *tree, const char *path, unsigned flags, uint32_t uid, uint32_t gid,
	       struct build_place *place)
{
	struct walk w = {
	    .tree = tree, .flags = flags, .uid = uid, .gid = gid, .rest = strdup(path), .node = tree_root(tree)};
	const char *at = w.rest;
	int code = w.rest != NULL ? 0 : -ENOMEM;

	while (code == 0)
		code = step(&w, &at, place);
	free(w.rest);
	return code < 0 ? code : 0;
}

int build_walk_dir(struct tree *tree, const char *path, uint32_t uid, uint32_t gid, struct tree_node **dir)
{
	struct build_place place;
	struct walk w = {.tree = tree, .uid = uid, .gid = gid};
	int code = build_walk(tree, path, BUILD_WALK_FOLLOW | BUILD_WALK_MAKE, uid, gid, &place);

	if (code < 0)
		return code;
	if (place.node == NULL)
		return make_dir(&w, place.dir, place.name, strlen(place.name), dir);
	*dir = place.node;
	return S_ISDIR(place.node->inode->mode) ? 0 : -ENOTDIR;
}

/* ---- hard links ---- */

/* The numbers come from images, which are hostile: the seed keeps them from choosing the slots. */
static struct build_link *slot(const struct build_links *links, uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)(a ^ links->seed[0]) * (links->seed[1] | 1);
	uint64_t hash = (uint64_t)product ^ (uint64_t)(product >> 64) ^ b * (links->seed[0] | 1);
	size_t i = (size_t)(hash ^ hash >> 32) & (links->room - 1);

	while (links->slots[i].inode != NULL && (links->slots[i].a != a || links->slots[i].b != b))
		i = (i + 1) & (links->room - 1);
	return &links->slots[i];
}

static int grow(struct build_links *links)
{
	struct build_links larger = {.count = links->count, .room = links->room != 0 ? links->room * 2 : 64};

	if (getrandom(larger.seed, sizeof(larger.seed), 0) != sizeof(larger.seed))
		return -EIO;
	larger.slots = calloc(larger.room, sizeof(larger.slots[0]));
	if (larger.slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < links->room; i++)
		if (links->slots[i].inode != NULL)
			*slot(&larger, links->slots[i].a, links->slots[i].b) = links->slots[i];
	free(links->slots);
	*links = larger;
	return 0;
}

int build_links_add(struct build_links *links, uint64_t a, uint64_t b, struct tree_inode *inode)
{
	int code = 2 * (links->count + 1) > links->room ? grow(links) : 0;

	if (code < 0)
		return code;
	struct build_link *to = slot(links, a, b);
	links->count += to->inode == NULL;
	*to = (struct build_link){a, b, inode};
	return 0;
}

struct tree_inode *build_links_find(const struct build_links *links, uint64_t a, uint64_t b)
{
	return links->room != 0 ? slot(links, a, b)->inode : NULL;
}

void build_links_free(struct build_links *links)
{
	free(links->slots);
	*links = (struct build_links){0};
}

/* ---- copying ---- */

/* What is in struct build_copy's links: what an inode became, and inodes that were made. */
enum { ORIGINAL, MADE };

static int copy_attributes(const struct build_copy *copy, const struct tree_inode *from, struct tree_inode *to)
{
	if (copy->mode >= 0 && !S_ISLNK(from->mode))
		to->mode = (from->mode & S_IFMT) | (uint32_t)copy->mode;
	else
		to->mode = from->mode;
	to->uid = copy->uid >= 0 ? (uint32_t)copy->uid : from->uid;
	to->gid = copy->gid >= 0 ? (uint32_t)copy->gid : from->gid;
	to->mtime = from->mtime;
	to->mtime_ns = from->mtime_ns;
	for (const struct tree_xattr *x = from->xattrs; x != NULL; x = x->next) {
		int code = tree_set_xattr(to, x->name, x->value, x->value_bytes);
		if (code < 0)
			return code;
	}
	return 0;
}

int build_copy_directory_metadata(const struct build_copy *copy, const struct tree_inode *from, struct tree_inode *to)
{
	return copy_attributes(copy, from, to);
}

/* Makes room for dir/name. */
static int clear(struct build_copy *copy, struct tree_node *dir, const char *name)
{
	struct tree_node *old = tree_find(dir, name, strlen(name));

	if (old == NULL)
		return 0;
	if (S_ISDIR(old->inode->mode))
		return -EISDIR;
	/* If that was the last name of an inode that was made here, links to it must not be made any more. */
	if (old->inode->links == 1 && build_links_find(&copy->links, (uintptr_t)old->inode, MADE) != NULL)
		build_links_free(&copy->links);
	tree_remove(copy->tree, old);
	return 0;
}

static int copy_file(struct build_copy *copy, const struct tree_inode *from, struct tree_node *dir, const char *name)
{
	bool linked = from->links > 1;
	struct tree_inode *known = linked ? build_links_find(&copy->links, (uintptr_t)from, ORIGINAL) : NULL;
	struct tree_node *node;
	int code = clear(copy, dir, name);

	if (code == 0 && known != NULL && copy->links.count > 0)
		return tree_link(copy->tree, dir, name, strlen(name), known, &node);
	if (code == 0)
		code = tree_add(copy->tree, dir, name, strlen(name), from->mode, &node);
	if (code < 0)
		return code;
	node->inode->rdev_major = from->rdev_major;
	node->inode->rdev_minor = from->rdev_minor;
	node->inode->nid = from->nid;
	code = copy_attributes(copy, from, node->inode);
	if (code == 0 && S_ISLNK(from->mode) && from->target != NULL)
		code = tree_set_target(node->inode, from->target, strlen(from->target));
	if (code == 0 && linked)
		code = build_links_add(&copy->links, (uintptr_t)from, ORIGINAL, node->inode);
	if (code == 0 && linked)
		code = build_links_add(&copy->links, (uintptr_t)node->inode, MADE, node->inode);
	return code;
}

/* A link in the image that leads to a directory stands for it, as in "COPY rootfs /" onto /lib -> usr/lib. */
static int real_directory(struct build_copy *copy, struct tree_node **node)
{
	struct text path = {0};
	struct build_place place = {0};
	int code = 0;

	if (S_ISDIR((*node)->inode->mode))
		return 0;
	if (!S_ISLNK((*node)->inode->mode) || (*node)->parent == NULL)
		return -ENOTDIR;
	/* The path of the link, from the end. */
	for (const struct tree_node *n = *node; n->parent != NULL && code == 0; n = n->parent) {
		struct text longer = {0};
		code = text_add_char(&longer, '/');
		if (code == 0)
			code = text_add(&longer, n->name, n->name_length);
		if (code == 0 && path.length > 0)
			code = text_add(&longer, path.data, path.length);
		text_free(&path);
		path = longer;
	}
	if (code == 0)
		code = build_walk(copy->tree, path.data, BUILD_WALK_FOLLOW, 0, 0, &place);
	text_free(&path);
	if (code == 0 && (place.node == NULL || !S_ISDIR(place.node->inode->mode)))
		code = -ENOTDIR;
	if (code == 0)
		*node = place.node;
	return code;
}

int build_copy_node(struct build_copy *copy, const struct tree_node *from, struct tree_node *dir, const char *name)
{
	struct tree_node *node = tree_find(dir, name, strlen(name));
	int code = 0;

	if (!S_ISDIR(from->inode->mode))
		return copy_file(copy, from->inode, dir, name);
	if (node == NULL)
		code = tree_add(copy->tree, dir, name, strlen(name), from->inode->mode, &node);
	else
		code = real_directory(copy, &node);
	if (code == 0)
		code = copy_attributes(copy, from->inode, node->inode);
	return code < 0 ? code : build_copy_children(copy, from, node);
}

int build_copy_children(struct build_copy *copy, const struct tree_node *from, struct tree_node *dir)
{
	/* Sorting changes the order in which a directory keeps its children, nothing that can be seen. */
	struct tree_node **children = from->child_count > 0 ? tree_sorted((struct tree_node *)from) : NULL;
	char name[256];
	int code = 0;

	if (from->child_count > 0 && children == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < from->child_count && code == 0; i++) {
		if (children[i]->name_length >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, children[i]->name, children[i]->name_length);
		name[children[i]->name_length] = '\0';
		code = build_copy_node(copy, children[i], dir, name);
	}
	return code;
}

void build_copy_fini(struct build_copy *copy) { build_links_free(&copy->links); }
