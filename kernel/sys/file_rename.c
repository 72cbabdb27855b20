/* SPDX-License-Identifier: Apache-2.0 */
/* rename, renameat, renameat2. */
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "kernel/fs/inotify.h"
#include "kernel/fs/vfs.h"
#include "kernel/sys/file.h"
#include "kernel/sys/syscall.h"

static struct mutex rename_mutex; /* one rename of names between directories at a time */
static bool rename_mutex_ready;

/* A directory above the other comes first, as in rmdir. */
static void lock_two(struct dentry *from, struct dentry *to)
{
	struct inode *a = from->inode, *b = to->inode;

	if (dentry_is_below(from, to)) {
		a = to->inode;
		b = from->inode;
	}
	if (!rename_mutex_ready) {
		mutex_init(&rename_mutex);
		rename_mutex_ready = true;
	}
	mutex_lock(&rename_mutex);
	mutex_lock(&a->mutex);
	if (a != b)
		mutex_lock(&b->mutex);
}

static void unlock_two(struct inode *a, struct inode *b)
{
	if (a != b)
		mutex_unlock(&b->mutex);
	mutex_unlock(&a->mutex);
	mutex_unlock(&rename_mutex);
}

static int check_kinds(const struct walk *from, const struct walk *to, unsigned flags)
{
	bool directory = inode_is_dir(from->dentry->inode);

	if (!directory && (from->slash || (to->slash && !(flags & RENAME_EXCHANGE))))
		return -ENOTDIR;
	if (flags & RENAME_EXCHANGE)
		return 0;
	if (to->dentry->inode == NULL)
		return 0;
	if (directory && !inode_is_dir(to->dentry->inode))
		return -ENOTDIR;
	return !directory && inode_is_dir(to->dentry->inode) ? -EISDIR : 0;
}

/* Somebody watches: both directories, what moved and what it replaced are told of it. */
static int rename_watched(struct inode *from_dir, struct dentry *a, struct inode *to_dir, struct dentry *b,
			  unsigned flags)
{
	struct inode *moved = inode_get(a->inode), *replaced = b->inode != NULL ? inode_get(b->inode) : NULL;
	char from_name[NAME_BYTES + 1], *to_name = kstrdup(b->name);
	uint32_t kind = inode_is_dir(moved) ? IN_ISDIR : 0;

	ksnprintf(from_name, sizeof(from_name), "%s", a->name); /* the rename changes it */
	int result = from_dir->ops->rename(from_dir, a, to_dir, b, flags);
	if (result == 0 && to_name != NULL) {
		uint32_t cookie = fs_notify_cookie();
		fs_notify(from_dir, IN_MOVED_FROM | kind, cookie, from_name);
		fs_notify(to_dir, IN_MOVED_TO | kind, cookie, to_name);
		fs_notify(moved, IN_MOVE_SELF, 0, NULL);
		if (replaced != NULL && (flags & RENAME_EXCHANGE) == 0)
			fs_notify(replaced, IN_DELETE_SELF, 0, NULL);
	}
	kfree(to_name);
	inode_put(moved);
	inode_put(replaced);
	return result;
}

static int rename_locked(struct walk *from, struct walk *to, unsigned flags)
{
	struct inode *from_dir = from->parent->inode, *to_dir = to->parent->inode;
	struct dentry *a = from->dentry, *b = to->dentry;
	int result;

	if (a->inode == NULL || !(a->flags & DENTRY_HASHED) || !(b->flags & DENTRY_HASHED) ||
	    (to_dir->flags & INODE_DEAD))
		return -ENOENT;
	if (b->inode == NULL && (flags & RENAME_EXCHANGE))
		return -ENOENT;
	if (b->inode != NULL && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (inode_is_dir(a->inode) && dentry_is_below(to->parent, a))
		return -EINVAL;
	if (b->inode != NULL && inode_is_dir(b->inode) && dentry_is_below(from->parent, b))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	if (a->inode == b->inode)
		return 0;
	result = file_may_remove(from_dir, a->inode);
	if (result == 0)
		result = b->inode != NULL ? file_may_remove(to_dir, b->inode)
					  : inode_permission(to_dir, MAY_WRITE | MAY_EXEC);
	if (result == 0)
		result = check_kinds(from, to, flags);
	if (result < 0)
		return result;
	if ((a->flags | b->flags) & DENTRY_MOUNTED)
		return -EBUSY;
	if (from_dir->ops->rename == NULL)
		return -EPERM;
	if (inotify_watches == 0)
		return from_dir->ops->rename(from_dir, a, to_dir, b, flags);
	return rename_watched(from_dir, a, to_dir, b, flags);
}

static int rename_walked(struct walk *from, struct walk *to, unsigned flags)
{
	int result;

	if (from->special || to->special || from->dentry == from->dentry->super->root ||
	    to->dentry == to->dentry->super->root)
		return -EBUSY;
	if (from->parent->super != to->parent->super)
		return from->dentry->inode == NULL ? -ENOENT : -EXDEV;
	lock_two(from->parent, to->parent);
	while (!(from->parent->inode->flags & INODE_DEAD) && !(to->parent->inode->flags & INODE_DEAD) &&
	       (!walk_is_current(from) || !walk_is_current(to))) {
		unlock_two(from->parent->inode, to->parent->inode);
		result = walk_again(from);
		if (result == 0)
			result = walk_again(to);
		if (result < 0)
			return result;
		lock_two(from->parent, to->parent);
	}
	result = rename_locked(from, to, flags);
	unlock_two(from->parent->inode, to->parent->inode);
	return result;
}

static int64_t do_rename(int from_fd, uint64_t user_from, int to_fd, uint64_t user_to, unsigned flags)
{
	struct walk from, to;
	char *from_path, *to_path;
	int result;

	if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	result = path_from_user(user_from, &from_path);
	if (result < 0)
		return result;
	result = path_from_user(user_to, &to_path);
	if (result == 0) {
		result = walk_path(from_fd, from_path, WALK_CREATE, &from);
		if (result == 0) {
			result = walk_path(to_fd, to_path, WALK_CREATE, &to);
			if (result == 0) {
				result = rename_walked(&from, &to, flags);
				walk_done(&to);
			}
			walk_done(&from);
		}
		path_buffer_put(to_path);
	}
	path_buffer_put(from_path);
	return result;
}

SYSCALL(renameat2)
{
	return do_rename((int)args->arg[0], args->arg[1], (int)args->arg[2], args->arg[3], (unsigned)args->arg[4]);
}

SYSCALL(renameat) { return do_rename((int)args->arg[0], args->arg[1], (int)args->arg[2], args->arg[3], 0); }

SYSCALL(rename) { return do_rename(AT_FDCWD, args->arg[0], AT_FDCWD, args->arg[1], 0); }
