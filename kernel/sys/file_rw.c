/* SPDX-License-Identifier: Apache-2.0 */
/* read, write and their kind; positions, sizes, fsync. */
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/uio.h>

#include "kernel/fs/inotify.h"
#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define RW_BYTES_MAX 0x7ffff000ull /* MAX_RW_COUNT */
#define IOVECS_MAX 1024u
#define IOVECS_AT_ONCE 16u

#define RWF_KNOWN 0x1fu /* HIPRI, DSYNC, SYNC, NOWAIT, APPEND */

SYSCALL(read)
{
	struct file *file = fd_get((int)args->arg[0]);
	struct io_buffer to = {args->arg[1], true};
	int64_t result;

	if (file == NULL)
		return -EBADF;
	result = file_read(file, &to, min_u64(args->arg[2], RW_BYTES_MAX));
	file_put(file);
	return result;
}

SYSCALL(write)
{
	struct file *file = fd_get((int)args->arg[0]);
	struct io_buffer from = {args->arg[1], true};
	int64_t result;

	if (file == NULL)
		return -EBADF;
	result = file_write(file, &from, min_u64(args->arg[2], RW_BYTES_MAX));
	file_put(file);
	return result;
}

/* Files that have no position cannot be read at one. */
static int check_seekable(const struct file *file)
{
	if (file->flags & O_PATH)
		return -EBADF;
	return file->ops != NULL && file->ops->seek != NULL ? 0 : -ESPIPE;
}

static int64_t read_at(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	int result = check_seekable(file);

	if (result < 0)
		return result;
	if ((file->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (file->ops->read == NULL)
		return file->inode != NULL && inode_is_dir(file->inode) ? -EISDIR : -EINVAL;
	return file->ops->read(file, to, bytes, offset);
}

static int64_t write_at(struct file *file, const struct io_buffer *from, uint64_t bytes, uint64_t *offset)
{
	int result = check_seekable(file);

	if (result < 0)
		return result;
	if ((file->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (file->ops->write == NULL)
		return -EINVAL;
	int64_t written = file->ops->write(file, from, bytes, offset);
	if (written > 0)
		fs_notify_dentry(file->dentry, IN_MODIFY);
	return written;
}

SYSCALL(pread64)
{
	struct file *file;
	struct io_buffer to = {args->arg[1], true};
	uint64_t offset = args->arg[3];
	int64_t result;

	if ((int64_t)offset < 0)
		return -EINVAL;
	file = fd_get((int)args->arg[0]);
	if (file == NULL)
		return -EBADF;
	result = read_at(file, &to, min_u64(args->arg[2], RW_BYTES_MAX), &offset);
	file_put(file);
	return result;
}

SYSCALL(pwrite64)
{
	struct file *file;
	struct io_buffer from = {args->arg[1], true};
	uint64_t offset = args->arg[3];
	int64_t result;

	if ((int64_t)offset < 0)
		return -EINVAL;
	file = fd_get((int)args->arg[0]);
	if (file == NULL)
		return -EBADF;
	result = write_at(file, &from, min_u64(args->arg[2], RW_BYTES_MAX), &offset);
	file_put(file);
	return result;
}

struct vector {
	uint64_t address, count;
	bool write;
	bool positioned;
	uint64_t offset;
	uint32_t flags; /* RWF_* */
};

/* All lengths are checked before anything is done. */
static int check_vector(const struct vector *v)
{
	struct iovec part[IOVECS_AT_ONCE];
	uint64_t total = 0;

	if (v->count > IOVECS_MAX)
		return -EINVAL;
	for (uint64_t i = 0; i < v->count; i += IOVECS_AT_ONCE) {
		uint64_t n = min_u64(v->count - i, IOVECS_AT_ONCE);

		if (user_read(part, v->address + i * sizeof(part[0]), n * sizeof(part[0])) < 0)
			return -EFAULT;
		for (uint64_t k = 0; k < n; k++) {
			if ((int64_t)part[k].iov_len < 0 || add_overflows(total, part[k].iov_len, &total) ||
			    (int64_t)total < 0)
				return -EINVAL;
		}
	}
	return 0;
}

static int64_t transfer(struct file *file, struct vector *v, const struct io_buffer *buffer, uint64_t bytes)
{
	if (!v->positioned)
		return v->write ? file_write(file, buffer, bytes) : file_read(file, buffer, bytes);
	return v->write ? write_at(file, buffer, bytes, &v->offset) : read_at(file, buffer, bytes, &v->offset);
}

/* A stream's vector of small pieces goes out as one write: others must not get between, and each write
 * to the console is an exchange with the monitor. */
#define GATHER_BYTES 4096u

static int64_t gather_write(struct file *file, const struct vector *v)
{
	char *buffer;
	uint64_t used = 0;
	struct io_buffer from;
	int64_t result;

	for (uint64_t i = 0; i < v->count; i++) {
		struct iovec one;

		if (user_get(&one, v->address + i * sizeof(one)) < 0)
			return -EFAULT;
		used += min_u64(one.iov_len, GATHER_BYTES + 1);
		if (used > GATHER_BYTES)
			return -EAGAIN; /* too much: piece by piece */
	}
	buffer = path_buffer_get();
	if (buffer == NULL)
		return -ENOMEM;
	used = 0;
	for (uint64_t i = 0; i < v->count; i++) {
		struct iovec one;

		if (user_get(&one, v->address + i * sizeof(one)) < 0 || one.iov_len > GATHER_BYTES - used ||
		    user_read(buffer + used, (uint64_t)one.iov_base, one.iov_len) < 0) {
			path_buffer_put(buffer);
			return -EFAULT;
		}
		used += one.iov_len;
	}
	from = (struct io_buffer){(uint64_t)buffer, false};
	result = file_write(file, &from, used);
	path_buffer_put(buffer);
	return result;
}

static int64_t move_vector(struct file *file, struct vector *v)
{
	int64_t done = 0;

	if (v->write && v->count > 1 && !v->positioned) {
		int64_t result = gather_write(file, v);

		if (result != -EAGAIN || (file->flags & O_NONBLOCK))
			if (result != -EFAULT && result != -EAGAIN)
				return result;
	}
	for (uint64_t i = 0; i < v->count; i++) {
		struct iovec one;
		struct io_buffer buffer = {0, true};
		int64_t result;
		uint64_t bytes;

		if (user_get(&one, v->address + i * sizeof(one)) < 0)
			return done > 0 ? done : -EFAULT;
		bytes = min_u64(one.iov_len, RW_BYTES_MAX - (uint64_t)done);
		if (bytes == 0)
			continue;
		buffer.address = (uint64_t)one.iov_base;
		result = transfer(file, v, &buffer, bytes);
		if (result < 0)
			return done > 0 ? done : result;
		done += result;
		if ((uint64_t)result < bytes)
			break;
	}
	return done;
}

static int64_t do_vector(int fd, struct vector *v)
{
	struct file *file = fd_get(fd);
	int64_t result;

	if (file == NULL)
		return -EBADF;
	result = v->flags & ~RWF_KNOWN ? -EOPNOTSUPP : check_vector(v);
	if (result == 0 && v->positioned)
		result = (int64_t)v->offset < 0 ? -EINVAL : check_seekable(file);
	if (result == 0 && (v->write ? (file->flags & O_ACCMODE) == O_RDONLY : (file->flags & O_ACCMODE) == O_WRONLY))
		result = -EBADF;
	if (result == 0 && file->ops != NULL &&
	    (v->write ? (void *)file->ops->write : (void *)file->ops->read) == NULL &&
	    !(file->inode != NULL && inode_is_dir(file->inode)))
		result = -EINVAL; /* even if there is nothing to move */
	if (result == 0)
		result = file->ops != NULL && file->ops->vector != NULL
			     ? file->ops->vector(file, v->address, v->count, v->write)
			     : move_vector(file, v);
	if (result > 0 && v->write && (v->flags & 6 /* RWF_DSYNC, RWF_SYNC */) && file->ops->fsync != NULL)
		file->ops->fsync(file, true);
	file_put(file);
	return result;
}

SYSCALL(readv)
{
	struct vector v = {.address = args->arg[1], .count = args->arg[2]};

	return do_vector((int)args->arg[0], &v);
}

SYSCALL(writev)
{
	struct vector v = {.address = args->arg[1], .count = args->arg[2], .write = true};

	return do_vector((int)args->arg[0], &v);
}

SYSCALL(preadv)
{
	struct vector v = {.address = args->arg[1], .count = args->arg[2], .positioned = true, .offset = args->arg[3]};

	return do_vector((int)args->arg[0], &v);
}

SYSCALL(pwritev)
{
	struct vector v = {args->arg[1], args->arg[2], true, true, args->arg[3], 0};

	return do_vector((int)args->arg[0], &v);
}

SYSCALL(preadv2)
{
	struct vector v = {args->arg[1],          args->arg[2], false,
			   args->arg[3] != ~0ull, args->arg[3], (uint32_t)args->arg[5]};

	return do_vector((int)args->arg[0], &v);
}

SYSCALL(pwritev2)
{
	struct vector v = {args->arg[1],          args->arg[2], true,
			   args->arg[3] != ~0ull, args->arg[3], (uint32_t)args->arg[5]};

	return do_vector((int)args->arg[0], &v);
}

SYSCALL(lseek)
{
	struct file *file = fd_get((int)args->arg[0]);
	int64_t result;

	if (file == NULL)
		return -EBADF;
	result = check_seekable(file);
	if (result == 0)
		result = file->ops->seek(file, (int64_t)args->arg[1], (int)args->arg[2]);
	file_put(file);
	return result;
}

static int truncate_inode(struct inode *inode, uint64_t size)
{
	struct attributes attributes = {.valid = ATTR_SIZE, .size = size};
	int result;

	if (inode_is_dir(inode))
		return -EISDIR;
	if (!inode_is_regular(inode))
		return -EINVAL;
	if (size > current->process->limits[RLIMIT_FSIZE].rlim_cur) {
		signal_send_thread(current, SIGXFSZ, NULL);
		return -EFBIG;
	}
	mutex_lock(&inode->mutex);
	result = inode_setattr(inode, &attributes);
	mutex_unlock(&inode->mutex);
	return result;
}

SYSCALL(truncate)
{
	struct dentry *dentry;
	int result;

	if ((int64_t)args->arg[1] < 0)
		return -EINVAL;
	result = path_lookup(AT_FDCWD, args->arg[0], WALK_FOLLOW, &dentry);
	if (result < 0)
		return result;
	result = inode_is_dir(dentry->inode) ? -EISDIR : inode_permission(dentry->inode, MAY_WRITE);
	if (result == 0)
		result = truncate_inode(dentry->inode, args->arg[1]);
	dentry_put(dentry);
	return result;
}

SYSCALL(ftruncate)
{
	struct file *file;
	int result;

	if ((int64_t)args->arg[1] < 0)
		return -EINVAL;
	file = fd_get((int)args->arg[0]);
	if (file == NULL)
		return -EBADF;
	if (file->flags & O_PATH)
		result = -EBADF;
	else if ((file->flags & O_ACCMODE) == O_RDONLY || file->inode == NULL)
		result = -EINVAL;
	else
		result = inode_is_dir(file->inode) ? -EINVAL : truncate_inode(file->inode, args->arg[1]);
	file_put(file);
	return result;
}

SYSCALL(fallocate)
{
	struct file *file = fd_get((int)args->arg[0]);
	int64_t offset = (int64_t)args->arg[2], bytes = (int64_t)args->arg[3], end;
	int result = 0;

	if (file == NULL)
		return -EBADF;
	if (offset < 0 || bytes <= 0)
		result = -EINVAL;
	else if (__builtin_add_overflow(offset, bytes, &end))
		result = -EFBIG;
	else if ((file->flags & O_ACCMODE) == O_RDONLY)
		result = -EBADF;
	else if (file->inode == NULL || file->ops->seek == NULL)
		result = -ESPIPE;
	else if (!inode_is_regular(file->inode))
		result = inode_is_dir(file->inode) ? -EISDIR : -ENODEV;
	else if (file->inode->ops->fallocate == NULL)
		result = -EOPNOTSUPP;
	if (result == 0) {
		mutex_lock(&file->inode->mutex);
		result = file->inode->ops->fallocate(file->inode, (int)args->arg[1], (uint64_t)offset, (uint64_t)bytes);
		mutex_unlock(&file->inode->mutex);
	}
	file_put(file);
	return result;
}

static int do_fsync(int fd, bool data_only)
{
	struct file *file = fd_get(fd);
	int result = -EINVAL;

	if (file == NULL)
		return -EBADF;
	if (file->flags & O_PATH)
		result = -EBADF;
	else if (file->ops != NULL && file->ops->fsync != NULL)
		result = file->ops->fsync(file, data_only);
	file_put(file);
	return result;
}

SYSCALL(fsync) { return do_fsync((int)args->arg[0], false); }

SYSCALL(fdatasync) { return do_fsync((int)args->arg[0], true); }

SYSCALL(sync)
{
	SYSCALL_UNUSED_ARGS;
	fs_sync_all();
	return 0;
}

SYSCALL(syncfs)
{
	struct file *file = fd_get((int)args->arg[0]);

	if (file == NULL)
		return -EBADF;
	file_put(file);
	fs_sync_all();
	return 0;
}

SYSCALL(sync_file_range)
{
	if (args->arg[3] & ~7ull || (int64_t)args->arg[1] < 0 || (int64_t)args->arg[2] < 0)
		return -EINVAL;
	return do_fsync((int)args->arg[0], true);
}

static int advise(int fd, int64_t offset, int64_t bytes, bool will_need)
{
	struct file *file = fd_get(fd);
	int result = 0;

	if (file == NULL)
		return -EBADF;
	if (file->inode == NULL || file->ops == NULL || file->ops->seek == NULL) {
		result = -ESPIPE;
	} else if (bytes < 0) {
		result = -EINVAL;
	} else if (will_need && inode_is_regular(file->inode) && offset >= 0) {
		uint64_t end = bytes == 0 ? file->inode->cache.size
					  : min_u64((uint64_t)offset + (uint64_t)bytes, file->inode->cache.size);

		for (uint64_t index = (uint64_t)offset >> PAGE_SHIFT; index << PAGE_SHIFT < end; index += CACHE_BATCH) {
			struct page *page;
			unsigned ahead = (unsigned)min_u64(CACHE_BATCH, (end - (index << PAGE_SHIFT) + PAGE_SIZE - 1) >>
									    PAGE_SHIFT) -
					 1;

			if (cache_get(&file->inode->cache, index, ahead, &page) < 0)
				break; /* only advice */
			page_put(page);
		}
	}
	file_put(file);
	return result;
}

SYSCALL(fadvise64)
{
	if (args->arg[3] > 5)
		return -EINVAL;
	return advise((int)args->arg[0], (int64_t)args->arg[1], (int64_t)args->arg[2],
		      args->arg[3] == 3 /* POSIX_FADV_WILLNEED */);
}

SYSCALL(readahead) { return advise((int)args->arg[0], (int64_t)args->arg[1], (int64_t)args->arg[2], true); }
