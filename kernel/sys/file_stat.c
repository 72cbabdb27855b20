/* SPDX-License-Identifier: Apache-2.0 */
/* stat and its kind, access, readlink, statfs. */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fcntl.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define AT_FLAGS_STAT (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)

static int stat_inode(struct inode *inode, struct statx *stat)
{
	if (inode->ops != NULL && inode->ops->refresh != NULL) {
		int result = inode->ops->refresh(inode);

		if (result < 0)
			return result;
	}
	inode_get_stat(inode, stat);
	return 0;
}

static int stat_file(int fd, struct statx *stat)
{
	struct file *file = fd_get(fd);
	int result;

	if (file == NULL)
		return -EBADF;
	if (file->inode != NULL) {
		result = stat_inode(file->inode, stat);
	} else {
		struct inode *inode = inode_new_anonymous(0600);

		result = inode == NULL ? -ENOMEM : 0;
		if (inode != NULL) {
			inode->ino = 1;
			inode_get_stat(inode, stat);
			inode_put(inode);
		}
	}
	file_put(file);
	return result;
}

static int stat_path(int dirfd, uint64_t user_path, unsigned flags, struct statx *stat)
{
	struct dentry *dentry;
	char first = 1;
	int result;

	if (flags & AT_EMPTY_PATH) {
		/* What fstat is in new C libraries; the path may be NULL. */
		if (user_path == 0 || user_get(&first, user_path) < 0 || first == '\0') {
			if (user_path != 0 && first != '\0')
				return -EFAULT;
			if (dirfd != AT_FDCWD)
				return stat_file(dirfd, stat);
			return stat_inode(current->process->fs->cwd->inode, stat);
		}
	}
	result = path_lookup(dirfd, user_path, flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW, &dentry);
	if (result < 0)
		return result;
	result = stat_inode(dentry->inode, stat);
	dentry_put(dentry);
	return result;
}

static int put_stat(uint64_t to, const struct statx *x)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	st.st_dev = MAKE_RDEV(x->stx_dev_major, x->stx_dev_minor);
	st.st_ino = x->stx_ino;
	st.st_nlink = x->stx_nlink;
	st.st_mode = x->stx_mode;
	st.st_uid = x->stx_uid;
	st.st_gid = x->stx_gid;
	st.st_rdev = MAKE_RDEV(x->stx_rdev_major, x->stx_rdev_minor);
	st.st_size = (long)x->stx_size;
	st.st_blksize = x->stx_blksize;
	st.st_blocks = (long)x->stx_blocks;
	st.st_atime = (unsigned long)x->stx_atime.tv_sec;
	st.st_atime_nsec = x->stx_atime.tv_nsec;
	st.st_mtime = (unsigned long)x->stx_mtime.tv_sec;
	st.st_mtime_nsec = x->stx_mtime.tv_nsec;
	st.st_ctime = (unsigned long)x->stx_ctime.tv_sec;
	st.st_ctime_nsec = x->stx_ctime.tv_nsec;
	return user_put(to, &st);
}

SYSCALL(newfstatat)
{
	struct statx stat;
	int result;

	if (args->arg[3] & ~(uint64_t)AT_FLAGS_STAT)
		return -EINVAL;
	result = stat_path((int)args->arg[0], args->arg[1], (unsigned)args->arg[3], &stat);
	return result < 0 ? result : put_stat(args->arg[2], &stat);
}

SYSCALL(stat)
{
	struct statx stat;
	int result = stat_path(AT_FDCWD, args->arg[0], 0, &stat);

	return result < 0 ? result : put_stat(args->arg[1], &stat);
}

SYSCALL(lstat)
{
	struct statx stat;
	int result = stat_path(AT_FDCWD, args->arg[0], AT_SYMLINK_NOFOLLOW, &stat);

	return result < 0 ? result : put_stat(args->arg[1], &stat);
}

SYSCALL(fstat)
{
	struct statx stat;
	int result = stat_file((int)args->arg[0], &stat);

	return result < 0 ? result : put_stat(args->arg[1], &stat);
}

SYSCALL(statx)
{
	struct statx stat;
	int result;

	if (args->arg[2] & ~(uint64_t)AT_FLAGS_STAT || args->arg[3] & STATX__RESERVED)
		return -EINVAL;
	result = stat_path((int)args->arg[0], args->arg[1], (unsigned)args->arg[2], &stat);
	return result < 0 ? result : user_put(args->arg[4], &stat);
}

static int do_access(int dirfd, uint64_t path, unsigned mode, unsigned flags)
{
	struct dentry *dentry;
	unsigned walk = flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;
	int result;

	if (mode & ~7u || flags & ~(unsigned)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	result = path_lookup(dirfd, path, walk | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0), &dentry);
	if (result < 0)
		return result;
	if (mode != 0)
		result = flags & AT_EACCESS ? inode_permission(dentry->inode, mode)
					    : inode_permission_real(dentry->inode, mode);
	dentry_put(dentry);
	return result;
}

SYSCALL(access) { return do_access(AT_FDCWD, args->arg[0], (unsigned)args->arg[1], 0); }

SYSCALL(faccessat) { return do_access((int)args->arg[0], args->arg[1], (unsigned)args->arg[2], 0); }

SYSCALL(faccessat2)
{
	return do_access((int)args->arg[0], args->arg[1], (unsigned)args->arg[2], (unsigned)args->arg[3]);
}

static int64_t do_readlink(int dirfd, uint64_t path, uint64_t to, int64_t size)
{
	struct dentry *dentry;
	char *text;
	int result;

	if (size <= 0)
		return -EINVAL;
	result = path_lookup(dirfd, path, WALK_EMPTY, &dentry);
	if (result < 0)
		return result;
	text = path_buffer_get();
	if (text == NULL)
		result = -ENOMEM;
	else if (!inode_is_link(dentry->inode) || dentry->inode->ops->readlink == NULL)
		result = -EINVAL;
	else
		result = dentry->inode->ops->readlink(dentry->inode, text, PATH_BYTES);
	if (result > size)
		result = (int)size;
	if (result > 0 && user_write(to, text, (uint64_t)result) < 0)
		result = -EFAULT;
	path_buffer_put(text);
	dentry_put(dentry);
	return result;
}

SYSCALL(readlink) { return do_readlink(AT_FDCWD, args->arg[0], args->arg[1], (int)args->arg[2]); }

SYSCALL(readlinkat) { return do_readlink((int)args->arg[0], args->arg[1], args->arg[2], (int)args->arg[3]); }

static int do_statfs(struct super *super, uint64_t to)
{
	struct page_statistics pages;
	struct statfs st;

	memset(&st, 0, sizeof(st));
	page_statistics(&pages);
	st.f_type = super->magic;
	st.f_bsize = (long)PAGE_SIZE;
	st.f_frsize = (long)PAGE_SIZE;
	st.f_namelen = NAME_BYTES;
	st.f_fsid.val[0] = (int)super->dev;
	st.f_blocks = (long)pages.total;
	st.f_bfree = st.f_bavail = (long)(pages.free + pages.cached);
	st.f_files = st.f_ffree = 1 << 20;
	st.f_flags = 0x20 /* ST_VALID */ | (super->flags & SUPER_READ_ONLY ? 1 : 0);
	if (super->statfs != NULL) {
		int result = super->statfs(super, &st);

		if (result < 0)
			return result;
	}
	return user_put(to, &st);
}

SYSCALL(statfs)
{
	struct dentry *dentry;
	int result = path_lookup(AT_FDCWD, args->arg[0], WALK_FOLLOW, &dentry);

	if (result < 0)
		return result;
	result = do_statfs(dentry->inode->super, args->arg[1]);
	dentry_put(dentry);
	return result;
}

SYSCALL(fstatfs)
{
	struct file *file = fd_get((int)args->arg[0]);
	int result;

	if (file == NULL)
		return -EBADF;
	result = do_statfs(file->inode != NULL ? file->inode->super : &anonymous_super, args->arg[1]);
	file_put(file);
	return result;
}
