/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/erofs.h"
#include "base/util.h"

/* Below this many children, a directory is searched one by one. */
#define HASH_FROM 16u

struct tree {
	struct tree_node *root;
	uint32_t nodes;
	uint64_t bytes;
	uint64_t seed[2]; /* so that nobody can make names that all fall into one bucket */
};

static int charge(struct tree *tree, uint64_t bytes)
{
	if (bytes > TREE_BYTES_MAX - tree->bytes)
		return -ENOSPC;
	tree->bytes += bytes;
	return 0;
}

static uint32_t name_hash(const struct tree *tree, const char *name, size_t length)
{
	uint64_t h = tree->seed[0] ^ length;

	for (size_t at = 0; at < length; at += 8) {
		uint64_t word = 0;
		memcpy(&word, name + at, min_u64(8, length - at));
		unsigned __int128 product = (unsigned __int128)(h ^ word) * (tree->seed[1] | 1);
		h = (uint64_t)product ^ (uint64_t)(product >> 64) ^ tree->seed[0];
	}
	return (uint32_t)(h ^ h >> 32);
}

/* ---- inodes ---- */

void tree_data_free(struct tree_data *data)
{
	free(data->extents);
	free(data->small);
	memset(data, 0, sizeof(*data));
}

static uint64_t xattr_memory(const struct tree_xattr *xattr)
{
	return sizeof(*xattr) + strlen(xattr->name) + 1 + xattr->value_bytes;
}

static void xattr_free(struct tree *tree, struct tree_xattr *xattr)
{
	tree->bytes -= xattr_memory(xattr);
	free(xattr->name);
	free(xattr->value);
	free(xattr);
}

void tree_clear_xattrs(struct tree_inode *inode)
{
	while (inode->xattrs) {
		struct tree_xattr *xattr = inode->xattrs;
		inode->xattrs = xattr->next;
		xattr_free(inode->tree, xattr);
	}
}

static struct tree_inode *inode_new(struct tree *tree, uint32_t mode)
{
	struct tree_inode *inode = calloc(1, sizeof(*inode));

	if (inode) {
		inode->mode = mode;
		inode->tree = tree;
	}
	return inode;
}

static void inode_drop(struct tree_inode *inode)
{
	struct tree *tree = inode->tree;

	if (--inode->links > 0)
		return;
	tree_clear_xattrs(inode);
	if (inode->target)
		tree->bytes -= strlen(inode->target) + 1;
	tree->bytes -= sizeof(*inode);
	free(inode->target);
	tree_data_free(&inode->data);
	free(inode);
}

int tree_set_target(struct tree_inode *inode, const char *target, size_t length)
{
	if (length == 0 || memchr(target, '\0', length))
		return -EINVAL;
	if (length > TREE_TARGET_MAX)
		return -ENAMETOOLONG;
	int r = charge(inode->tree, length + 1);
	if (r < 0)
		return r;
	char *copy = strndup(target, length);
	if (!copy) {
		inode->tree->bytes -= length + 1;
		return -ENOMEM;
	}
	if (inode->target)
		inode->tree->bytes -= strlen(inode->target) + 1;
	free(inode->target);
	inode->target = copy;
	return 0;
}

int tree_xattr_index(const char *name, size_t *prefix)
{
	static const struct {
		const char *prefix;
		int index;
		bool whole;
	} known[] = {
	    {"user.", 1, false},
	    {"system.posix_acl_access", 2, true},
	    {"system.posix_acl_default", 3, true},
	    {"trusted.", 4, false},
	    {"security.", 6, false},
	};

	for (unsigned i = 0; i < countof(known); i++) {
		*prefix = strlen(known[i].prefix);
		if (strncmp(name, known[i].prefix, *prefix) == 0 && (name[*prefix] == '\0') == known[i].whole)
			return known[i].index;
	}
	return -1;
}

static uint32_t xattr_disk_bytes(const char *name, size_t value_bytes)
{
	size_t prefix;

	tree_xattr_index(name, &prefix);
	return (uint32_t)align_up(sizeof(struct erofs_disk_xattr) + strlen(name) - prefix + value_bytes, 4);
}

uint32_t tree_xattr_bytes(const struct tree_inode *inode)
{
	uint32_t bytes = 0;

	for (const struct tree_xattr *x = inode->xattrs; x; x = x->next)
		bytes += xattr_disk_bytes(x->name, x->value_bytes);
	return bytes == 0 ? 0 : bytes + (uint32_t)sizeof(struct erofs_disk_xattr_header);
}

static struct tree_xattr *xattr_make(struct tree *tree, const char *name, const void *value, size_t bytes)
{
	struct tree_xattr *xattr = calloc(1, sizeof(*xattr));

	if (!xattr)
		return NULL;
	xattr->name = strdup(name);
	xattr->value = malloc(bytes + 1);
	if (!xattr->name || !xattr->value) {
		free(xattr->name);
		free(xattr->value);
		free(xattr);
		return NULL;
	}
	if (bytes > 0)
		memcpy(xattr->value, value, bytes);
	xattr->value_bytes = (uint16_t)bytes;
	tree->bytes += xattr_memory(xattr);
	return xattr;
}

int tree_set_xattr(struct tree_inode *inode, const char *name, const void *value, size_t bytes)
{
	/* The inode has the number of 4-byte units behind the header, plus 1, in 16 bits. */
	const uint32_t room = (uint32_t)sizeof(struct erofs_disk_xattr_header) + (UINT16_MAX - 1) * 4;
	struct tree_xattr **at = &inode->xattrs;
	size_t prefix;
	unsigned count = 0;

	if (tree_xattr_index(name, &prefix) < 0)
		return -EOPNOTSUPP;
	if (strlen(name) > EROFS_NAME_MAX || bytes > UINT16_MAX)
		return -E2BIG;
	while (*at && strcmp((*at)->name, name) < 0)
		at = &(*at)->next;
	struct tree_xattr *old = *at && strcmp((*at)->name, name) == 0 ? *at : NULL;
	uint32_t others = tree_xattr_bytes(inode) - (old ? xattr_disk_bytes(name, old->value_bytes) : 0);
	for (const struct tree_xattr *x = inode->xattrs; x; x = x->next)
		count++;
	if (others + sizeof(struct erofs_disk_xattr_header) + xattr_disk_bytes(name, bytes) > room ||
	    (!old && count == TREE_XATTRS_MAX))
		return -E2BIG;
	if (sizeof(*old) + strlen(name) + 1 + bytes > TREE_BYTES_MAX - inode->tree->bytes)
		return -ENOSPC;
	struct tree_xattr *xattr = xattr_make(inode->tree, name, value, bytes);
	if (!xattr)
		return -ENOMEM;
	xattr->next = *at;
	*at = xattr;
	if (old) {
		xattr->next = old->next;
		xattr_free(inode->tree, old);
	}
	return 0;
}

/* ---- names ---- */

static bool is_dir(const struct tree_node *node) { return S_ISDIR(node->inode->mode); }

static int compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
	int r = memcmp(a, b, min_u64(a_length, b_length));

	if (r != 0)
		return r;
	return a_length < b_length ? -1 : a_length > b_length;
}

static int compare_nodes(const void *a, const void *b)
{
	const struct tree_node *x = *(struct tree_node *const *)a, *y = *(struct tree_node *const *)b;

	return compare(x->name, x->name_length, y->name, y->name_length);
}

struct tree_node *tree_find(const struct tree_node *dir, const char *name, size_t length)
{
	if (!dir->buckets) {
		for (uint32_t i = 0; i < dir->child_count; i++) {
			struct tree_node *child = dir->children[i];
			if (child->name_length == length && memcmp(child->name, name, length) == 0)
				return child;
		}
		return NULL;
	}
	uint32_t hash = name_hash(dir->inode->tree, name, length);
	struct tree_node *child = dir->buckets[hash & (dir->bucket_count - 1)];
	while (child && (child->hash != hash || child->name_length != length || memcmp(child->name, name, length) != 0))
		child = child->hash_next;
	return child;
}

/* Room for one child more. Without memory for buckets the search is slow and no worse. */
static int dir_grow(struct tree_node *dir)
{
	if (dir->child_count == dir->child_room) {
		uint32_t room = dir->child_room ? dir->child_room * 2 : 4;
		struct tree_node **children = realloc(dir->children, room * sizeof(*children));
		if (!children)
			return -ENOMEM;
		dir->children = children;
		dir->child_room = room;
	}
	if (dir->child_count < HASH_FROM || dir->child_count < dir->bucket_count)
		return 0;
	uint32_t count = dir->bucket_count ? dir->bucket_count * 4 : HASH_FROM * 4;
	struct tree_node **buckets = calloc(count, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	for (uint32_t i = 0; i < dir->child_count; i++) {
		struct tree_node *child = dir->children[i], **bucket = &buckets[child->hash & (count - 1)];
		child->hash_next = *bucket;
		*bucket = child;
	}
	free(dir->buckets);
	dir->buckets = buckets;
	dir->bucket_count = count;
	return 0;
}

static void dir_insert(struct tree_node *dir, struct tree_node *child)
{
	/* Archives often come in order: then there is nothing to sort. */
	dir->sorted =
	    dir->child_count == 0 || (dir->sorted && compare_nodes(&dir->children[dir->child_count - 1], &child) < 0);
	child->parent = dir;
	child->index = dir->child_count;
	dir->children[dir->child_count++] = child;
	if (dir->buckets) {
		struct tree_node **bucket = &dir->buckets[child->hash & (dir->bucket_count - 1)];
		child->hash_next = *bucket;
		*bucket = child;
	}
}

static void dir_take_out(struct tree_node *child)
{
	struct tree_node *dir = child->parent;

	if (dir->buckets) {
		struct tree_node **at = &dir->buckets[child->hash & (dir->bucket_count - 1)];
		while (*at != child)
			at = &(*at)->hash_next;
		*at = child->hash_next;
	}
	struct tree_node *last = dir->children[--dir->child_count];
	if (last != child) {
		dir->children[child->index] = last;
		last->index = child->index;
		dir->sorted = false;
	}
}

static int check_name(const char *name, size_t length)
{
	if (length == 0 || memchr(name, '/', length) || memchr(name, '\0', length) || (length == 1 && name[0] == '.') ||
	    (length == 2 && memcmp(name, "..", 2) == 0))
		return -EINVAL;
	return length > EROFS_NAME_MAX ? -ENAMETOOLONG : 0;
}

/* A name in dir for an inode that is there; the caller counts the link. */
static int add_name(struct tree *tree, struct tree_node *dir, const char *name, size_t length, struct tree_inode *inode,
		    struct tree_node **made)
{
	int r = check_name(name, length);

	if (r < 0)
		return r;
	if (!is_dir(dir))
		return -ENOTDIR;
	if (tree_find(dir, name, length))
		return -EEXIST;
	if (dir->depth == TREE_DEPTH_MAX)
		return -ENAMETOOLONG;
	if (tree->nodes == TREE_NODES_MAX)
		return -ENOSPC;
	/* With its share of the lists. */
	uint64_t bytes = sizeof(struct tree_node) + length + 1 + 4 * sizeof(void *);
	r = charge(tree, bytes);
	if (r < 0)
		return r;
	struct tree_node *node = calloc(1, sizeof(*node) + length + 1);
	if (!node || dir_grow(dir) < 0) {
		free(node);
		tree->bytes -= bytes;
		return -ENOMEM;
	}
	node->inode = inode;
	node->depth = (uint16_t)(dir->depth + 1);
	node->name_length = (uint16_t)length;
	memcpy(node->name, name, length);
	node->hash = name_hash(tree, name, length);
	dir_insert(dir, node);
	tree->nodes++;
	inode->links++;
	*made = node;
	return 0;
}

int tree_add(struct tree *tree, struct tree_node *dir, const char *name, size_t length, uint32_t mode,
	     struct tree_node **node)
{
	int r = charge(tree, sizeof(struct tree_inode));

	if (r < 0)
		return r;
	struct tree_inode *inode = inode_new(tree, mode);
	r = inode ? add_name(tree, dir, name, length, inode, node) : -ENOMEM;
	if (r < 0) {
		tree->bytes -= sizeof(*inode);
		free(inode);
	}
	return r;
}

int tree_link(struct tree *tree, struct tree_node *dir, const char *name, size_t length, struct tree_inode *inode,
	      struct tree_node **node)
{
	return S_ISDIR(inode->mode) ? -EPERM : add_name(tree, dir, name, length, inode, node);
}

static void node_free(struct tree *tree, struct tree_node *node)
{
	tree->bytes -= sizeof(*node) + node->name_length + 1u + 4 * sizeof(void *);
	tree->nodes--;
	inode_drop(node->inode);
	free(node->children);
	free(node->buckets);
	free(node);
}

/* Leaves first, from the end of each list: no recursion, nothing moves. */
static void free_below(struct tree *tree, struct tree_node *top)
{
	struct tree_node *at = top;

	for (;;) {
		if (at->child_count > 0) {
			at = at->children[at->child_count - 1];
		} else if (at == top) {
			return;
		} else {
			struct tree_node *parent = at->parent;
			parent->child_count--;
			node_free(tree, at);
			at = parent;
		}
	}
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
	dir_take_out(node);
	free_below(tree, node);
	node_free(tree, node);
}

struct tree_node **tree_sorted(struct tree_node *dir)
{
	if (!dir->sorted && dir->child_count > 0) {
		qsort(dir->children, dir->child_count, sizeof(*dir->children), compare_nodes);
		for (uint32_t i = 0; i < dir->child_count; i++)
			dir->children[i]->index = i;
		dir->sorted = true;
	}
	return dir->children;
}

int tree_walk(struct tree *tree, const char *path, bool make, struct tree_node **node)
{
	struct tree_node *at = tree->root;

	for (;;) {
		path += strspn(path, "/");
		size_t length = strcspn(path, "/");
		if (length == 0)
			break;
		if (length == 1 && path[0] == '.') {
			path++;
			continue;
		}
		if (S_ISLNK(at->inode->mode))
			return -ELOOP;
		if (!is_dir(at))
			return -ENOTDIR;
		int r = check_name(path, length);
		if (r < 0)
			return r;
		struct tree_node *child = tree_find(at, path, length);
		if (!child) {
			r = make ? tree_add(tree, at, path, length, S_IFDIR | 0755, &child) : -ENOENT;
			if (r < 0)
				return r;
		}
		at = child;
		path += length;
	}
	*node = at;
	return 0;
}

/* ---- the tree ---- */

struct tree *tree_new(void)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return NULL;
	if (getrandom(tree->seed, sizeof(tree->seed), GRND_NONBLOCK) != (ssize_t)sizeof(tree->seed))
		tree->seed[0] = (uint64_t)(uintptr_t)tree * 0x9e3779b97f4a7c15u;
	tree->root = calloc(1, sizeof(*tree->root) + 1);
	if (tree->root)
		tree->root->inode = inode_new(tree, S_IFDIR | 0755);
	if (!tree->root || !tree->root->inode) {
		free(tree->root);
		free(tree);
		return NULL;
	}
	tree->root->inode->links = 1;
	tree->nodes = 1;
	tree->bytes = sizeof(*tree->root) + 1 + 4 * sizeof(void *) + sizeof(*tree->root->inode);
	return tree;
}

void tree_free(struct tree *tree)
{
	if (!tree)
		return;
	free_below(tree, tree->root);
	node_free(tree, tree->root);
	free(tree);
}

struct tree_node *tree_root(struct tree *tree) { return tree->root; }

uint32_t tree_node_count(const struct tree *tree) { return tree->nodes; }
