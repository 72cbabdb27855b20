/* SPDX-License-Identifier: Apache-2.0 */
/* open(2): rights, creation, truncation. */
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "kernel/fs/inotify.h"
#include "kernel/fs/vfs.h"
#include "kernel/proc/process.h"

int dentry_open(struct dentry *dentry, uint32_t flags, struct file **file)
{
	struct inode *inode = dentry->inode;
	struct file *f;
	int result;

	if (dentry->flags & DENTRY_FILE && !(flags & O_PATH)) {
		*file = file_get(dentry->file);
		return 0;
	}
	result = file_new(&f, NULL, inode_get(inode), flags, NULL);
	if (result < 0) {
		inode_put(inode);
		return result;
	}
	f->dentry = dentry_get(dentry);
	f->ops = flags & O_PATH ? &path_file_ops : inode->file_ops;
	if (!(flags & O_PATH)) {
		switch (inode->mode & S_IFMT) {
		case S_IFCHR:
			result = char_device_open(inode, f);
			break;
		case S_IFIFO:
			result = fifo_open != NULL ? fifo_open(inode, f) : -ENXIO;
			break;
		case S_IFSOCK:
		case S_IFBLK:
			result = -ENXIO;
			break;
		case S_IFLNK:
			result = -ELOOP;
			break;
		default:
			if (inode->ops->open != NULL)
				result = inode->ops->open(inode, f);
		}
	}
	if (result < 0) {
		f->ops = NULL; /* nothing to release */
		file_put(f);
		return result;
	}
	*file = f;
	return 0;
}

static unsigned wanted_rights(uint32_t flags)
{
	static const uint8_t by_mode[4] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};

	return by_mode[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

static int check_existing(struct dentry *dentry, uint32_t flags, bool created)
{
	struct inode *inode = dentry->inode;

	if (flags & O_PATH)
		return (flags & O_DIRECTORY) && !inode_is_dir(inode) ? -ENOTDIR : 0;
	if (inode_is_link(inode))
		return flags & O_DIRECTORY ? -ENOTDIR : -ELOOP;
	if ((flags & O_DIRECTORY) && !inode_is_dir(inode))
		return -ENOTDIR;
	if (inode_is_dir(inode) && ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC))))
		return -EISDIR;
	if ((flags & O_NOATIME) && !inode_owner_or_capable(inode))
		return -EPERM;
	if (dentry->flags & DENTRY_FILE)
		return 0;
	/* Who creates a file may open it whatever its mode says. */
	return created ? 0 : inode_permission(inode, wanted_rights(flags));
}

static int truncate_opened(struct inode *inode)
{
	struct attributes attributes = {.valid = ATTR_SIZE};
	int result;

	mutex_lock(&inode->mutex);
	result = inode_setattr(inode, &attributes);
	mutex_unlock(&inode->mutex);
	return result;
}

static int open_tmpfile(int dirfd, char *path, uint32_t flags, uint32_t mode, unsigned walk_flags, struct file **file)
{
	struct walk walk;
	struct inode *inode = NULL;
	struct dentry *dentry;
	int result;

	if ((flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	result = walk_path(dirfd, path, walk_flags | WALK_FOLLOW | WALK_DIRECTORY, &walk);
	if (result < 0)
		return result;
	result = inode_permission(walk.dentry->inode, MAY_WRITE | MAY_EXEC);
	if (result == 0 && walk.dentry->inode->ops->tmpfile == NULL)
		result = -EOPNOTSUPP;
	if (result == 0)
		result = walk.dentry->inode->ops->tmpfile(
		    walk.dentry->inode, S_IFREG | (mode & 07777 & ~current->process->fs->umask), &inode);
	if (result == 0) {
		char name[32];

		ksnprintf(name, sizeof(name), "#%llu", (unsigned long long)inode->ino);
		dentry = dentry_add(walk.dentry, name, (unsigned)strlen(name), inode);
		result = dentry == NULL ? -ENOMEM : 0;
		if (result == 0) {
			dentry_drop(dentry);
			result = dentry_open(dentry, flags & ~(uint32_t)O_TMPFILE, file);
			dentry_put(dentry);
		}
	}
	walk_done(&walk);
	return result;
}

/* Makes the file, with the directory locked. -EEXIST with walk->dentry still negative: on the host's side somebody
 * was faster. */
static int create_here(struct walk *walk, uint32_t mode)
{
	struct inode *dir = walk->parent->inode;
	int result;

	if (walk->dentry->inode != NULL)
		return -EEXIST;
	if (dir->flags & INODE_DEAD)
		return -ENOENT;
	result = inode_permission(dir, MAY_WRITE | MAY_EXEC);
	if (result < 0)
		return result;
	if (dir->ops->mknod == NULL)
		return -EACCES;
	result = dir->ops->mknod(dir, walk->dentry, S_IFREG | (mode & 07777 & ~current->process->fs->umask), 0);
	if (result == 0)
		fs_notify_made(walk->dentry);
	return result;
}

#define CREATE_TRIES 8u

/* The dentry at the end of the walk, made if it must be: positive if 0 or -EEXIST is returned. */
static int create_missing(struct walk *walk, uint32_t mode)
{
	struct inode *dir = walk->parent->inode;
	int result;

	if (walk->slash)
		return -EISDIR;
	mutex_lock(&dir->mutex);
	for (unsigned tries = 0; tries < CREATE_TRIES; tries++) {
		while (!walk_is_current(walk) && !(dir->flags & INODE_DEAD)) {
			mutex_unlock(&dir->mutex);
			result = walk_again(walk);
			if (result < 0)
				return result;
			mutex_lock(&dir->mutex);
		}
		result = create_here(walk, mode);
		if (result != -EEXIST || walk->dentry->inode != NULL)
			break;
		result = -EBUSY; /* should it come and go all the time */
	}
	mutex_unlock(&dir->mutex);
	return result;
}

int open_at(int dirfd, char *path, uint32_t flags, uint32_t mode, unsigned walk_flags, struct file **file)
{
	struct walk walk;
	bool created = false;
	int result;

	if ((flags & O_TMPFILE) == O_TMPFILE)
		return open_tmpfile(dirfd, path, flags, mode, walk_flags, file);
	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if (!(flags & O_NOFOLLOW) && !((flags & O_CREAT) && (flags & O_EXCL)))
		walk_flags |= WALK_FOLLOW;
	if (flags & O_CREAT)
		walk_flags |= WALK_CREATE;
	else if (flags & O_DIRECTORY)
		walk_flags |= WALK_DIRECTORY;
	result = walk_path(dirfd, path, walk_flags, &walk);
	if (result < 0)
		return result;
	if (walk.dentry->inode == NULL) {
		result = create_missing(&walk, mode);
		created = result == 0;
		if (result == -EEXIST && !(flags & O_EXCL))
			result = inode_is_link(walk.dentry->inode) ? -EEXIST : 0; /* another thread was faster */
	} else if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
		result = -EEXIST;
	} else if (walk.slash && !inode_is_dir(walk.dentry->inode)) {
		result = -ENOTDIR;
	}
	if (result == 0)
		result = check_existing(walk.dentry, flags, created);
	if (result == 0 && (flags & O_TRUNC) && !created && inode_is_regular(walk.dentry->inode))
		result = truncate_opened(walk.dentry->inode);
	if (result == 0)
		result = dentry_open(walk.dentry, flags, file);
	if (result == 0 && !(flags & O_PATH))
		fs_notify_dentry(walk.dentry, IN_OPEN);
	walk_done(&walk);
	return result;
}
