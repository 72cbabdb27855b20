/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay: memfs whose missing names and data come from a host directory. Whatever is changed stays
 * in guest memory; nothing is copied up, an inode just goes on with the pages and attributes that it has.
 * What was once seen of the host is kept for the life of the VM.
 */
#include "kernel/fs/memfs.h"

#include "kernel/proc/process.h"

#define OVERLAY_MAGIC 0x794c7630u
#define FIRST_OWN_INO (1ull << 48) /* above the host's; below 2^53, which is what a double can hold */

static int overlay_fill(struct cache *cache, uint64_t index, struct page **pages, unsigned count)
{
	struct memfs_inode *m = memfs_of(cache->owner);

	return fuse_fill(m->lower.device, m->lower.id, index, pages, count, m->lower_bytes);
}

const struct cache_ops overlay_cache_ops = {.fill = overlay_fill};

/* Inode of a lower node, with a reference; the one that is known already, or a new one. */
static struct inode *overlay_inode(struct super *super, const struct fuse_entry_out *entry)
{
	struct inode *inode = fuse_node_find(super, entry->nodeid);
	struct memfs_inode *m;

	if (inode != NULL)
		return inode;
	m = memfs_inode_new(super, entry->attr.mode, &memfs_ops);
	if (m == NULL)
		return NULL;
	if (inode_is_regular(&m->inode))
		cache_init(&m->inode.cache, &overlay_cache_ops, &m->inode);
	fuse_to_inode(&m->inode, &entry->attr);
	m->lower_bytes = entry->attr.size;
	fuse_node_insert(&m->lower, &m->inode, super->device, entry->nodeid);
	return &m->inode;
}

/* Directories that programs expect, made in memory if the host's tree lacks them. */
static const struct memfs_fixed var_fixed[] = {{"tmp", S_IFDIR | 01777, 0, NULL}, {NULL, 0, 0, NULL}};
static const struct {
	const char *name;
	uint32_t mode;
	const struct memfs_fixed *fixed;
} expected[] = {
    {"tmp", 01777, NULL}, {"run", 0755, NULL}, {"root", 0700, NULL}, {"home", 0755, NULL}, {"var", 0755, var_fixed},
};

static struct memfs_inode *expected_inode(struct super *super, unsigned i)
{
	struct memfs_inode *m = memfs_inode_new(super, S_IFDIR | expected[i].mode, &memfs_ops);

	if (m == NULL)
		return NULL;
	inode_touch(&m->inode, INODE_TOUCH_ATIME | INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
	if (expected[i].fixed != NULL) {
		m->fixed = expected[i].fixed;
		m->inode.flags |= INODE_LAZY;
	}
	return m;
}

static void make_expected(struct dentry *dentry)
{
	for (unsigned i = 0; i < countof(expected); i++) {
		struct memfs_inode *m;

		if (strcmp(dentry->name, expected[i].name) != 0)
			continue;
		m = expected_inode(dentry->super, i);
		if (m != NULL) {
			dentry_instantiate(dentry, &m->inode);
			dentry_pin(dentry);
		}
		return;
	}
}

static void set_link_text(struct inode *inode, const struct fuse_walk *walk)
{
	struct memfs_inode *m = memfs_of(inode);
	char *text;

	if (walk->link == NULL || m->target != NULL || !inode_is_link(inode))
		return;
	text = kmalloc(walk->link_length + 1u);
	if (text == NULL)
		return;
	memcpy(text, walk->link, walk->link_length);
	text[walk->link_length] = '\0';
	m->target = text;
}

/* The walk's further entries become names below `dentry`: nobody has to ask for them again. */
static void keep_ahead(struct dentry *dentry, const struct fuse_walk *walk)
{
	const char *name = walk->names;
	struct dentry *at = dentry_get(dentry);

	for (unsigned i = 1; i < walk->components; i++) {
		struct dentry *child;
		struct inode *inode = NULL;

		name += strlen(name) + 1;
		if (i > walk->count || at->inode == NULL || !inode_is_dir(at->inode))
			break;
		if (i == walk->count && walk->error != -ENOENT)
			break;
		child = dentry_find(at, name, (unsigned)strlen(name));
		if (child == NULL) {
			if (i < walk->count) {
				inode = overlay_inode(dentry->super, &walk->entries[i]);
				if (inode == NULL)
					break;
				if (i == walk->count - 1)
					set_link_text(inode, walk);
			}
			child = dentry_add(at, name, (unsigned)strlen(name), inode);
			if (child == NULL)
				break;
			if (inode != NULL)
				child->flags |= DENTRY_LOWER;
		}
		dentry_put(at);
		at = child;
	}
	dentry_put(at);
}

int overlay_lookup(struct inode *dir, struct dentry *dentry, const char *rest)
{
	struct memfs_inode *m = memfs_of(dir);
	struct fuse_walk walk;
	struct dir_list_entry entry;
	int result;

	if (m->listed && !dir_list_find(&m->lower_names, dentry->name, dentry->name_length, &entry))
		return 0;
	result = fuse_walk(m->lower.device, m->lower.id, dentry->name, rest, &walk);
	if (result < 0)
		return result;
	if (walk.count > 0) {
		struct inode *inode = overlay_inode(dentry->super, &walk.entries[0]);

		if (inode == NULL) {
			result = -ENOMEM;
		} else {
			if (walk.count == 1)
				set_link_text(inode, &walk);
			dentry_instantiate(dentry, inode);
			dentry->flags |= DENTRY_LOWER;
			keep_ahead(dentry, &walk);
		}
	} else if (walk.error != -ENOENT) {
		result = walk.error;
	} else if (dentry->parent == dentry->super->root) {
		make_expected(dentry);
	}
	fuse_walk_done(&walk);
	return result;
}

int overlay_list(struct dentry *directory)
{
	struct memfs_inode *m = memfs_of(directory->inode);
	struct dir_list list = {0};
	int result = fuse_list(m->lower.device, m->lower.id, &list);

	if (result < 0) {
		dir_list_fini(&list);
		return result;
	}
	dir_list_fini(&m->lower_names);
	m->lower_names = list;
	m->listed = true;
	if (directory != directory->super->root)
		return 0;
	for (unsigned i = 0; i < countof(expected); i++) {
		struct dir_list_entry entry;
		struct dentry *there;
		struct memfs_inode *fresh;

		if (dir_list_find(&list, expected[i].name, (unsigned)strlen(expected[i].name), &entry))
			continue;
		there = dentry_find(directory, expected[i].name, (unsigned)strlen(expected[i].name));
		if (there == NULL && (fresh = expected_inode(directory->super, i)) != NULL) {
			there =
			    dentry_add(directory, expected[i].name, (unsigned)strlen(expected[i].name), &fresh->inode);
			if (there != NULL)
				dentry_pin(there);
		}
		if (there != NULL)
			dentry_put(there);
	}
	return 0;
}

int overlay_new(unsigned device, uint64_t node, struct super **super)
{
	struct super *s = super_new("overlay", "lampo", OVERLAY_MAGIC, 0);
	struct memfs_inode *root;

	if (s == NULL)
		return -ENOMEM;
	s->device = device;
	s->root_node = node;
	s->next_ino = FIRST_OWN_INO;
	/* Not asked for at boot: what a root directory's attributes always are. */
	root = memfs_inode_new(s, S_IFDIR | 0755, &memfs_ops);
	if (root != NULL) {
		root->inode.ino = 2;
		inode_touch(&root->inode, INODE_TOUCH_ATIME | INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
		fuse_node_insert(&root->lower, &root->inode, device, node);
		s->root = dentry_new_root(s, &root->inode);
	}
	if (s->root == NULL) {
		kfree(s);
		return -ENOMEM;
	}
	*super = s;
	return 0;
}
