/* SPDX-License-Identifier: Apache-2.0 */
/* Regular files in memory or read through the cache: read, write, seek. Writing to the host is
 * virtiofs.c's. */
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <linux/mman.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/page_internal.h" /* page_plenty */
#include "kernel/proc/process.h"

static int64_t regular_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	int64_t done = cache_read(&file->inode->cache, *offset, to->address, bytes, to->user);

	if (done > 0)
		*offset += (uint64_t)done;
	return done;
}

static int check_size(struct inode *inode, uint64_t offset, uint64_t *bytes)
{
	uint64_t limit = current->process->limits[RLIMIT_FSIZE].rlim_cur;

	if (*bytes == 0)
		return 0;
	if (offset >= (uint64_t)INT64_MAX)
		return -EFBIG;
	limit = min_u64(limit, (uint64_t)INT64_MAX);
	if (offset >= limit) {
		signal_send_thread(current, SIGXFSZ, NULL);
		return -EFBIG;
	}
	*bytes = min_u64(*bytes, limit - offset);
	if (inode->seals & F_SEAL_WRITE || inode->seals & 0x10 /* F_SEAL_FUTURE_WRITE */)
		return -EPERM;
	if ((inode->seals & F_SEAL_GROW) && offset + *bytes > inode->cache.size)
		return -EPERM;
	return 0;
}

/* Memory is this file system's disk: it is full while programs still have some, or the next page fault would
 * end one. Only whether pages are missing has to be looked at then; what is there can always be written. */
#define CHUNK_PAGES 64u

static bool has_room(struct cache *cache, uint64_t offset)
{
	if (page_plenty(CHUNK_PAGES) || (cache_reclaim(2 * CHUNK_PAGES) > 0 && page_plenty(CHUNK_PAGES)))
		return true;
	return cache_next(cache, offset >> PAGE_SHIFT) == offset >> PAGE_SHIFT;
}

static int64_t write_in_memory(struct cache *cache, uint64_t offset, const struct io_buffer *from, uint64_t bytes)
{
	uint64_t done = 0;
	int64_t result = 0;

	while (done < bytes) {
		uint64_t at = offset + done, n = PAGE_SIZE - (at & (PAGE_SIZE - 1));

		if (!has_room(cache, at)) {
			result = -ENOSPC;
			break;
		}
		if (page_plenty(CHUNK_PAGES))
			n += (CHUNK_PAGES - 1) << PAGE_SHIFT;
		n = min_u64(n, bytes - done);
		result = cache_write(cache, at, from->address + done, n, from->user);
		if (result > 0)
			done += (uint64_t)result;
		if (result < 0 || (uint64_t)result < n)
			break;
	}
	return done > 0 ? (int64_t)done : result == -ENOMEM ? -ENOSPC : result;
}

static int64_t regular_write(struct file *file, const struct io_buffer *from, uint64_t bytes, uint64_t *offset)
{
	struct inode *inode = file->inode;
	int64_t done;
	int result;

	mutex_lock(&inode->mutex);
	if (file->flags & O_APPEND)
		*offset = inode->cache.size;
	result = check_size(inode, *offset, &bytes);
	done = result < 0 ? result : write_in_memory(&inode->cache, *offset, from, bytes);
	if (done > 0) {
		*offset += (uint64_t)done;
		inode_touch(inode, INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
		if (inode->mode & (S_ISUID | S_ISGID) && current->process->credentials.fsuid != 0)
			inode->mode &= ~(uint32_t)(S_ISUID | (inode->mode & 010 ? S_ISGID : 0));
		if (inode->ops->written != NULL)
			inode->ops->written(inode);
	}
	mutex_unlock(&inode->mutex);
	return done;
}

int64_t regular_seek(struct file *file, int64_t offset, int whence)
{
	struct cache *cache = &file->inode->cache;
	uint64_t size = cache->size, at;

	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		if (__builtin_add_overflow(offset, (int64_t)file->position, &offset))
			return -EOVERFLOW;
		break;
	case SEEK_END:
		if (file->inode->ops != NULL && file->inode->ops->refresh != NULL) {
			int result = file->inode->ops->refresh(file->inode);

			if (result < 0)
				return result;
			size = cache->size;
		}
		if (__builtin_add_overflow(offset, (int64_t)size, &offset))
			return -EOVERFLOW;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (offset < 0 || (uint64_t)offset >= size)
			return -ENXIO;
		/* Only a file wholly in memory knows its holes; otherwise all is data. */
		if (file->inode->ops == NULL || file->inode->ops->holes == NULL ||
		    !file->inode->ops->holes(file->inode)) {
			offset = whence == SEEK_HOLE ? (int64_t)size : offset;
			break;
		}
		at = (uint64_t)offset >> PAGE_SHIFT;
		if (whence == SEEK_DATA) {
			at = cache_next(cache, at);
			if (at == ~0ull || at << PAGE_SHIFT >= size)
				return -ENXIO;
			offset = (int64_t)max_u64((uint64_t)offset, at << PAGE_SHIFT);
		} else {
			while (cache_next(cache, at) == at)
				at++;
			offset = (int64_t)min_u64(max_u64((uint64_t)offset, at << PAGE_SHIFT), size);
		}
		break;
	default:
		return -EINVAL;
	}
	if (offset < 0)
		return -EINVAL;
	file->position = (uint64_t)offset;
	return offset;
}

static uint32_t regular_poll(struct file *file, struct poll_table *table)
{
	(void)file;
	(void)table;
	return 0x1 | 0x4 | 0x40 | 0x100; /* EPOLLIN, EPOLLOUT and their NORM forms: always ready */
}

static int regular_fsync(struct file *file, bool data_only)
{
	(void)file;
	(void)data_only;
	return 0; /* it lives in memory */
}

static int64_t regular_ioctl(struct file *file, uint32_t command, uint64_t argument)
{
	(void)file;
	(void)command;
	(void)argument;
	return -ENOTTY;
}

int regular_mmap(struct file *file, struct cache **cache, uint64_t offset, uint64_t bytes, int prot, int flags)
{
	struct inode *inode = file->inode;

	(void)offset;
	(void)bytes;
	if ((flags & MAP_TYPE) == MAP_SHARED && (prot & PROT_WRITE) && (inode->seals & (F_SEAL_WRITE | 0x10)))
		return -EPERM;
	*cache = &inode->cache;
	return 0;
}

/* Seals of memfd files (fcntl(2)). */
static int regular_fcntl(struct file *file, int command, uint64_t argument, int64_t *result)
{
	struct inode *inode = file->inode;

	switch (command) {
	case F_GET_SEALS:
		if (!(inode->flags & INODE_MEMFD))
			return -EINVAL;
		*result = inode->seals;
		return 0;
	case F_ADD_SEALS:
		if (!(inode->flags & INODE_MEMFD))
			return -EINVAL;
		if ((file->flags & O_ACCMODE) == O_RDONLY || (inode->seals & F_SEAL_SEAL))
			return -EPERM;
		if (argument & ~0x1full)
			return -EINVAL;
		if ((argument & F_SEAL_WRITE) && !list_empty(&inode->cache.mappings))
			return -EBUSY;
		inode->seals |= (uint32_t)argument;
		*result = 0;
		return 0;
	default:
		return -ENOTTY;
	}
}

const struct file_ops regular_file_ops = {
    .read = regular_read,
    .write = regular_write,
    .poll = regular_poll,
    .ioctl = regular_ioctl,
    .seek = regular_seek,
    .fsync = regular_fsync,
    .mmap = regular_mmap,
    .fcntl = regular_fcntl,
};

const struct file_ops path_file_ops = {0};
