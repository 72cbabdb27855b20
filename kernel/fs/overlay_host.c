/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay over a host directory: FUSE nodes. What was once seen of the host is kept for the life of the VM. */
#include "kernel/fs/fuse_node.h"
#include "kernel/fs/overlay.h"

static int host_fill(struct cache *cache, uint64_t index, struct page **pages, unsigned count)
{
	struct memfs_inode *m = memfs_of(cache->owner);

	return fuse_fill(m->lower.device, m->lower.id, index, pages, count, m->lower_bytes);
}

static const struct cache_ops host_cache_ops = {.fill = host_fill};

static struct inode *host_inode(struct super *super, const struct fuse_entry_out *entry)
{
	bool fresh;
	struct memfs_inode *m = overlay_inode(super, entry->nodeid, entry->attr.mode, &fresh);

	if (m == NULL)
		return NULL;
	if (fresh) {
		fuse_to_inode(&m->inode, &entry->attr);
		m->lower_bytes = entry->attr.size;
	}
	return &m->inode;
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
				inode = host_inode(dentry->super, &walk->entries[i]);
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

static int host_lookup(struct inode *dir, struct dentry *dentry, const char *rest)
{
	struct memfs_inode *m = memfs_of(dir);
	struct fuse_walk walk;
	int result = fuse_walk(m->lower.device, m->lower.id, dentry->name, rest, &walk);

	if (result < 0)
		return result;
	if (walk.count > 0) {
		struct inode *inode = host_inode(dentry->super, &walk.entries[0]);

		if (inode == NULL) {
			result = -ENOMEM;
		} else {
			if (walk.count == 1)
				set_link_text(inode, &walk);
			dentry_instantiate(dentry, inode);
			dentry->flags |= DENTRY_LOWER;
			keep_ahead(dentry, &walk);
			result = 1;
		}
	} else if (walk.error != -ENOENT) {
		result = walk.error;
	}
	fuse_walk_done(&walk);
	return result;
}

static int host_list(struct inode *dir, struct dir_list *list)
{
	struct memfs_inode *m = memfs_of(dir);

	return fuse_list(m->lower.device, m->lower.id, list);
}

static int host_readlink(struct inode *link, char *to, size_t size)
{
	struct memfs_inode *m = memfs_of(link);

	return fuse_readlink(m->lower.device, m->lower.id, to, size);
}

static const struct lower_ops host_ops = {
    .lookup = host_lookup,
    .list = host_list,
    .readlink = host_readlink,
    .forget = fuse_node_fini,
    .cache = &host_cache_ops,
};

int overlay_host_new(unsigned device, uint64_t node, struct super **super)
{
	int result = overlay_new(&host_ops, device, node, super);

	if (result < 0)
		return result;
	/* Not asked for at boot: what a root directory's attributes always are. */
	(*super)->root->inode->ino = 2;
	inode_touch((*super)->root->inode, INODE_TOUCH_ATIME | INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
	return 0;
}
