/* SPDX-License-Identifier: Apache-2.0 */
/* Directories and names: getdents, chdir, mkdir, unlink, rename, link, symlink, mknod. */
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "kernel/fs/inotify.h"
#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/file.h"
#include "kernel/sys/syscall.h"

/* ---- reading ---- */

struct getdents {
	uint64_t to, room, used;
	bool old; /* struct linux_dirent: the type comes last */
	int error;
};

static bool emit_entry(void *context, const char *name, unsigned length, uint64_t ino, unsigned type, uint64_t next)
{
	struct getdents *g = context;
	struct {
		uint64_t ino, next;
		uint16_t bytes;
		uint8_t type;
		char name[NAME_BYTES + 16];
	} __attribute__((packed)) entry;
	unsigned head = g->old ? 18 : 19;
	unsigned bytes = (unsigned)align_up(head + length + 1u + (g->old ? 1 : 0), 8);
	char *p = (char *)&entry + head;

	if (g->used + bytes > g->room) {
		if (g->used == 0)
			g->error = -EINVAL;
		return false;
	}
	entry.ino = ino;
	entry.next = next;
	entry.bytes = (uint16_t)bytes;
	if (!g->old)
		entry.type = (uint8_t)type;
	memcpy(p, name, length);
	memset(p + length, 0, bytes - head - length);
	if (g->old)
		((char *)&entry)[bytes - 1] = (char)type;
	if (user_write(g->to + g->used, &entry, bytes) < 0) {
		g->error = -EFAULT;
		return false;
	}
	g->used += bytes;
	return true;
}

static int64_t do_getdents(const struct syscall_args *args, bool old)
{
	struct file *file = fd_get((int)args->arg[0]);
	struct getdents g = {.to = args->arg[1], .room = (uint32_t)args->arg[2], .old = old};
	int64_t result;

	if (file == NULL)
		return -EBADF;
	if (file->flags & O_PATH)
		result = -EBADF;
	else if (file->ops == NULL || file->ops->readdir == NULL)
		result = -ENOTDIR;
	else
		result = file->ops->readdir(file, emit_entry, &g);
	file_put(file);
	if (result < 0)
		return result;
	return g.used > 0 ? (int64_t)g.used : g.error;
}

SYSCALL(getdents64) { return do_getdents(args, false); }

SYSCALL(getdents) { return do_getdents(args, true); }

/* ---- current directory and root ---- */

SYSCALL(getcwd)
{
	char *buffer = path_buffer_get();
	const char *path;
	struct dentry *cwd = current->process->fs->cwd;
	int64_t result;
	uint64_t length;

	if (buffer == NULL)
		return -ENOMEM;
	path = dentry_path(cwd, buffer, PATH_BYTES);
	length = strlen(path) + 1;
	if (cwd->inode->flags & INODE_DEAD)
		result = -ENOENT;
	else if (length > args->arg[1])
		result = -ERANGE;
	else
		result = user_write(args->arg[0], path, length) < 0 ? -EFAULT : (int64_t)length;
	path_buffer_put(buffer);
	return result;
}

static int set_cwd(struct dentry *dentry)
{
	struct fs_context *fs = current->process->fs;
	int result = inode_permission(dentry->inode, MAY_EXEC);
	struct dentry *old = fs->cwd;

	if (result < 0)
		return result;
	fs->cwd = dentry_get(dentry);
	dentry_put(old);
	return 0;
}

SYSCALL(chdir)
{
	struct dentry *dentry;
	int result = path_lookup(AT_FDCWD, args->arg[0], WALK_FOLLOW | WALK_DIRECTORY, &dentry);

	if (result < 0)
		return result;
	result = set_cwd(dentry);
	dentry_put(dentry);
	return result;
}

SYSCALL(fchdir)
{
	struct file *file = fd_get((int)args->arg[0]);
	int result;

	if (file == NULL)
		return -EBADF;
	result = file->dentry == NULL || file->inode == NULL || !inode_is_dir(file->inode) ? -ENOTDIR
											   : set_cwd(file->dentry);
	file_put(file);
	return result;
}

SYSCALL(chroot)
{
	struct fs_context *fs = current->process->fs;
	struct dentry *dentry, *old;
	int result = path_lookup(AT_FDCWD, args->arg[0], WALK_FOLLOW | WALK_DIRECTORY, &dentry);

	if (result < 0)
		return result;
	result = inode_permission(dentry->inode, MAY_EXEC);
	if (result == 0 && !(current->process->credentials.cap_effective >> CAP_SYS_CHROOT & 1))
		result = -EPERM;
	if (result < 0) {
		dentry_put(dentry);
		return result;
	}
	old = fs->root;
	fs->root = dentry;
	dentry_put(old);
	return 0;
}

/* ---- making names ---- */

/* Locks the directory of a walk's last component; the dentry is then the one that the name stands for. */
static int lock_current(struct walk *walk)
{
	struct inode *dir = walk->parent->inode;
	int result;

	mutex_lock(&dir->mutex);
	while (!walk_is_current(walk) && !(dir->flags & INODE_DEAD)) {
		mutex_unlock(&dir->mutex);
		result = walk_again(walk);
		if (result < 0)
			return result;
		mutex_lock(&dir->mutex);
	}
	return 0;
}

/* The walk to a name that is to be made, with its directory locked and rights checked. */
static int begin_make(int dirfd, char *path, struct walk *walk)
{
	struct inode *dir;
	int result = walk_path(dirfd, path, WALK_CREATE, walk);

	if (result < 0)
		return result;
	if (walk->special || walk->dentry->inode != NULL) {
		walk_done(walk);
		return -EEXIST;
	}
	dir = walk->parent->inode;
	result = lock_current(walk);
	if (result < 0) {
		walk_done(walk);
		return result;
	}
	if (walk->dentry->inode != NULL)
		result = -EEXIST;
	else if (dir->flags & INODE_DEAD)
		result = -ENOENT;
	else
		result = inode_permission(dir, MAY_WRITE | MAY_EXEC);
	if (result < 0) {
		mutex_unlock(&dir->mutex);
		walk_done(walk);
	}
	return result;
}

static void end_change(struct walk *walk)
{
	mutex_unlock(&walk->parent->inode->mutex);
	walk_done(walk);
}

/* The same after something was made: those who watch are told if it worked. */
static void end_make(struct walk *walk, int result)
{
	if (result == 0)
		fs_notify_made(walk->dentry);
	end_change(walk);
}

static int64_t do_mkdir(int dirfd, uint64_t user_path, uint32_t mode)
{
	struct walk walk;
	char *path;
	int result = path_from_user(user_path, &path);

	if (result < 0)
		return result;
	result = begin_make(dirfd, path, &walk);
	if (result == 0) {
		struct inode *dir = walk.parent->inode;

		result = dir->ops->mkdir == NULL
			     ? -EPERM
			     : dir->ops->mkdir(dir, walk.dentry, (mode & 01777) & ~current->process->fs->umask);
		end_make(&walk, result);
	}
	path_buffer_put(path);
	return result;
}

SYSCALL(mkdirat) { return do_mkdir((int)args->arg[0], args->arg[1], (uint32_t)args->arg[2]); }

SYSCALL(mkdir) { return do_mkdir(AT_FDCWD, args->arg[0], (uint32_t)args->arg[1]); }

static int64_t do_mknod(int dirfd, uint64_t user_path, uint32_t mode, uint64_t dev)
{
	struct walk walk;
	char *path;
	int result;

	switch (mode & S_IFMT) {
	case 0:
		mode |= S_IFREG;
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFCHR:
	case S_IFBLK:
		if (!(current->process->credentials.cap_effective >> CAP_MKNOD & 1))
			return -EPERM;
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	result = path_from_user(user_path, &path);
	if (result < 0)
		return result;
	result = begin_make(dirfd, path, &walk);
	if (result == 0) {
		struct inode *dir = walk.parent->inode;

		mode &= S_IFMT | (07777 & ~current->process->fs->umask);
		if (walk.slash)
			result = -ENOENT;
		else
			result = dir->ops->mknod == NULL ? -EPERM : dir->ops->mknod(dir, walk.dentry, mode, dev);
		end_make(&walk, result);
	}
	path_buffer_put(path);
	return result;
}

SYSCALL(mknodat) { return do_mknod((int)args->arg[0], args->arg[1], (uint32_t)args->arg[2], args->arg[3]); }

SYSCALL(mknod) { return do_mknod(AT_FDCWD, args->arg[0], (uint32_t)args->arg[1], args->arg[2]); }

static int64_t do_symlink(uint64_t user_target, int dirfd, uint64_t user_path)
{
	struct walk walk;
	char *path, *target;
	int result = path_from_user(user_target, &target);

	if (result < 0)
		return result;
	result = path_from_user(user_path, &path);
	if (result == 0 && target[0] == '\0') {
		path_buffer_put(path);
		result = -ENOENT;
	}
	if (result < 0) {
		path_buffer_put(target);
		return result;
	}
	result = begin_make(dirfd, path, &walk);
	if (result == 0) {
		struct inode *dir = walk.parent->inode;

		if (walk.slash)
			result = -ENOENT;
		else
			result = dir->ops->symlink == NULL ? -EPERM : dir->ops->symlink(dir, walk.dentry, target);
		end_make(&walk, result);
	}
	path_buffer_put(path);
	path_buffer_put(target);
	return result;
}

SYSCALL(symlinkat) { return do_symlink(args->arg[0], (int)args->arg[1], args->arg[2]); }

SYSCALL(symlink) { return do_symlink(args->arg[0], AT_FDCWD, args->arg[1]); }

static int64_t do_link(int from_fd, uint64_t from, int to_fd, uint64_t to, unsigned flags)
{
	struct dentry *dentry;
	struct inode *inode;
	struct walk walk;
	char *path;
	int result;

	if (flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	result = path_lookup(from_fd, from,
			     (flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0),
			     &dentry);
	if (result < 0)
		return result;
	inode = dentry->inode;
	result = path_from_user(to, &path);
	if (result == 0) {
		result = begin_make(to_fd, path, &walk);
		if (result == 0) {
			struct inode *dir = walk.parent->inode;

			if (dir->super != inode->super)
				result = -EXDEV;
			else if (inode_is_dir(inode))
				result = -EPERM;
			else if (walk.slash)
				result = -ENOENT;
			else
				result = dir->ops->link == NULL ? -EPERM : dir->ops->link(inode, dir, walk.dentry);
			end_make(&walk, result);
		}
		path_buffer_put(path);
	}
	dentry_put(dentry);
	return result;
}

SYSCALL(linkat)
{
	return do_link((int)args->arg[0], args->arg[1], (int)args->arg[2], args->arg[3], (unsigned)args->arg[4]);
}

SYSCALL(link) { return do_link(AT_FDCWD, args->arg[0], AT_FDCWD, args->arg[1], 0); }

/* ---- removing names ---- */

/* unlink(2), EPERM and EACCES: the directory must be writable; in a sticky one only owners may remove. */
int file_may_remove(struct inode *dir, struct inode *victim)
{
	const struct credentials *c = &current->process->credentials;
	int result = inode_permission(dir, MAY_WRITE | MAY_EXEC);

	if (result < 0)
		return result;
	if ((dir->mode & S_ISVTX) && c->fsuid != victim->uid && c->fsuid != dir->uid &&
	    !(c->cap_effective >> CAP_FOWNER & 1))
		return -EPERM;
	return 0;
}

static int remove_locked(struct walk *walk, bool directory)
{
	struct inode *dir = walk->parent->inode, *victim = walk->dentry->inode;
	int result;

	if (victim == NULL || !(walk->dentry->flags & DENTRY_HASHED))
		return -ENOENT;
	result = file_may_remove(dir, victim);
	if (result < 0)
		return result;
	if (directory) {
		if (!inode_is_dir(victim))
			return -ENOTDIR;
		return dir->ops->rmdir == NULL ? -EPERM : dir->ops->rmdir(dir, walk->dentry);
	}
	if (inode_is_dir(victim))
		return -EISDIR;
	if (walk->slash)
		return -ENOTDIR;
	return dir->ops->unlink == NULL ? -EPERM : dir->ops->unlink(dir, walk->dentry);
}

static int64_t do_unlink(int dirfd, uint64_t user_path, unsigned flags)
{
	struct walk walk;
	struct inode *dir;
	char *path;
	bool dot;
	int result;

	if (flags & ~(unsigned)AT_REMOVEDIR)
		return -EINVAL;
	result = path_from_user(user_path, &path);
	if (result < 0)
		return result;
	dot =
	    strlen(path) >= 1 && path[strlen(path) - 1] == '.' && (strlen(path) == 1 || path[strlen(path) - 2] == '/');
	/* WALK_CREATE: a link at the end is not followed even with a '/' behind it. */
	result = walk_path(dirfd, path, WALK_CREATE, &walk);
	if (result < 0) {
		path_buffer_put(path);
		return result;
	}
	if (walk.special || walk.dentry == walk.dentry->super->root) {
		if (!(flags & AT_REMOVEDIR))
			result = -EISDIR;
		else
			result = dot ? -EINVAL
				 : walk.special && walk.dentry != current->process->fs->root &&
					 walk.dentry != walk.dentry->super->root
				     ? -ENOTEMPTY
				     : -EBUSY;
		walk_done(&walk);
		path_buffer_put(path);
		return result;
	}
	dir = walk.parent->inode;
	result = lock_current(&walk);
	path_buffer_put(path);
	if (result < 0) {
		walk_done(&walk);
		return result;
	}
	if (flags & AT_REMOVEDIR && walk.dentry->inode != NULL && inode_is_dir(walk.dentry->inode)) {
		struct inode *victim = inode_get(walk.dentry->inode);

		mutex_lock(&victim->mutex); /* nothing may be made in it meanwhile */
		result = remove_locked(&walk, true);
		mutex_unlock(&victim->mutex);
		if (result == 0 && inotify_watches != 0)
			inotify_removed(dir, victim, walk.dentry->name);
		inode_put(victim);
	} else {
		struct inode *victim =
		    inotify_watches != 0 && walk.dentry->inode != NULL ? inode_get(walk.dentry->inode) : NULL;

		result = remove_locked(&walk, flags & AT_REMOVEDIR);
		if (result == 0 && victim != NULL)
			inotify_removed(dir, victim, walk.dentry->name);
		inode_put(victim);
	}
	mutex_unlock(&dir->mutex);
	walk_done(&walk);
	return result;
}

SYSCALL(unlinkat) { return do_unlink((int)args->arg[0], args->arg[1], (unsigned)args->arg[2]); }

SYSCALL(unlink) { return do_unlink(AT_FDCWD, args->arg[0], 0); }

SYSCALL(rmdir) { return do_unlink(AT_FDCWD, args->arg[0], AT_REMOVEDIR); }
