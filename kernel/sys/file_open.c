/* SPDX-License-Identifier: Apache-2.0 */
/* open, openat, openat2, creat, close, close_range, memfd_create. */
#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/openat2.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

static int64_t do_open(int dirfd, uint64_t user_path, uint32_t flags, uint32_t mode, unsigned walk_flags)
{
	struct file *file;
	char *path;
	int result = path_from_user(user_path, &path);

	if (result < 0)
		return result;
	result = open_at(dirfd, path, flags, mode, walk_flags, &file);
	path_buffer_put(path);
	if (result < 0)
		return result;
	result = fd_install(file, 0, flags);
	if (result < 0)
		file_put(file);
	return result;
}

SYSCALL(openat) { return do_open((int)args->arg[0], args->arg[1], (uint32_t)args->arg[2], (uint32_t)args->arg[3], 0); }

SYSCALL(open) { return do_open(AT_FDCWD, args->arg[0], (uint32_t)args->arg[1], (uint32_t)args->arg[2], 0); }

SYSCALL(creat) { return do_open(AT_FDCWD, args->arg[0], O_CREAT | O_WRONLY | O_TRUNC, (uint32_t)args->arg[1], 0); }

SYSCALL(openat2)
{
	static const struct {
		uint64_t resolve;
		unsigned walk;
	} flags[] = {
	    {RESOLVE_NO_XDEV, WALK_NO_XDEV},
	    {RESOLVE_NO_MAGICLINKS, WALK_NO_MAGICLINKS},
	    {RESOLVE_NO_SYMLINKS, WALK_NO_SYMLINKS | WALK_NO_MAGICLINKS},
	    {RESOLVE_BENEATH, WALK_BENEATH},
	    {RESOLVE_IN_ROOT, WALK_IN_ROOT},
	};
	struct open_how how;
	uint64_t rest = args->arg[3];
	unsigned walk_flags = 0;

	if (rest < sizeof(how))
		return -EINVAL;
	if (rest > PAGE_SIZE)
		return -E2BIG;
	if (user_get(&how, args->arg[2]) < 0)
		return -EFAULT;
	for (uint64_t i = sizeof(how); i < rest; i++) {
		uint8_t byte;

		if (user_get(&byte, args->arg[2] + i) < 0)
			return -EFAULT;
		if (byte != 0)
			return -E2BIG;
	}
	for (unsigned i = 0; i < countof(flags); i++)
		if (how.resolve & flags[i].resolve) {
			walk_flags |= flags[i].walk;
			how.resolve &= ~flags[i].resolve;
		}
	if (how.resolve & RESOLVE_CACHED)
		return -EAGAIN;
	if (how.resolve != 0 || how.flags > UINT32_MAX || (how.mode & ~07777ull) ||
	    (how.mode != 0 && !(how.flags & (O_CREAT | O_TMPFILE))) ||
	    (walk_flags & (WALK_BENEATH | WALK_IN_ROOT)) == (WALK_BENEATH | WALK_IN_ROOT))
		return -EINVAL;
	return do_open((int)args->arg[0], args->arg[1], (uint32_t)how.flags, (uint32_t)how.mode, walk_flags);
}

SYSCALL(close) { return fd_close((int)args->arg[0]); }

SYSCALL(close_range)
{
	uint64_t first = (uint32_t)args->arg[0], last = (uint32_t)args->arg[1], flags = args->arg[2];
	struct process *process = current->process;

	if (first > last || (flags & ~(uint64_t)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)))
		return -EINVAL;
	if (first > INT32_MAX)
		return 0;
	if (flags & CLOSE_RANGE_UNSHARE) {
		struct file_table *copy;
		int result = file_table_copy(&copy, process->files);

		if (result < 0)
			return result;
		file_table_put(process->files);
		process->files = copy;
	}
	for (int fd = file_table_next(process->files, (int)first); fd >= 0 && (uint64_t)fd <= last;
	     fd = file_table_next(process->files, fd + 1)) {
		if (flags & CLOSE_RANGE_CLOEXEC)
			fd_set_flags(fd, FD_CLOEXEC);
		else
			fd_close(fd);
	}
	return 0;
}

SYSCALL(memfd_create)
{
	char name[NAME_BYTES + 1];
	uint64_t flags = args->arg[1];
	struct file *file;
	int64_t result = user_string(name, args->arg[0], 250);

	if (result == -ENAMETOOLONG)
		return -EINVAL;
	if (result < 0)
		return result;
	if (flags & ~(uint64_t)(MFD_CLOEXEC | MFD_ALLOW_SEALING | 8 /* MFD_NOEXEC_SEAL */ | 16 /* MFD_EXEC */))
		return -EINVAL; /* MFD_HUGETLB too */
	result = memfd_new(name, O_RDWR, flags & (MFD_ALLOW_SEALING | 8), &file);
	if (result < 0)
		return result;
	result = fd_install(file, 0, flags & MFD_CLOEXEC ? O_CLOEXEC : 0);
	if (result < 0)
		file_put(file);
	return result;
}
