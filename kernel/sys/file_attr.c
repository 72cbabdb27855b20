/* SPDX-License-Identifier: Apache-2.0 */
/* Modes, owners, times, extended attributes. */
#include <linux/fcntl.h>
#include <linux/time_types.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define UTIME_NOW_NS 0x3fffffff
#define UTIME_OMIT_NS 0x3ffffffe

/* What a path or a descriptor stands for. */
static int find_inode(int dirfd, uint64_t path, unsigned walk, struct inode **inode)
{
	struct dentry *dentry;
	int result = path_lookup(dirfd, path, walk, &dentry);

	if (result < 0)
		return result;
	*inode = inode_get(dentry->inode);
	dentry_put(dentry);
	return 0;
}

static int fd_inode(int fd, struct inode **inode)
{
	struct file *file = fd_get(fd);
	int result = -EBADF;

	if (file == NULL)
		return -EBADF;
	if (!(file->flags & O_PATH)) {
		result = file->inode != NULL ? 0 : -EPERM;
		if (result == 0)
			*inode = inode_get(file->inode);
	}
	file_put(file);
	return result;
}

static int change(struct inode *inode, const struct attributes *attributes)
{
	int result;

	mutex_lock(&inode->mutex);
	result = inode_setattr(inode, attributes);
	mutex_unlock(&inode->mutex);
	return result;
}

/* ---- mode ---- */

static bool in_group_of(const struct inode *inode)
{
	const struct credentials *c = &current->process->credentials;

	if (c->fsgid == inode->gid || (c->cap_effective >> CAP_FSETID & 1))
		return true;
	for (unsigned i = 0; i < c->group_count; i++)
		if (c->groups[i] == inode->gid)
			return true;
	return false;
}

static int change_mode(struct inode *inode, uint32_t mode)
{
	struct attributes a = {.valid = ATTR_MODE, .mode = mode & 07777};

	if (inode->super->flags & SUPER_READ_ONLY)
		return -EROFS;
	if (!inode_owner_or_capable(inode))
		return -EPERM;
	if (inode_is_link(inode))
		return -EOPNOTSUPP;
	if (!in_group_of(inode))
		a.mode &= ~(uint32_t)S_ISGID;
	return change(inode, &a);
}

static int64_t do_chmod(int dirfd, uint64_t path, uint32_t mode, unsigned walk)
{
	struct inode *inode;
	int result = find_inode(dirfd, path, walk, &inode);

	if (result < 0)
		return result;
	result = change_mode(inode, mode);
	inode_put(inode);
	return result;
}

SYSCALL(fchmodat) { return do_chmod((int)args->arg[0], args->arg[1], (uint32_t)args->arg[2], WALK_FOLLOW); }

SYSCALL(fchmodat2)
{
	if (args->arg[3] & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return do_chmod((int)args->arg[0], args->arg[1], (uint32_t)args->arg[2],
			(args->arg[3] & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
			    (args->arg[3] & AT_EMPTY_PATH ? WALK_EMPTY : 0));
}

SYSCALL(chmod) { return do_chmod(AT_FDCWD, args->arg[0], (uint32_t)args->arg[1], WALK_FOLLOW); }

SYSCALL(fchmod)
{
	struct inode *inode;
	int result = fd_inode((int)args->arg[0], &inode);

	if (result < 0)
		return result;
	result = change_mode(inode, (uint32_t)args->arg[1]);
	inode_put(inode);
	return result;
}

/* ---- owner ---- */

static int change_owner(struct inode *inode, uint32_t uid, uint32_t gid)
{
	const struct credentials *c = &current->process->credentials;
	struct attributes a = {.uid = uid, .gid = gid};

	if (inode->super->flags & SUPER_READ_ONLY)
		return -EROFS;
	if (uid != ~0u)
		a.valid |= ATTR_UID;
	if (gid != ~0u)
		a.valid |= ATTR_GID;
	if (!(c->cap_effective >> CAP_CHOWN & 1)) {
		if ((a.valid & ATTR_UID) && (uid != inode->uid || c->fsuid != inode->uid))
			return -EPERM;
		if ((a.valid & ATTR_GID) && gid != inode->gid) {
			bool member = gid == c->fsgid;

			for (unsigned i = 0; i < c->group_count; i++)
				member |= c->groups[i] == gid;
			if (c->fsuid != inode->uid || !member)
				return -EPERM;
		}
	}
	/* chown(2): the set-ID bits of files that can be executed go. */
	if (!inode_is_dir(inode) && (inode->mode & 0111) && (inode->mode & (S_ISUID | S_ISGID))) {
		a.valid |= ATTR_MODE;
		a.mode = inode->mode & 07777 & ~(uint32_t)(S_ISUID | (inode->mode & 010 ? S_ISGID : 0));
	}
	return change(inode, &a);
}

static int64_t do_chown(int dirfd, uint64_t path, uint64_t uid, uint64_t gid, unsigned walk)
{
	struct inode *inode;
	int result = find_inode(dirfd, path, walk, &inode);

	if (result < 0)
		return result;
	result = change_owner(inode, (uint32_t)uid, (uint32_t)gid);
	inode_put(inode);
	return result;
}

SYSCALL(fchownat)
{
	if (args->arg[4] & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return do_chown((int)args->arg[0], args->arg[1], args->arg[2], args->arg[3],
			(args->arg[4] & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
			    (args->arg[4] & AT_EMPTY_PATH ? WALK_EMPTY : 0));
}

SYSCALL(chown) { return do_chown(AT_FDCWD, args->arg[0], args->arg[1], args->arg[2], WALK_FOLLOW); }

SYSCALL(lchown) { return do_chown(AT_FDCWD, args->arg[0], args->arg[1], args->arg[2], 0); }

SYSCALL(fchown)
{
	struct inode *inode;
	int result = fd_inode((int)args->arg[0], &inode);

	if (result < 0)
		return result;
	result = change_owner(inode, (uint32_t)args->arg[1], (uint32_t)args->arg[2]);
	inode_put(inode);
	return result;
}

SYSCALL(umask)
{
	struct fs_context *fs = current->process->fs;
	uint32_t old = fs->umask;

	fs->umask = (uint32_t)args->arg[0] & 0777;
	return old;
}

/* ---- times ---- */

struct times {
	bool now[2], omit[2];
	int64_t ns[2]; /* access, modification */
};

static int change_times(struct inode *inode, const struct times *times)
{
	struct attributes a = {.valid = 0};
	int64_t now = (int64_t)clock_realtime();
	bool all_now = times->now[0] && times->now[1];

	if (times->omit[0] && times->omit[1])
		return 0;
	if (inode->super->flags & SUPER_READ_ONLY)
		return -EROFS;
	if (!inode_owner_or_capable(inode)) {
		if (!all_now)
			return -EPERM;
		if (inode_permission(inode, MAY_WRITE) < 0)
			return -EACCES;
	}
	if (!times->omit[0]) {
		a.valid |= ATTR_ATIME;
		a.atime_ns = times->now[0] ? now : times->ns[0];
	}
	if (!times->omit[1]) {
		a.valid |= ATTR_MTIME;
		a.mtime_ns = times->now[1] ? now : times->ns[1];
	}
	return change(inode, &a);
}

static int64_t set_times(int dirfd, uint64_t path, const struct times *times, unsigned walk)
{
	struct inode *inode;
	int result = path == 0 ? fd_inode(dirfd, &inode) : find_inode(dirfd, path, walk, &inode);

	if (result < 0)
		return result;
	result = change_times(inode, times);
	inode_put(inode);
	return result;
}

SYSCALL(utimensat)
{
	struct __kernel_timespec at[2];
	struct times times = {.now = {true, true}};
	unsigned flags = (unsigned)args->arg[3];

	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (args->arg[2] != 0) {
		if (user_read(at, args->arg[2], sizeof(at)) < 0)
			return -EFAULT;
		for (unsigned i = 0; i < 2; i++) {
			times.now[i] = at[i].tv_nsec == UTIME_NOW_NS;
			times.omit[i] = at[i].tv_nsec == UTIME_OMIT_NS;
			if (!times.now[i] && !times.omit[i] &&
			    (at[i].tv_nsec < 0 || at[i].tv_nsec >= (int64_t)NS_PER_SECOND))
				return -EINVAL;
			times.ns[i] = at[i].tv_sec * (int64_t)NS_PER_SECOND + at[i].tv_nsec;
		}
	}
	return set_times((int)args->arg[0], args->arg[1], &times,
			 (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0));
}

static int64_t utimes_at(int dirfd, uint64_t path, uint64_t user_times)
{
	struct times times = {.now = {true, true}};
	int64_t at[4];

	if (user_times != 0) {
		if (user_read(at, user_times, sizeof(at)) < 0)
			return -EFAULT;
		for (unsigned i = 0; i < 2; i++) {
			if (at[2 * i + 1] < 0 || at[2 * i + 1] >= 1000000)
				return -EINVAL;
			times.now[i] = false;
			times.ns[i] = at[2 * i] * (int64_t)NS_PER_SECOND + at[2 * i + 1] * 1000;
		}
	}
	return set_times(dirfd, path, &times, WALK_FOLLOW);
}

SYSCALL(utimes) { return args->arg[0] == 0 ? -EFAULT : utimes_at(AT_FDCWD, args->arg[0], args->arg[1]); }

SYSCALL(futimesat) { return utimes_at((int)args->arg[0], args->arg[1], args->arg[2]); }

SYSCALL(utime)
{
	struct times times = {.now = {true, true}};
	int64_t at[2];

	if (args->arg[0] == 0)
		return -EFAULT;
	if (args->arg[1] != 0) {
		if (user_read(at, args->arg[1], sizeof(at)) < 0)
			return -EFAULT;
		for (unsigned i = 0; i < 2; i++) {
			times.now[i] = false;
			times.ns[i] = at[i] * (int64_t)NS_PER_SECOND;
		}
	}
	return set_times(AT_FDCWD, args->arg[0], &times, WALK_FOLLOW);
}

/* ---- extended attributes (xattr(7)) ---- */

#define XATTR_NAME_BYTES 255u
#define XATTR_VALUE_BYTES 65536u

/* Which object: path with or without following, or descriptor. */
enum target { PATH, LINK, DESCRIPTOR };

static int xattr_inode(enum target target, uint64_t what, struct inode **inode)
{
	if (target == DESCRIPTOR)
		return fd_inode((int)what, inode);
	return find_inode(AT_FDCWD, what, target == PATH ? WALK_FOLLOW : 0, inode);
}

static int xattr_name(char *name, uint64_t user_name)
{
	int64_t length = user_string(name, user_name, XATTR_NAME_BYTES + 1);

	if (length == -ENAMETOOLONG || length == 0)
		return -ERANGE;
	return length < 0 ? (int)length : 0;
}

static int64_t get_xattr(enum target target, const struct syscall_args *args)
{
	char name[XATTR_NAME_BYTES + 1];
	struct inode *inode;
	uint64_t size = min_u64(args->arg[3], XATTR_VALUE_BYTES);
	void *value = NULL;
	int64_t result = xattr_name(name, args->arg[1]);

	if (result == 0)
		result = xattr_inode(target, args->arg[0], &inode);
	if (result < 0)
		return result;
	if (inode->ops == NULL || inode->ops->get_xattr == NULL)
		result = -EOPNOTSUPP;
	else if (size > 0 && (value = kmalloc(size)) == NULL)
		result = -ENOMEM;
	else
		result = inode->ops->get_xattr(inode, name, value, size);
	if (result > 0 && size > 0 && user_write(args->arg[2], value, (uint64_t)result) < 0)
		result = -EFAULT;
	kfree(value);
	inode_put(inode);
	return result;
}

static int xattr_may_change(struct inode *inode, const char *name)
{
	if (inode->super->flags & SUPER_READ_ONLY)
		return -EROFS;
	if (inode->ops == NULL || inode->ops->set_xattr == NULL)
		return -EOPNOTSUPP;
	if (strncmp(name, "user.", 5) == 0) {
		if (!inode_is_regular(inode) && !inode_is_dir(inode))
			return -EPERM;
		return inode_permission(inode, MAY_WRITE);
	}
	return current->process->credentials.cap_effective >> CAP_SYS_ADMIN & 1 ? 0 : -EPERM;
}

static int64_t set_xattr(enum target target, const struct syscall_args *args, bool remove)
{
	char name[XATTR_NAME_BYTES + 1];
	struct inode *inode;
	uint64_t size = remove ? 0 : args->arg[3];
	void *value = NULL;
	int64_t result = xattr_name(name, args->arg[1]);

	if (result == 0 && !remove && (args->arg[4] & ~3ull))
		result = -EINVAL;
	if (result == 0 && size > XATTR_VALUE_BYTES)
		result = -E2BIG;
	if (result == 0)
		result = xattr_inode(target, args->arg[0], &inode);
	if (result < 0)
		return result;
	result = xattr_may_change(inode, name);
	if (result == 0 && !remove) {
		value = kmalloc(size + 1);
		if (value == NULL)
			result = -ENOMEM;
		else if (size > 0 && user_read(value, args->arg[2], size) < 0)
			result = -EFAULT;
	}
	if (result == 0)
		result = inode->ops->set_xattr(inode, name, value, size, remove ? 0 : (int)args->arg[4]);
	kfree(value);
	inode_put(inode);
	return result;
}

static int64_t list_xattr(enum target target, const struct syscall_args *args)
{
	struct inode *inode;
	uint64_t size = min_u64(args->arg[2], XATTR_VALUE_BYTES);
	char *names = NULL;
	int64_t result = xattr_inode(target, args->arg[0], &inode);

	if (result < 0)
		return result;
	if (inode->ops == NULL || inode->ops->list_xattr == NULL)
		result = -EOPNOTSUPP;
	else if (size > 0 && (names = kmalloc(size)) == NULL)
		result = -ENOMEM;
	else
		result = inode->ops->list_xattr(inode, names, size);
	if (result > 0 && size > 0 && user_write(args->arg[1], names, (uint64_t)result) < 0)
		result = -EFAULT;
	kfree(names);
	inode_put(inode);
	return result;
}

SYSCALL(getxattr) { return get_xattr(PATH, args); }
SYSCALL(lgetxattr) { return get_xattr(LINK, args); }
SYSCALL(fgetxattr) { return get_xattr(DESCRIPTOR, args); }
SYSCALL(setxattr) { return set_xattr(PATH, args, false); }
SYSCALL(lsetxattr) { return set_xattr(LINK, args, false); }
SYSCALL(fsetxattr) { return set_xattr(DESCRIPTOR, args, false); }
SYSCALL(removexattr) { return set_xattr(PATH, args, true); }
SYSCALL(lremovexattr) { return set_xattr(LINK, args, true); }
SYSCALL(fremovexattr) { return set_xattr(DESCRIPTOR, args, true); }
SYSCALL(listxattr) { return list_xattr(PATH, args); }
SYSCALL(llistxattr) { return list_xattr(LINK, args); }
SYSCALL(flistxattr) { return list_xattr(DESCRIPTOR, args); }
