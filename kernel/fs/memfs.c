/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system in guest memory. Names are pinned dentries. In an overlay the same inodes may have a
 * lower node: names that are not in memory are asked for there (overlay.h), and a pinned
 * negative dentry hides a name of the lower directory.
 */
#include "kernel/fs/overlay.h"

#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/memfd.h>

#include "kernel/proc/process.h"

static void memfs_free(struct inode *inode)
{
	struct memfs_inode *m = memfs_of(inode);

	if (inode_is_regular(inode) || inode_is_link(inode))
		cache_fini(&inode->cache);
	dir_list_fini(&m->lower_names);
	kfree(m->target);
	memfs_free_xattrs(m);
	if (m->lower.id != 0)
		inode->super->lower->forget(&m->lower);
	kfree(m);
}

struct memfs_inode *memfs_inode_new(struct super *super, uint32_t mode, const struct inode_ops *ops)
{
	struct memfs_inode *m = kzalloc(sizeof(*m));

	if (m == NULL)
		return NULL;
	inode_init(&m->inode, super, ops, mode);
	if (inode_is_dir(&m->inode)) {
		m->inode.file_ops = &directory_file_ops;
		m->inode.nlink = 2;
	} else if (inode_is_regular(&m->inode)) {
		m->inode.file_ops = &regular_file_ops;
	}
	return m;
}

/* A new inode of the current process in `dir` (inode(7): set-group-ID directories pass on their group). */
static struct memfs_inode *new_in(struct inode *dir, uint32_t mode)
{
	const struct credentials *c = &current->process->credentials;
	struct memfs_inode *m = memfs_inode_new(dir->super, mode, &memfs_ops);

	if (m == NULL)
		return NULL;
	m->inode.uid = c->fsuid;
	m->inode.gid = c->fsgid;
	if (dir->mode & S_ISGID) {
		m->inode.gid = dir->gid;
		if (inode_is_dir(&m->inode))
			m->inode.mode |= S_ISGID;
	}
	inode_touch(&m->inode, INODE_TOUCH_ATIME | INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
	m->inode.btime_ns = m->inode.ctime_ns;
	return m;
}

void memfs_mark_dirty(struct inode *inode)
{
	struct memfs_inode *m = memfs_of(inode);

	if (m->lower.id != 0 && !m->dirty && inode->nlink > 0) {
		m->dirty = true;
		inode_get(inode);
	}
}

/* The last name is gone. */
static void drop_link(struct inode *inode, unsigned links)
{
	struct memfs_inode *m = memfs_of(inode);

	inode->nlink = inode->nlink > links ? inode->nlink - links : 0;
	inode_touch(inode, INODE_TOUCH_CTIME);
	if (inode->nlink == 0 && m->dirty) {
		m->dirty = false;
		inode_put(inode);
	} else {
		memfs_mark_dirty(inode);
	}
}

static void attach(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
	dentry_instantiate(dentry, inode);
	dentry_pin(dentry);
	inode_touch(dir, INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
}

struct dentry *memfs_add(struct dentry *parent, const char *name, uint32_t mode, uint64_t rdev, const char *target)
{
	struct memfs_inode *m = memfs_inode_new(parent->super, mode, &memfs_ops);
	struct dentry *dentry;

	if (m == NULL)
		return NULL;
	m->inode.rdev = rdev;
	inode_touch(&m->inode, INODE_TOUCH_ATIME | INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
	if (target != NULL) {
		m->target = kstrdup(target);
		m->inode.cache.size = strlen(target);
		if (m->target == NULL) {
			inode_put(&m->inode);
			return NULL;
		}
	}
	dentry = dentry_add(parent, name, (unsigned)strlen(name), &m->inode);
	if (dentry == NULL)
		return NULL;
	dentry_pin(dentry);
	dentry_put(dentry); /* the pin stays */
	if (inode_is_dir(&m->inode))
		parent->inode->nlink++;
	return dentry;
}

static void memfs_populate(struct dentry *directory)
{
	const struct memfs_fixed *fixed = memfs_of(directory->inode)->fixed;

	for (; fixed != NULL && fixed->name != NULL; fixed++) {
		struct dentry *there = dentry_find(directory, fixed->name, (unsigned)strlen(fixed->name));

		if (there == NULL)
			(void)memfs_add(directory, fixed->name, fixed->mode, fixed->rdev, fixed->target);
		else
			dentry_put(there);
	}
}

static int memfs_lookup(struct inode *dir, struct dentry *dentry, const char *rest)
{
	if (memfs_of(dir)->lower.id != 0)
		return overlay_lookup(dir, dentry, rest);
	/* All names of this directory are in memory: a missing one need not be remembered. */
	dentry->flags |= DENTRY_NO_CACHE;
	return 0;
}

static int memfs_mknod(struct inode *dir, struct dentry *dentry, uint32_t mode, uint64_t rdev)
{
	struct memfs_inode *m = new_in(dir, mode);

	if (m == NULL)
		return -ENOMEM;
	m->inode.rdev = rdev;
	attach(dir, dentry, &m->inode);
	return 0;
}

static int memfs_mkdir(struct inode *dir, struct dentry *dentry, uint32_t mode)
{
	struct memfs_inode *m = new_in(dir, (mode & 07777) | S_IFDIR);

	if (m == NULL)
		return -ENOMEM;
	dir->nlink++;
	attach(dir, dentry, &m->inode);
	return 0;
}

static int memfs_symlink(struct inode *dir, struct dentry *dentry, const char *target)
{
	struct memfs_inode *m = new_in(dir, S_IFLNK | 0777);

	if (m == NULL)
		return -ENOMEM;
	m->target = kstrdup(target);
	if (m->target == NULL) {
		inode_put(&m->inode);
		return -ENOMEM;
	}
	m->inode.cache.size = strlen(target);
	attach(dir, dentry, &m->inode);
	return 0;
}

static int memfs_link(struct inode *inode, struct inode *dir, struct dentry *dentry)
{
	inode->nlink++;
	inode_touch(inode, INODE_TOUCH_CTIME);
	memfs_mark_dirty(inode);
	attach(dir, dentry, inode_get(inode));
	return 0;
}

/* After a name left `parent`: hides the lower one, or remembers that there is none. */
static int leave_gap(struct dentry *parent, const char *name, unsigned length, bool lower_has_it)
{
	struct dentry *gap;

	if (memfs_of(parent->inode)->lower.id == 0)
		return 0;
	gap = dentry_add(parent, name, length, NULL);
	if (gap == NULL)
		return -ENOMEM;
	if (lower_has_it) {
		gap->flags |= DENTRY_LOWER;
		dentry_pin(gap);
	}
	dentry_put(gap);
	return 0;
}

/* Takes the name away. The dentry lives on, unhashed, for those who have the file open. */
static int remove_name(struct inode *dir, struct dentry *dentry)
{
	int result;

	/* The gap comes first, as it may fail; both are never hashed at once, since nothing sleeps between. */
	dentry_drop(dentry);
	result = leave_gap(dentry->parent, dentry->name, dentry->name_length, dentry->flags & DENTRY_LOWER);
	if (result < 0)
		return result;
	dentry_unpin(dentry);
	inode_touch(dir, INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
	return 0;
}

static int memfs_unlink(struct inode *dir, struct dentry *dentry)
{
	int result = remove_name(dir, dentry);

	if (result == 0)
		drop_link(dentry->inode, 1);
	return result;
}

static int memfs_list(struct dentry *directory, struct dir_list *list);

static int check_empty(struct dentry *dentry)
{
	struct dir_list list = {0};
	int result = memfs_list(dentry, &list);

	if (result == 0 && list.count > 0)
		result = -ENOTEMPTY;
	dir_list_fini(&list);
	return result;
}

static int memfs_rmdir(struct inode *dir, struct dentry *dentry)
{
	int result = check_empty(dentry);

	if (result == 0)
		result = remove_name(dir, dentry);
	if (result == 0) {
		dentry->inode->flags |= INODE_DEAD;
		dir->nlink--;
		drop_link(dentry->inode, 2);
	}
	return result;
}

static int memfs_exchange(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to)
{
	uint16_t from_lower = from->flags & DENTRY_LOWER, to_lower = to->flags & DENTRY_LOWER;

	dentry_exchange(from, to);
	from->flags = (uint16_t)((from->flags & ~DENTRY_LOWER) | to_lower);
	to->flags = (uint16_t)((to->flags & ~DENTRY_LOWER) | from_lower);
	dentry_pin(from);
	dentry_pin(to);
	if (from_dir != to_dir) {
		int change = inode_is_dir(from->inode) - inode_is_dir(to->inode);

		from_dir->nlink -= (uint32_t)change;
		to_dir->nlink += (uint32_t)change;
	}
	return 0;
}

static int memfs_rename(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to,
			unsigned flags)
{
	struct dentry *old_parent = from->parent;
	struct inode *replaced = to->inode;
	uint16_t from_lower = from->flags & DENTRY_LOWER, to_lower = to->flags & DENTRY_LOWER;
	unsigned length = from->name_length;
	char *name;
	int result;

	inode_touch(from_dir, INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
	inode_touch(to_dir, INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
	inode_touch(from->inode, INODE_TOUCH_CTIME);
	if (flags & RENAME_EXCHANGE)
		return memfs_exchange(from_dir, from, to_dir, to);
	if (replaced != NULL && inode_is_dir(replaced)) {
		result = check_empty(to);
		if (result < 0)
			return result;
	}
	name = kmalloc(length + 1);
	if (name == NULL)
		return -ENOMEM;
	memcpy(name, from->name, length + 1);
	dentry_get(old_parent);
	result = dentry_move(from, to);
	if (result == 0) {
		from->flags = (uint16_t)((from->flags & ~DENTRY_LOWER) | to_lower);
		dentry_pin(from);
		dentry_unpin(to);
		/* Out of memory here would bring the old name of the lower directory back: nothing to do about it. */
		(void)leave_gap(old_parent, name, length, from_lower);
		if (inode_is_dir(from->inode) && from_dir != to_dir) {
			from_dir->nlink--;
			to_dir->nlink++;
		}
		if (replaced != NULL && inode_is_dir(replaced)) {
			replaced->flags |= INODE_DEAD;
			to_dir->nlink--;
			drop_link(replaced, 2);
		} else if (replaced != NULL) {
			drop_link(replaced, 1);
		}
	}
	dentry_put(old_parent);
	kfree(name);
	return result;
}

static int memfs_tmpfile(struct inode *dir, uint32_t mode, struct inode **inode)
{
	struct memfs_inode *m = new_in(dir, mode);

	if (m == NULL)
		return -ENOMEM;
	m->inode.nlink = 0;
	*inode = &m->inode;
	return 0;
}

static unsigned type_of(const struct inode *inode)
{
	return inode->mode >> 12 & 15; /* DT_* are the mode's type bits */
}

static int memfs_list(struct dentry *directory, struct dir_list *list)
{
	struct memfs_inode *m = memfs_of(directory->inode);
	struct dir_list_entry entry;
	uint64_t offset = 0;
	int result = 0;

	if (m->lower.id != 0 && !m->listed)
		result = overlay_list(directory);
	list_for_each(node, &directory->children)
	{
		struct dentry *d = list_entry(node, struct dentry, sibling);

		if (result == 0 && d->inode != NULL && (d->flags & DENTRY_HASHED) && (d->flags & DENTRY_PINNED))
			result = dir_list_add(list, d->name, d->name_length, d->inode->ino, type_of(d->inode));
	}
	/* Of the lower names those that are neither replaced nor hidden. */
	while (result == 0 && dir_list_next(&m->lower_names, &offset, &entry)) {
		struct dentry *d = dentry_find(directory, entry.name, entry.length);
		bool hidden = d != NULL && (d->flags & DENTRY_PINNED);

		if (d != NULL)
			dentry_put(d);
		if (!hidden)
			result = dir_list_add(list, entry.name, entry.length, entry.ino, entry.type);
	}
	return result;
}

static int memfs_readlink(struct inode *inode, char *to, size_t size)
{
	struct memfs_inode *m = memfs_of(inode);
	size_t length;
	char *text;
	int result;

	if (m->target == NULL && m->lower.id != 0) {
		text = path_buffer_get();
		if (text == NULL)
			return -ENOMEM;
		result = inode->super->lower->readlink(inode, text, PATH_BYTES - 1);
		if (result >= 0) {
			text[result] = '\0';
			if (m->target == NULL)
				m->target = kstrdup(text);
		}
		path_buffer_put(text);
		if (result < 0)
			return result;
	}
	if (m->target == NULL)
		return -ENOMEM;
	length = min_u64(strlen(m->target), size);
	memcpy(to, m->target, length);
	return (int)length;
}

static int memfs_setattr(struct inode *inode, const struct attributes *a)
{
	struct memfs_inode *m = memfs_of(inode);

	if (a->valid & ATTR_SIZE) {
		if (((inode->seals & F_SEAL_SHRINK) && a->size < inode->cache.size) ||
		    ((inode->seals & F_SEAL_GROW) && a->size > inode->cache.size))
			return -EPERM;
		m->lower_bytes = min_u64(m->lower_bytes, a->size);
		if (a->size != inode->cache.size)
			cache_truncate(&inode->cache, a->size);
		inode_touch(inode, INODE_TOUCH_MTIME);
	}
	if (a->valid & ATTR_MODE)
		inode->mode = (inode->mode & S_IFMT) | (a->mode & 07777);
	if (a->valid & ATTR_UID)
		inode->uid = a->uid;
	if (a->valid & ATTR_GID)
		inode->gid = a->gid;
	if (a->valid & ATTR_ATIME)
		inode->atime_ns = a->atime_ns;
	if (a->valid & ATTR_MTIME)
		inode->mtime_ns = a->mtime_ns;
	inode_touch(inode, INODE_TOUCH_CTIME);
	memfs_mark_dirty(inode);
	return 0;
}

/* ---- data ---- */

static int zero_range(struct inode *inode, uint64_t offset, uint64_t end)
{
	struct memfs_inode *m = memfs_of(inode);

	end = min_u64(end, inode->cache.size);
	while (offset < end) {
		uint64_t index = offset >> PAGE_SHIFT, in_page = offset & (PAGE_SIZE - 1);
		uint64_t bytes = min_u64(PAGE_SIZE - in_page, end - offset);
		struct page *page;
		int result;

		if (offset < m->lower_bytes) {
			result = cache_get_for_write(&inode->cache, index, &page);
			if (result < 0)
				return result;
		} else {
			page = cache_peek(&inode->cache, index);
		}
		if (page == NULL) {
			/* A hole already: on to the next page there is. A sparse file may be as large as it likes. */
			index = cache_next(&inode->cache, index + 1);
			if (index >= (end + PAGE_SIZE - 1) >> PAGE_SHIFT)
				break;
			offset = index << PAGE_SHIFT;
			continue;
		}
		memset((uint8_t *)page_address(page) + in_page, 0, bytes);
		page_put(page);
		cache_mark_dirty(&inode->cache, index);
		offset += bytes;
	}
	return 0;
}

static int memfs_fallocate(struct inode *inode, int mode, uint64_t offset, uint64_t bytes)
{
	uint64_t end = offset + bytes;
	int result = 0;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
		if (inode->seals & F_SEAL_WRITE)
			return -EPERM;
		result = zero_range(inode, offset, end);
	}
	if (result == 0 && !(mode & FALLOC_FL_KEEP_SIZE) && end > inode->cache.size) {
		if (inode->seals & F_SEAL_GROW)
			return -EPERM;
		cache_truncate(&inode->cache, end);
	}
	inode_touch(inode, INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
	memfs_mark_dirty(inode);
	return result;
}

static bool memfs_holes(struct inode *inode) { return memfs_of(inode)->lower_bytes == 0; }

const struct inode_ops memfs_ops = {
    .lookup = memfs_lookup,
    .mknod = memfs_mknod,
    .mkdir = memfs_mkdir,
    .symlink = memfs_symlink,
    .link = memfs_link,
    .unlink = memfs_unlink,
    .rmdir = memfs_rmdir,
    .rename = memfs_rename,
    .tmpfile = memfs_tmpfile,
    .populate = memfs_populate,
    .list = memfs_list,
    .readlink = memfs_readlink,
    .setattr = memfs_setattr,
    .get_xattr = memfs_get_xattr,
    .set_xattr = memfs_set_xattr,
    .list_xattr = memfs_list_xattr,
    .fallocate = memfs_fallocate,
    .written = memfs_mark_dirty,
    .holes = memfs_holes,
    .free = memfs_free,
};

int memfs_new(const char *type, const char *source, struct super **super)
{
	struct super *s = super_new(type, source, 0x01021994 /* TMPFS_MAGIC */, 0);
	struct memfs_inode *root;

	if (s == NULL)
		return -ENOMEM;
	root = memfs_inode_new(s, S_IFDIR | 0755, &memfs_ops);
	if (root != NULL) {
		inode_touch(&root->inode, INODE_TOUCH_ATIME | INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
		s->root = dentry_new_root(s, &root->inode);
	}
	if (s->root == NULL) {
		kfree(s);
		return -ENOMEM;
	}
	*super = s;
	return 0;
}

/* One hidden file system holds all memfd files. */
int memfd_new(const char *name, uint32_t flags, bool seals, struct file **file)
{
	static struct super *super;
	char full[NAME_BYTES + 1];
	struct memfs_inode *m;
	struct dentry *dentry;
	int result;

	if (super == NULL) {
		result = memfs_new("tmpfs", "memfd", &super);
		if (result < 0)
			return result;
	}
	m = new_in(super->root->inode, S_IFREG | 0777);
	if (m == NULL)
		return -ENOMEM;
	m->inode.nlink = 0;
	m->inode.flags |= INODE_MEMFD;
	m->inode.seals = seals ? 0 : F_SEAL_SEAL;
	ksnprintf(full, sizeof(full), "memfd:%s", name);
	dentry = dentry_add(super->root, full, (unsigned)strlen(full), &m->inode);
	if (dentry == NULL)
		return -ENOMEM;
	dentry_drop(dentry); /* shows as "/memfd:name (deleted)" */
	result = dentry_open(dentry, flags, file);
	dentry_put(dentry);
	return result;
}
