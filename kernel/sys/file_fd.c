/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: dup, fcntl, ioctl, flock. */
#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

static int64_t dup_from(int fd, int from, uint32_t flags)
{
	struct file *file = fd_get(fd);
	int result;

	if (file == NULL)
		return -EBADF;
	result = fd_install(file, from, flags);
	if (result < 0)
		file_put(file);
	return result;
}

SYSCALL(dup) { return dup_from((int)args->arg[0], 0, 0); }

static int64_t dup_to(int fd, int to, uint32_t flags)
{
	struct file *file = fd_get(fd);
	int result;

	if (file == NULL)
		return -EBADF;
	result = fd_replace(file, to, flags);
	if (result < 0)
		file_put(file);
	return result;
}

SYSCALL(dup2)
{
	int fd = (int)args->arg[0], to = (int)args->arg[1];

	if (fd == to)
		return fd_flags(fd) < 0 ? -EBADF : to;
	return dup_to(fd, to, 0);
}

SYSCALL(dup3)
{
	int fd = (int)args->arg[0], to = (int)args->arg[1];

	if (fd == to || (args->arg[2] & ~(uint64_t)O_CLOEXEC))
		return -EINVAL;
	return dup_to(fd, to, (uint32_t)args->arg[2]);
}

#define SETFL_MASK (O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK)
#ifndef O_ASYNC
#define O_ASYNC FASYNC
#endif

static int64_t set_status_flags(struct file *file, uint32_t flags)
{
	if ((flags & O_NOATIME) && !(file->flags & O_NOATIME) && file->inode != NULL &&
	    !inode_owner_or_capable(file->inode))
		return -EPERM;
	file->flags = (file->flags & ~(uint32_t)SETFL_MASK) | (flags & SETFL_MASK);
	return 0;
}

static int64_t set_owner_ex(struct file *file, uint64_t user, bool get)
{
	struct f_owner_ex owner = {F_OWNER_PID, file->owner};

	if (get) {
		if (file->owner < 0)
			owner = (struct f_owner_ex){F_OWNER_PGRP, -file->owner};
		return user_put(user, &owner);
	}
	if (user_get(&owner, user) < 0)
		return -EFAULT;
	if (owner.type < F_OWNER_TID || owner.type > F_OWNER_PGRP)
		return -EINVAL;
	file->owner = owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid;
	return 0;
}

static int64_t do_fcntl(struct file *file, int fd, int command, uint64_t argument)
{
	int64_t result;
	int handled;

	switch (command) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if (argument > INT32_MAX || (int64_t)argument < 0 ||
		    argument >= current->process->limits[RLIMIT_NOFILE].rlim_cur)
			return -EINVAL;
		return dup_from(fd, (int)argument, command == F_DUPFD_CLOEXEC ? O_CLOEXEC : 0);
	case F_GETFD:
		return fd_flags(fd);
	case F_SETFD:
		return fd_set_flags(fd, (int)argument);
	case F_GETFL:
		return file->flags;
	default:
		break;
	}
	if (file->flags & O_PATH)
		return -EBADF;
	if (file->ops != NULL && file->ops->fcntl != NULL) {
		handled = file->ops->fcntl(file, command, argument, &result);
		if (handled != -ENOTTY)
			return handled < 0 ? handled : result;
	}
	switch (command) {
	case F_SETFL:
		return set_status_flags(file, (uint32_t)argument);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return locks_fcntl(file, command, argument);
	case F_SETOWN:
		file->owner = (int)argument;
		return 0;
	case F_GETOWN:
		return file->owner;
	case F_SETOWN_EX:
	case F_GETOWN_EX:
		return set_owner_ex(file, argument, command == F_GETOWN_EX);
	case F_SETSIG:
		return argument > SIGNALS ? -EINVAL : 0;
	case F_GETSIG:
		return 0;
	case F_GETLEASE:
		return F_UNLCK;
	case F_SETPIPE_SZ:
	case F_GETPIPE_SZ:
		return -EBADF; /* a pipe would have known it */
	default:
		return -EINVAL;
	}
}

SYSCALL(fcntl)
{
	int fd = (int)args->arg[0];
	struct file *file = fd_get(fd);
	int64_t result;

	if (file == NULL)
		return -EBADF;
	result = do_fcntl(file, fd, (int)args->arg[1], args->arg[2]);
	file_put(file);
	return result;
}

static int64_t set_nonblock(struct file *file, uint64_t argument, uint32_t flag)
{
	int on;

	if (user_get(&on, argument) < 0)
		return -EFAULT;
	file->flags = on ? file->flags | flag : file->flags & ~flag;
	return 0;
}

static int64_t bytes_left(struct file *file, uint64_t argument)
{
	int left = (int)min_u64(
	    INT32_MAX, file->inode->cache.size > file->position ? file->inode->cache.size - file->position : 0);

	return user_put(argument, &left);
}

SYSCALL(ioctl)
{
	int fd = (int)args->arg[0];
	uint32_t command = (uint32_t)args->arg[1];
	struct file *file = fd_get(fd);
	int64_t result = -ENOTTY;
	uint32_t block_bytes = PAGE_SIZE;

	if (file == NULL)
		return -EBADF;
	if (file->flags & O_PATH)
		result = -EBADF;
	else if (command == FIOCLEX || command == FIONCLEX)
		result = fd_set_flags(fd, command == FIOCLEX ? FD_CLOEXEC : 0);
	else if (command == FIONBIO)
		result = set_nonblock(file, args->arg[2], O_NONBLOCK);
	else if (command == FIOASYNC)
		result = set_nonblock(file, args->arg[2], O_ASYNC);
	else if (command == FIONREAD && file->inode != NULL && inode_is_regular(file->inode))
		result = bytes_left(file, args->arg[2]);
	else if (command == FIGETBSZ && file->inode != NULL && file->dentry != NULL)
		result = user_put(args->arg[2], &block_bytes);
	else if (file->ops != NULL && file->ops->ioctl != NULL)
		result = file->ops->ioctl(file, command, args->arg[2]);
	file_put(file);
	return result;
}

SYSCALL(flock)
{
	struct file *file = fd_get((int)args->arg[0]);
	int64_t result;

	if (file == NULL)
		return -EBADF;
	result = file->flags & O_PATH ? -EBADF : locks_flock(file, (int)args->arg[1]);
	file_put(file);
	return result;
}
