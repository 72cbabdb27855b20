/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay (kernel/fs/overlay.h). Whatever is changed stays in guest memory; nothing is copied up, an inode just
 * goes on with the pages and attributes that it has.
 */
#include "kernel/fs/overlay.h"

#include "kernel/proc/process.h"

#define OVERLAY_MAGIC 0x794c7630u
#define FIRST_OWN_INO (1ull << 48) /* above those below; below 2^53, which is what a double can hold */

struct memfs_inode *overlay_inode(struct super *super, uint64_t id, uint32_t mode, bool *fresh)
{
	struct inode *inode = node_find(super, id);
	struct memfs_inode *m;

	*fresh = inode == NULL;
	if (inode != NULL)
		return memfs_of(inode);
	m = memfs_inode_new(super, mode, &memfs_ops);
	if (m == NULL)
		return NULL;
	if (inode_is_regular(&m->inode))
		cache_init(&m->inode.cache, super->lower->cache, &m->inode);
	node_insert(&m->lower, &m->inode, super->device, id);
	return m;
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

int overlay_lookup(struct inode *dir, struct dentry *dentry, const char *rest)
{
	struct memfs_inode *m = memfs_of(dir);
	struct dir_list_entry entry;
	int result;

	if (m->listed && !dir_list_find(&m->lower_names, dentry->name, dentry->name_length, &entry))
		return 0;
	result = dir->super->lower->lookup(dir, dentry, rest);
	if (result == 0 && dentry->parent == dentry->super->root)
		make_expected(dentry);
	return result < 0 ? result : 0;
}

int overlay_list(struct dentry *directory)
{
	struct memfs_inode *m = memfs_of(directory->inode);
	struct dir_list list = {0};
	int result = directory->super->lower->list(&m->inode, &list);

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

int overlay_load_xattrs(struct inode *inode)
{
	struct memfs_inode *m = memfs_of(inode);
	int result = 0;

	if (m->lower.id == 0 || m->xattrs_loaded || inode->super->lower->load_xattrs == NULL)
		return 0;
	result = inode->super->lower->load_xattrs(inode);
	if (result < 0)
		memfs_free_xattrs(m);
	m->xattrs_loaded = result == 0;
	return result;
}

int overlay_new(const struct lower_ops *lower, unsigned device, uint64_t node, struct super **super)
{
	struct super *s = super_new("overlay", "lampo", OVERLAY_MAGIC, 0);
	struct memfs_inode *root;
	bool fresh;

	if (s == NULL)
		return -ENOMEM;
	s->lower = lower;
	s->device = device;
	s->root_node = node;
	s->next_ino = FIRST_OWN_INO;
	root = overlay_inode(s, node, S_IFDIR | 0755, &fresh);
	if (root != NULL)
		s->root = dentry_new_root(s, &root->inode);
	if (s->root == NULL) {
		kfree(s);
		return -ENOMEM;
	}
	*super = s;
	return 0;
}
