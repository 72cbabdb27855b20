/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on the data of files. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dev/fs_internal.h"

/* Of a guest's open flags, those that matter here. Appending is asked for with each write instead. */
#define OPEN_FLAGS (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC)
/* One request copies at most this much, so that it stays short. */
#define COPY_BYTES_MAX (16u << 20)
#define RETRIES 8

static bool flags_write(uint32_t flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC); }

/* Opens a regular file for the guest and gives it a handle. */
static int open_handle(struct fs_request *r, struct fs_node *node, uint32_t flags, struct fuse_open_out *out)
{
	bool writable = (flags & O_ACCMODE) != O_RDONLY;
	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if (flags_write(flags) && fs_node_is_read_only(r->fs, node))
		return -EROFS;
	if (flags_write(flags) && node->place.visibility != FS_VISIBLE_ALL)
		return -EACCES;
	if (!fs_handle_available(r->fs))
		return -ENFILE;
	int fd = fs_node_open(r->fs, node, (int)(flags & OPEN_FLAGS));
	if (fd < 0)
		return fd;
	*out = (struct fuse_open_out){.open_flags = fs_node_is_read_only(r->fs, node) ? FOPEN_KEEP_CACHE : 0};
	return fs_handle_add(r->fs, node, fd, writable, &out->fh);
}

int fs_op_open(struct fs_request *r)
{
	struct fuse_open_in in;
	memcpy(&in, r->args, sizeof(in));
	if (S_ISDIR(r->node->type))
		return -EISDIR;
	int error = open_handle(r, r->node, in.flags, (struct fuse_open_out *)r->out);
	if (error < 0)
		return error;
	r->out_bytes = sizeof(struct fuse_open_out);
	return 0;
}

/* Makes a file and opens it in one step, since its mode may forbid to open it again: descriptor or -errno. */
static int create_file(struct fs_request *r, const char *name, const struct fuse_create_in *in)
{
	uint32_t mode = in->mode & ~in->umask & 0777u; /* no set-user-id files on the host */
	int flags = (int)(in->flags & OPEN_FLAGS & ~(uint32_t)O_TRUNC);
	return fs_open_step(r->node->fd, name, flags | O_CREAT | O_EXCL | O_NONBLOCK | O_NOCTTY, mode);
}

/* Gives the new file a handle, if it is still the one under that name. */
static int created_handle(struct fs_request *r, struct fs_node *node, int fd, uint32_t flags, struct fuse_open_out *out)
{
	struct statx st;
	int error = fs_stat(fd, "", &st);
	if (error == 0 && !fs_node_is(node, &st))
		error = -ESTALE;
	if (error < 0) {
		close(fd);
		return error;
	}
	*out = (struct fuse_open_out){0};
	return fs_handle_add(r->fs, node, fd, (flags & O_ACCMODE) != O_RDONLY, &out->fh);
}

/* As for other new names, but a name that the filter itself has may be opened if it is there. */
static int may_create(struct fs_request *r, const char *name)
{
	struct fs_place place;
	if (!S_ISDIR(r->node->type))
		return -ENOTDIR;
	bool shown = fs_filter_step(&r->fs->exports[r->node->export].filter, r->node->place, name, &place);
	if (!shown || place.visibility != FS_VISIBLE_ALL || r->node->place.visibility != FS_VISIBLE_ALL)
		return -EACCES;
	return fs_handle_available(r->fs) ? 0 : -ENFILE;
}

int fs_op_create(struct fs_request *r)
{
	struct fuse_create_in in;
	const char *name;
	size_t offset = sizeof(in);
	memcpy(&in, r->args, sizeof(in));
	int error = fs_request_name(r, &offset, &name);
	if (error == 0)
		error = (in.flags & O_ACCMODE) == O_ACCMODE ? -EINVAL : may_create(r, name);
	if (error < 0)
		return error;
	int fd = create_file(r, name, &in);
	if (fd < 0 && (fd != -EEXIST || (in.flags & O_EXCL)))
		return fd;

	struct fuse_entry_out *entry = (struct fuse_entry_out *)r->out;
	struct fuse_open_out *open = (struct fuse_open_out *)(entry + 1);
	struct fs_node *node;
	struct statx st;
	error = fs_node_lookup(r->fs, r->node, name, false, &node, &st);
	if (error < 0) {
		if (fd >= 0)
			close(fd);
		return error;
	}
	if (fd >= 0)
		error = created_handle(r, node, fd, in.flags, open);
	else
		error = S_ISDIR(node->type) ? -EISDIR : open_handle(r, node, in.flags, open);
	if (error == 0 && fd < 0 && (in.flags & O_TRUNC))
		error = fs_node_stat(r->fs, node, &st);
	if (error < 0) {
		fs_node_forget(r->fs, node, 1);
		return error;
	}
	fs_fill_entry(r->fs, node, &st, entry);
	r->out_bytes = sizeof(*entry) + sizeof(*open);
	return 0;
}

static struct fs_handle *file_handle(struct fs_request *r, uint64_t id)
{
	struct fs_handle *handle = fs_handle_get(r->fs, id);
	return handle == NULL || handle->directory ? NULL : handle;
}

/* The same for data, which may also come to the node itself. */
static struct fs_handle *data_handle(struct fs_request *r, uint64_t id, bool writable, int *error)
{
	struct fs_handle *handle = fs_handle_for(r->fs, id, r->in.nodeid, writable, error);
	if (handle != NULL && handle->directory)
		*error = -EISDIR;
	return handle == NULL || handle->directory ? NULL : handle;
}

int fs_op_release(struct fs_request *r)
{
	struct fuse_release_in in;
	memcpy(&in, r->args, sizeof(in));
	struct fs_handle *handle = file_handle(r, in.fh);
	if (handle == NULL)
		return -EBADF;
	fs_handle_close(r->fs, handle);
	return 0;
}

/* Straight into the guest's buffers. A short count would mean end of file to the guest, so only the host's
 * end of file ends the loop. */
int fs_op_read(struct fs_request *r)
{
	struct fuse_read_in in;
	const struct virtqueue_chain *chain = &r->fs->chain;
	memcpy(&in, r->args, sizeof(in));
	int error;
	struct fs_handle *handle = data_handle(r, in.fh, false, &error);
	if (handle == NULL)
		return error;
	const uint64_t skip = sizeof(struct fuse_out_header);
	uint64_t wanted = min_u64(in.size, chain->writable_bytes - skip), done = 0;
	if (in.offset > INT64_MAX - VIRTQUEUE_CHAIN_BYTES_MAX)
		return -EINVAL;
	unsigned interrupted = 0;
	while (done < wanted) {
		unsigned count = virtqueue_chain_slice(chain, true, skip + done, wanted - done, r->fs->slice);
		ssize_t n = preadv(handle->fd, r->fs->slice, (int)count, (off_t)(in.offset + done));
		if (n < 0 && errno == EINTR && interrupted++ < RETRIES)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (uint64_t)n;
	}
	r->placed = true;
	r->out_bytes = done;
	return 0;
}

/* Straight from the guest's buffers. */
int fs_op_write(struct fs_request *r)
{
	struct fuse_write_in in;
	const struct virtqueue_chain *chain = &r->fs->chain;
	memcpy(&in, r->args, sizeof(in));
	int error;
	struct fs_handle *handle = data_handle(r, in.fh, true, &error);
	if (handle == NULL)
		return error;
	const uint64_t skip = sizeof(struct fuse_in_header) + sizeof(in);
	if (in.size > r->in.len - skip || in.offset > INT64_MAX - VIRTQUEUE_CHAIN_BYTES_MAX)
		return -EINVAL;
	unsigned count = virtqueue_chain_slice(chain, false, skip, in.size, r->fs->slice);
	ssize_t n = 0;
	for (unsigned i = 0; count > 0 && i < RETRIES; i++) {
		/* O_APPEND is of the guest's open file as it is now, so it comes with each write. */
		if (in.flags & O_APPEND)
			n = pwritev2(handle->fd, r->fs->slice, (int)count, 0, RWF_APPEND);
		else
			n = pwritev(handle->fd, r->fs->slice, (int)count, (off_t)in.offset);
		if (n >= 0 || errno != EINTR)
			break;
	}
	if (n < 0)
		return -errno;
	*(struct fuse_write_out *)r->out = (struct fuse_write_out){.size = (uint32_t)n};
	r->out_bytes = sizeof(struct fuse_write_out);
	return 0;
}

int fs_op_flush(struct fs_request *r)
{
	struct fuse_flush_in in;
	memcpy(&in, r->args, sizeof(in));
	return file_handle(r, in.fh) == NULL ? -EBADF : 0;
}

/* Also FSYNCDIR. */
int fs_op_fsync(struct fs_request *r)
{
	struct fuse_fsync_in in;
	memcpy(&in, r->args, sizeof(in));
	int error;
	struct fs_handle *handle = fs_handle_for(r->fs, in.fh, r->in.nodeid, false, &error);
	if (handle == NULL)
		return error;
	const struct fs_node *node = &r->fs->nodes[handle->node];
	if (fs_node_is_read_only(r->fs, node) || node->place.visibility != FS_VISIBLE_ALL)
		return 0;
	int n = (in.fsync_flags & FUSE_FSYNC_FDATASYNC) ? fdatasync(handle->fd) : fsync(handle->fd);
	return n < 0 ? -errno : 0;
}

int fs_op_syncfs(struct fs_request *r)
{
	if (fs_node_is_read_only(r->fs, r->node))
		return 0;
	int fd = fs_node_open(r->fs, r->node, O_RDONLY);
	if (fd < 0)
		return fd;
	int error = syncfs(fd) < 0 ? -errno : 0;
	close(fd);
	return error;
}

int fs_op_lseek(struct fs_request *r)
{
	struct fuse_lseek_in in;
	memcpy(&in, r->args, sizeof(in));
	int error;
	struct fs_handle *handle = data_handle(r, in.fh, false, &error);
	if (handle == NULL)
		return error;
	/* The other kinds need no host, and data are read and written at offsets of their own. */
	if ((in.whence != SEEK_DATA && in.whence != SEEK_HOLE) || in.offset > INT64_MAX)
		return -EINVAL;
	off_t at = lseek(handle->fd, (off_t)in.offset, (int)in.whence);
	if (at < 0)
		return -errno;
	*(struct fuse_lseek_out *)r->out = (struct fuse_lseek_out){.offset = (uint64_t)at};
	r->out_bytes = sizeof(struct fuse_lseek_out);
	return 0;
}

int fs_op_fallocate(struct fs_request *r)
{
	struct fuse_fallocate_in in;
	memcpy(&in, r->args, sizeof(in));
	int error;
	struct fs_handle *handle = data_handle(r, in.fh, true, &error);
	if (handle == NULL)
		return error;
	if (in.mode & ~(uint32_t)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (in.offset > INT64_MAX || in.length > INT64_MAX - in.offset)
		return -EFBIG;
	return fallocate(handle->fd, (int)in.mode, (off_t)in.offset, (off_t)in.length) < 0 ? -errno : 0;
}

int fs_op_copy_file_range(struct fs_request *r)
{
	struct fuse_copy_file_range_in in;
	memcpy(&in, r->args, sizeof(in));
	struct fs_handle *from = file_handle(r, in.fh_in), *to = file_handle(r, in.fh_out);
	if (from == NULL || to == NULL || !to->writable)
		return -EBADF;
	if (in.flags != 0 || in.off_in > INT64_MAX - COPY_BYTES_MAX || in.off_out > INT64_MAX - COPY_BYTES_MAX)
		return -EINVAL;
	off_t off_in = (off_t)in.off_in, off_out = (off_t)in.off_out;
	ssize_t n = copy_file_range(from->fd, &off_in, to->fd, &off_out, min_u64(in.len, COPY_BYTES_MAX), 0);
	if (n < 0)
		return -errno;
	*(struct fuse_write_out *)r->out = (struct fuse_write_out){.size = (uint32_t)n};
	r->out_bytes = sizeof(struct fuse_write_out);
	return 0;
}
