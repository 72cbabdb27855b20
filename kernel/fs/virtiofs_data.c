/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes: the data of files, through the page cache and written through to the host. */
#include <linux/fcntl.h>

#include "kernel/fs/virtiofs.h"
#include "kernel/proc/process.h"
#include "kernel/virtio/virtio.h"

static int virtiofs_fill(struct cache *cache, uint64_t index, struct page **pages, unsigned count)
{
	struct virtiofs_inode *v = virtiofs_of(cache->owner);

	return fuse_fill(v->node.device, v->node.id, index, pages, count, cache->size);
}

static int virtiofs_write_back(struct cache *cache, uint64_t index, struct page *page, uint64_t bytes)
{
	struct virtiofs_inode *v = virtiofs_of(cache->owner);
	int64_t written = bytes == 0 ? 0
				     : fuse_write(v->node.device, v->node.id, index << PAGE_SHIFT, page_address(page),
						  (uint32_t)bytes);

	v->wrote = true;
	if (written < 0)
		return (int)written;
	return (uint64_t)written == bytes ? 0 : -EIO;
}

static int virtiofs_write_back_many(struct cache *cache, uint64_t index, struct page **pages, unsigned count,
				    uint64_t bytes)
{
	struct virtiofs_inode *v = virtiofs_of(cache->owner);
	struct fuse_segment segments[FUSE_WRITE_MAX / PAGE_SIZE];

	while (count > 0 && bytes > 0) {
		uint64_t now = min_u64(min_u64(count, countof(segments)) << PAGE_SHIFT, bytes), left = now;
		unsigned n = 0;
		int64_t written;

		for (; left > 0; n++) {
			segments[n] = (struct fuse_segment){page_address(pages[n]), (uint32_t)min_u64(left, PAGE_SIZE)};
			left -= segments[n].bytes;
		}
		written = fuse_write_segments(v->node.device, v->node.id, index << PAGE_SHIFT, segments, n);
		v->wrote = true;
		if (written < 0)
			return (int)written;
		if ((uint64_t)written != now)
			return -EIO;
		pages += n;
		count -= n;
		index += n;
		bytes -= now;
	}
	return 0;
}

const struct cache_ops virtiofs_cache_ops = {
    .fill = virtiofs_fill,
    .write_back = virtiofs_write_back,
    .write_back_many = virtiofs_write_back_many,
};

static int64_t virtiofs_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	int64_t result = virtiofs_refresh(file->inode);

	if (result < 0)
		return result;
	result = cache_read(&file->inode->cache, *offset, to->address, bytes, to->user);
	if (result > 0)
		*offset += (uint64_t)result;
	return result;
}

/* Pages that are cached get what the host has got; the others are read when somebody wants them. */
static void update_cache(struct cache *cache, uint64_t offset, const uint8_t *data, uint64_t bytes)
{
	while (bytes > 0) {
		uint64_t in_page = offset & (PAGE_SIZE - 1), n = min_u64(PAGE_SIZE - in_page, bytes);
		struct page *page = cache_peek(cache, offset >> PAGE_SHIFT);

		if (page != NULL) {
			memcpy((uint8_t *)page_address(page) + in_page, data, n);
			page_put(page);
		}
		offset += n;
		data += n;
		bytes -= n;
	}
}

static int64_t virtiofs_write(struct file *file, const struct io_buffer *from, uint64_t bytes, uint64_t *offset)
{
	struct inode *inode = file->inode;
	struct virtiofs_inode *v = virtiofs_of(inode);
	uint64_t done = 0, limit = current->process->limits[RLIMIT_FSIZE].rlim_cur;
	unsigned order = bytes > PAGE_SIZE ? bytes > 4 * PAGE_SIZE ? 4 : 2 : 0;
	uint8_t *bounce;
	int64_t result = 0;

	if (bytes == 0)
		return 0;
	bounce = pages_alloc(order);
	if (bounce == NULL)
		return -ENOMEM;
	mutex_lock(&inode->mutex);
	if (file->flags & O_APPEND) {
		v->checked_ns = 0; /* the end is where the host says */
		result = virtiofs_refresh(inode);
		*offset = inode->cache.size;
	}
	if (result == 0 && (*offset >= limit || *offset >= INT64_MAX)) {
		signal_send_thread(current, SIGXFSZ, NULL);
		result = -EFBIG;
	}
	while (result >= 0 && done < bytes) {
		uint64_t n = min_u64(min_u64(bytes - done, PAGE_SIZE << order), limit - (*offset + done));

		if (n == 0)
			break;
		result = io_read_from(from, done, bounce, n) < 0 ? -EFAULT : 0;
		if (result == 0)
			result = fuse_write(v->node.device, v->node.id, *offset + done, bounce, (uint32_t)n);
		if (result <= 0)
			break;
		update_cache(&inode->cache, *offset + done, bounce, (uint64_t)result);
		done += (uint64_t)result;
		inode->cache.size = max_u64(inode->cache.size, *offset + done);
	}
	if (done > 0) {
		*offset += done;
		inode_touch(inode, INODE_TOUCH_MTIME | INODE_TOUCH_CTIME);
		v->wrote = true;
	}
	mutex_unlock(&inode->mutex);
	pages_free(bounce, order);
	return done > 0 ? (int64_t)done : result;
}

static int virtiofs_fsync(struct file *file, bool data_only)
{
	struct virtiofs_inode *v = virtiofs_of(file->inode);
	struct fuse_fsync_in *request;
	struct fuse_segment in;
	int64_t result = cache_write_back(&file->inode->cache);

	if (result < 0 || (file->inode->super->flags & SUPER_READ_ONLY))
		return (int)result;
	request = kzalloc(sizeof(*request));
	if (request == NULL)
		return -ENOMEM;
	request->fh = LAMPO_FH_NODE;
	request->fsync_flags = data_only ? FUSE_FSYNC_FDATASYNC : 0;
	in = (struct fuse_segment){request, sizeof(*request)};
	result = fuse_request(v->node.device, FUSE_FSYNC, v->node.id, &in, 1, NULL, 0);
	kfree(request);
	return (int)result;
}

static void virtiofs_release(struct file *file)
{
	if ((file->flags & O_ACCMODE) != O_RDONLY)
		(void)cache_write_back(&file->inode->cache);
}

static uint32_t virtiofs_poll(struct file *file, struct poll_table *table)
{
	return regular_file_ops.poll(file, table);
}

const struct file_ops virtiofs_file_ops = {
    .read = virtiofs_read,
    .write = virtiofs_write,
    .poll = virtiofs_poll,
    .seek = regular_seek,
    .fsync = virtiofs_fsync,
    .mmap = regular_mmap,
    .release = virtiofs_release,
};

int virtiofs_fallocate(struct inode *inode, int mode, uint64_t offset, uint64_t bytes)
{
	struct virtiofs_inode *v = virtiofs_of(inode);
	struct fuse_fallocate_in *request = kzalloc(sizeof(*request));
	struct fuse_segment in = {request, sizeof(*request)};
	int64_t got;

	if (request == NULL)
		return -ENOMEM;
	request->fh = LAMPO_FH_NODE;
	request->offset = offset;
	request->length = bytes;
	request->mode = (uint32_t)mode;
	got = cache_write_back(&inode->cache);
	if (got == 0)
		got = fuse_request(v->node.device, FUSE_FALLOCATE, v->node.id, &in, 1, NULL, 0);
	kfree(request);
	if (got < 0)
		return (int)got;
	if (mode & ~1) /* holes: what is cached may be wrong now */
		cache_truncate(&inode->cache, 0);
	v->checked_ns = 0;
	v->wrote = true;
	if (!(mode & 1) && offset + bytes > inode->cache.size)
		inode->cache.size = offset + bytes;
	return 0;
}
