/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between files: sendfile, copy_file_range, splice, tee, vmsplice; mounts; file handles. */
#include <linux/fcntl.h>
#include <linux/uio.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define COPY_ORDER 4u /* 64 KiB at a time */

/* One end of a copy: a position given by the caller, or the file's own. */
struct end {
	struct file *file;
	uint64_t *offset; /* NULL: the file's position, or a stream */
};

static int64_t end_read(struct end *end, void *to, uint64_t bytes)
{
	struct io_buffer buffer = {(uint64_t)to, false};

	if (end->offset == NULL)
		return file_read(end->file, &buffer, bytes);
	if (end->file->ops == NULL || end->file->ops->read == NULL)
		return -EINVAL;
	return end->file->ops->read(end->file, &buffer, bytes, end->offset);
}

static int64_t end_write(struct end *end, const void *from, uint64_t bytes)
{
	struct io_buffer buffer = {(uint64_t)from, false};

	if (end->offset == NULL)
		return file_write(end->file, &buffer, bytes);
	if (end->file->ops == NULL || end->file->ops->write == NULL)
		return -EINVAL;
	return end->file->ops->write(end->file, &buffer, bytes, end->offset);
}

/* What was read and could not be written is put back where it was, if it came from a file. */
static void take_back(struct end *end, uint64_t bytes)
{
	if (end->offset != NULL)
		*end->offset -= bytes;
	else if (end->file->ops->seek != NULL)
		end->file->position -= bytes;
}

/* Copies until `bytes` are done, the source ends or (stream) has nothing more just now. */
static int64_t copy(struct end *from, struct end *to, uint64_t bytes, bool once)
{
	uint8_t *buffer = pages_alloc(COPY_ORDER);
	uint64_t done = 0;
	int64_t result = 0;

	if (buffer == NULL)
		return -ENOMEM;
	while (done < bytes) {
		uint64_t n = min_u64(bytes - done, PAGE_SIZE << COPY_ORDER), written = 0;

		result = end_read(from, buffer, n);
		if (result <= 0)
			break;
		n = (uint64_t)result;
		while (written < n) {
			result = end_write(to, buffer + written, n - written);
			if (result <= 0)
				break;
			written += (uint64_t)result;
		}
		done += written;
		if (written < n) {
			take_back(from, n - written);
			break;
		}
		if (once)
			break;
	}
	pages_free(buffer, COPY_ORDER);
	return done > 0 ? (int64_t)done : result;
}

static int get_offset(uint64_t user, uint64_t *offset)
{
	if (user == 0)
		return 0;
	if (user_get(offset, user) < 0)
		return -EFAULT;
	return (int64_t)*offset < 0 ? -EINVAL : 0;
}

static bool readable(const struct file *file)
{
	return !(file->flags & O_PATH) && (file->flags & O_ACCMODE) != O_WRONLY;
}

static bool writable(const struct file *file)
{
	return !(file->flags & O_PATH) && (file->flags & O_ACCMODE) != O_RDONLY;
}

static bool seekable(const struct file *file) { return file->ops != NULL && file->ops->seek != NULL; }

SYSCALL(sendfile)
{
	struct file *out = fd_get((int)args->arg[0]), *in = fd_get((int)args->arg[1]);
	uint64_t offset = 0, bytes = min_u64(args->arg[3], 0x7ffff000);
	struct end from = {in, NULL}, to = {out, NULL};
	int64_t result = -EBADF;

	if (in != NULL && out != NULL && readable(in) && writable(out)) {
		result = get_offset(args->arg[2], &offset);
		if (result == 0 && !seekable(in))
			result = args->arg[2] != 0 ? -ESPIPE : -EINVAL;
		if (result == 0 && (out->flags & O_APPEND))
			result = -EINVAL;
	}
	if (result == 0) {
		if (args->arg[2] != 0)
			from.offset = &offset;
		result = copy(&from, &to, bytes, false);
		if (result >= 0 && args->arg[2] != 0 && user_put(args->arg[2], &offset) < 0)
			result = -EFAULT;
	}
	file_put(in);
	file_put(out);
	return result;
}

static bool is_regular(const struct file *file) { return file->inode != NULL && inode_is_regular(file->inode); }

SYSCALL(copy_file_range)
{
	struct file *in = fd_get((int)args->arg[0]), *out = fd_get((int)args->arg[2]);
	uint64_t from_offset = 0, to_offset = 0, bytes = min_u64(args->arg[4], 0x7ffff000);
	struct end from = {in, NULL}, to = {out, NULL};
	int64_t result = -EBADF;

	if (in != NULL && out != NULL && readable(in) && writable(out) && !(out->flags & O_APPEND)) {
		result = args->arg[5] != 0 ? -EINVAL : get_offset(args->arg[1], &from_offset);
		if (result == 0)
			result = get_offset(args->arg[3], &to_offset);
		if (result == 0 && (!is_regular(in) || !is_regular(out)))
			result = (in->inode && inode_is_dir(in->inode)) || (out->inode && inode_is_dir(out->inode))
				     ? -EISDIR
				     : -EINVAL;
		if (result == 0 && in->inode == out->inode) {
			uint64_t a = args->arg[1] != 0 ? from_offset : in->position,
				 b = args->arg[3] != 0 ? to_offset : out->position;

			if (a < b + bytes && b < a + bytes)
				result = -EINVAL;
		}
	}
	if (result == 0) {
		from.offset = args->arg[1] != 0 ? &from_offset : NULL;
		to.offset = args->arg[3] != 0 ? &to_offset : NULL;
		result = copy(&from, &to, bytes, false);
		if (result >= 0 && ((args->arg[1] != 0 && user_put(args->arg[1], &from_offset) < 0) ||
				    (args->arg[3] != 0 && user_put(args->arg[3], &to_offset) < 0)))
			result = -EFAULT;
	}
	file_put(in);
	file_put(out);
	return result;
}

static bool is_pipe(const struct file *file) { return file->inode != NULL && (file->inode->mode & S_IFMT) == S_IFIFO; }

SYSCALL(splice)
{
	struct file *in = fd_get((int)args->arg[0]), *out = fd_get((int)args->arg[2]);
	uint64_t from_offset = 0, to_offset = 0;
	struct end from = {in, NULL}, to = {out, NULL};
	int64_t result = -EBADF;

	if (in != NULL && out != NULL && readable(in) && writable(out)) {
		result = is_pipe(in) || is_pipe(out) ? 0 : -EINVAL;
		if (result == 0 && ((args->arg[1] != 0 && !seekable(in)) || (args->arg[3] != 0 && !seekable(out))))
			result = -ESPIPE;
		if (result == 0)
			result = get_offset(args->arg[1], &from_offset);
		if (result == 0)
			result = get_offset(args->arg[3], &to_offset);
	}
	if (result == 0) {
		from.offset = args->arg[1] != 0 ? &from_offset : NULL;
		to.offset = args->arg[3] != 0 ? &to_offset : NULL;
		result = copy(&from, &to, min_u64(args->arg[4], 65536), true);
		if (result > 0 && ((args->arg[1] != 0 && user_put(args->arg[1], &from_offset) < 0) ||
				   (args->arg[3] != 0 && user_put(args->arg[3], &to_offset) < 0)))
			result = -EFAULT;
	}
	file_put(in);
	file_put(out);
	return result;
}

/* vmsplice to a pipe is a write of the vector, from a pipe a read (vmsplice(2)): the pages are copied. */
int64_t sys_readv(const struct syscall_args *args);
int64_t sys_writev(const struct syscall_args *args);

SYSCALL(vmsplice)
{
	struct file *file = fd_get((int)args->arg[0]);
	bool write_end;

	if (file == NULL)
		return -EBADF;
	write_end = (file->flags & O_ACCMODE) != O_RDONLY;
	if (!is_pipe(file)) {
		file_put(file);
		return -EBADF;
	}
	file_put(file);
	return write_end ? sys_writev(args) : sys_readv(args);
}

/* ---- mounts: the tree is fixed; a tmpfs may be mounted by who may mount ---- */

SYSCALL(mount)
{
	char type[16];
	struct dentry *point;
	struct super *super;
	int64_t result;

	if (!(current->process->credentials.cap_effective >> CAP_SYS_ADMIN & 1))
		return -EPERM;
	result = args->arg[2] == 0 ? -EINVAL : user_string(type, args->arg[2], sizeof(type));
	if (result < 0)
		return result == -ENAMETOOLONG ? -ENODEV : result;
	if (args->arg[3] & 0xf0000ull ||
	    (args->arg[3] & (0x20 | 0x1000 | 0x2000))) /* propagation, remount, bind, move */
		return -EPERM;
	if (strcmp(type, "tmpfs") != 0 && strcmp(type, "proc") != 0 && strcmp(type, "sysfs") != 0)
		return -ENODEV;
	result = path_lookup(AT_FDCWD, args->arg[1], WALK_FOLLOW | WALK_DIRECTORY, &point);
	if (result < 0)
		return result;
	if (type[0] == 't')
		result = memfs_new("tmpfs", "tmpfs", &super);
	else
		result = type[0] == 'p' ? procfs_new(&super) : sysfs_new(&super);
	if (result == 0) {
		if (type[0] == 't')
			super->root->inode->mode = S_IFDIR | 01777;
		if (args->arg[3] & 1)
			super->flags |= SUPER_READ_ONLY;
		result = super_mount(super, point);
	}
	dentry_put(point);
	return result;
}

SYSCALL(umount2)
{
	SYSCALL_UNUSED_ARGS;
	return -EPERM;
}

SYSCALL(name_to_handle_at)
{
	SYSCALL_UNUSED_ARGS;
	return -EOPNOTSUPP;
}

SYSCALL(open_by_handle_at)
{
	SYSCALL_UNUSED_ARGS;
	return -EPERM;
}
