/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes and FIFOs. */
#include <asm/ioctls.h>
#include <linux/capability.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/limits.h>

#include "kernel/fs/ring.h"
#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define PIPE_PAGES 16u
#define PIPE_PAGES_MAX 256u         /* /proc/sys/fs/pipe-max-size: 1 MiB */
#define PIPE_PAGES_PRIVILEGED 4096u /* with CAP_SYS_RESOURCE */

struct pipe {
	struct ring ring;
	unsigned readers, writers; /* open files with that right */
	unsigned files;
	unsigned reader_opens, writer_opens; /* ever; for the waits of opening a FIFO */
	struct wait_queue read_wait, write_wait, open_wait;
};

static bool can_read(const struct file *file) { return (file->flags & O_ACCMODE) != O_WRONLY; }
static bool can_write(const struct file *file) { return (file->flags & O_ACCMODE) != O_RDONLY; }

static struct pipe *pipe_new(void)
{
	struct pipe *pipe = kzalloc(sizeof(*pipe));
	if (pipe == NULL)
		return NULL;
	if (ring_init(&pipe->ring, PIPE_PAGES) != 0) {
		kfree(pipe);
		return NULL;
	}
	wait_queue_init(&pipe->read_wait);
	wait_queue_init(&pipe->write_wait);
	wait_queue_init(&pipe->open_wait);
	return pipe;
}

static void pipe_free(struct pipe *pipe)
{
	ring_fini(&pipe->ring);
	kfree(pipe);
}

static int64_t pipe_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	struct pipe *pipe = file->data;
	(void)offset;

	if (bytes == 0)
		return 0;
	for (;;) {
		uint64_t part = min_u64(bytes, ring_bytes(&pipe->ring));
		if (part == 0) {
			if (pipe->writers == 0)
				return 0;
			if ((file->flags & O_NONBLOCK) != 0)
				return -EAGAIN;
			if (wait_until(&pipe->read_wait, ring_bytes(&pipe->ring) != 0 || pipe->writers == 0,
				       WAIT_FOREVER, true) != 0)
				return -ERESTARTSYS;
			continue;
		}
		if (ring_prepare(to, 0, &part, true) != 0)
			return -EFAULT;
		/* Another reader may have been quicker while that slept: then there is nothing to take. */
		uint64_t room = ring_room(&pipe->ring);
		uint64_t done = ring_peek(&pipe->ring, 0, to, 0, part);
		if (done == 0)
			continue;
		ring_drop(&pipe->ring, done);
		/* No writer waits while a whole small write fits. */
		if (room < PIPE_BUF)
			wait_wake(&pipe->write_wait, EPOLLOUT | EPOLLWRNORM, 0);
		return (int64_t)done;
	}
}

static int64_t pipe_write(struct file *file, const struct io_buffer *from, uint64_t bytes, uint64_t *offset)
{
	struct pipe *pipe = file->data;
	uint64_t done = 0, needed = bytes <= PIPE_BUF ? bytes : 1;
	(void)offset;

	while (done < bytes) {
		uint64_t part = min_u64(bytes - done, max_u64(ring_room(&pipe->ring), PIPE_BUF));
		uint64_t wanted = part;
		if (ring_prepare(from, done, &part, false) != 0)
			return done > 0 ? (int64_t)done : -EFAULT;
		if (part < wanted && bytes <= PIPE_BUF)
			needed = part; /* only the buffer's beginning exists */
		if (pipe->readers == 0) {
			signal_pipe();
			return done > 0 ? (int64_t)done : -EPIPE;
		}
		if (ring_room(&pipe->ring) < needed) {
			if ((file->flags & O_NONBLOCK) != 0)
				return done > 0 ? (int64_t)done : -EAGAIN;
			if (wait_until(&pipe->write_wait, ring_room(&pipe->ring) >= needed || pipe->readers == 0,
				       WAIT_FOREVER, true) != 0)
				return done > 0 ? (int64_t)done : -ERESTARTSYS;
			continue;
		}
		uint64_t put = ring_put(&pipe->ring, from, done, part);
		wait_wake(&pipe->read_wait, EPOLLIN | EPOLLRDNORM, 0);
		if (put == 0)
			return done > 0 ? (int64_t)done : -ENOMEM;
		done += put;
		if (part < wanted && put == part && bytes <= PIPE_BUF)
			break;
	}
	return (int64_t)done;
}

static uint32_t pipe_poll(struct file *file, struct poll_table *table)
{
	struct pipe *pipe = file->data;
	uint32_t events = 0;

	if (can_read(file)) {
		poll_wait(table, &pipe->read_wait);
		if (ring_bytes(&pipe->ring) != 0)
			events |= EPOLLIN | EPOLLRDNORM;
		/* A FIFO that nobody has opened for writing since the reader came has not been hung up;
		 * position is the count of such opens before. */
		if (pipe->writers == 0 && pipe->writer_opens != file->position)
			events |= EPOLLHUP;
	}
	if (can_write(file)) {
		poll_wait(table, &pipe->write_wait);
		if (ring_room(&pipe->ring) >= PIPE_BUF)
			events |= EPOLLOUT | EPOLLWRNORM;
		if (pipe->readers == 0)
			events |= EPOLLERR;
	}
	return events;
}

static int64_t pipe_ioctl(struct file *file, uint32_t command, uint64_t argument)
{
	struct pipe *pipe = file->data;
	int bytes = (int)ring_bytes(&pipe->ring);
	return command == FIONREAD ? user_put(argument, &bytes) : -ENOTTY;
}

static int pipe_resize(struct pipe *pipe, uint64_t bytes)
{
	bool privileged = (current->process->credentials.cap_effective & 1ull << CAP_SYS_RESOURCE) != 0;
	uint64_t slots = 1;

	if (bytes > INT32_MAX)
		return -EINVAL;
	while (slots * PAGE_SIZE < bytes)
		slots *= 2;
	if (slots > pipe->ring.slots && slots > (privileged ? PIPE_PAGES_PRIVILEGED : PIPE_PAGES_MAX))
		return -EPERM;
	int r = ring_resize(&pipe->ring, (unsigned)slots);
	if (r == 0)
		wait_wake(&pipe->write_wait, EPOLLOUT | EPOLLWRNORM, 0);
	return r;
}

static int pipe_fcntl(struct file *file, int command, uint64_t argument, int64_t *result)
{
	struct pipe *pipe = file->data;
	int r = 0;

	if (command == F_SETPIPE_SZ)
		r = pipe_resize(pipe, argument & 0xffffffff);
	else if (command != F_GETPIPE_SZ)
		return -ENOTTY;
	*result = (int64_t)ring_size(&pipe->ring);
	return r;
}

static void pipe_release(struct file *file)
{
	struct pipe *pipe = file->data;

	if (can_read(file))
		pipe->readers--;
	if (can_write(file))
		pipe->writers--;
	if (--pipe->files == 0) {
		/* A FIFO's content goes with its last file. */
		if (file->inode != NULL && file->inode->data == pipe)
			file->inode->data = NULL;
		pipe_free(pipe);
		return;
	}
	if (pipe->writers == 0)
		wait_wake(&pipe->read_wait, EPOLLHUP, 0);
	if (pipe->readers == 0)
		wait_wake(&pipe->write_wait, EPOLLERR, 0);
}

static void pipe_describe(struct file *file, char *to, size_t size)
{
	ksnprintf(to, size, "pipe:[%lu]", file->inode != NULL ? file->inode->ino : 0);
}

static const struct file_ops pipe_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .fcntl = pipe_fcntl,
    .release = pipe_release,
    .describe = pipe_describe,
};
static const struct file_ops fifo_ops = {
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .fcntl = pipe_fcntl,
    .release = pipe_release,
};

/* Counts a new file of the pipe. */
static void pipe_attach(struct pipe *pipe, struct file *file, const struct file_ops *ops)
{
	file->ops = ops;
	file->data = pipe;
	pipe->files++;
	if (can_read(file)) {
		pipe->readers++;
		pipe->reader_opens++;
	}
	if (can_write(file)) {
		pipe->writers++;
		pipe->writer_opens++;
	}
}

/* Both ends, or -errno. */
static int pipe_new_files(uint32_t flags, struct file *files[2])
{
	struct inode *inode = inode_new_anonymous(S_IFIFO | 0600);
	struct pipe *pipe = pipe_new();
	int r = -ENOMEM;

	if (inode == NULL || pipe == NULL)
		goto out_free;
	r = file_new(&files[0], NULL, inode_get(inode), O_RDONLY | flags, NULL);
	if (r != 0) {
		inode_put(inode);
		goto out_free;
	}
	r = file_new(&files[1], NULL, inode, O_WRONLY | flags, NULL);
	if (r != 0) {
		file_put(files[0]);
		goto out_free;
	}
	pipe_attach(pipe, files[0], &pipe_ops);
	pipe_attach(pipe, files[1], &pipe_ops);
	return 0;
out_free:
	if (inode != NULL)
		inode_put(inode);
	if (pipe != NULL)
		pipe_free(pipe);
	return r;
}

static int64_t pipe_call(uint64_t fds_va, uint64_t flags)
{
	struct file *files[2];
	int fds[2], r;

	/* O_DIRECT (packets) is refused, as kernels without it do (pipe(2)). */
	if ((flags & ~(uint64_t)(O_NONBLOCK | O_CLOEXEC)) != 0)
		return -EINVAL;
	r = pipe_new_files((uint32_t)flags & O_NONBLOCK, files);
	if (r != 0)
		return r;
	fds[0] = fd_install(files[0], 0, (uint32_t)flags & O_CLOEXEC);
	if (fds[0] < 0) {
		r = fds[0];
		file_put(files[0]);
		file_put(files[1]);
		return r;
	}
	fds[1] = fd_install(files[1], 0, (uint32_t)flags & O_CLOEXEC);
	if (fds[1] < 0) {
		r = fds[1];
		fd_close(fds[0]);
		file_put(files[1]);
		return r;
	}
	if (user_put(fds_va, &fds) != 0) {
		fd_close(fds[0]);
		fd_close(fds[1]);
		return -EFAULT;
	}
	return 0;
}

SYSCALL(pipe) { return pipe_call(args->arg[0], 0); }

SYSCALL(pipe2) { return pipe_call(args->arg[0], args->arg[1] & 0xffffffff); }

/* ---- FIFOs ---- */

/* The other side must be there, unless O_NONBLOCK or both directions are asked for (fifo(7)). */
static int fifo_wait_peer(struct pipe *pipe, struct file *file)
{
	bool nonblock = (file->flags & O_NONBLOCK) != 0;
	unsigned opens;

	wait_wake(&pipe->open_wait, 0, 0);
	if (can_read(file) && can_write(file))
		return 0;
	if (can_read(file)) {
		if (pipe->writers > 0)
			return 0;
		if (nonblock) {
			file->position = pipe->writer_opens;
			return 0;
		}
		/* Counted by opens: a writer that has come and gone meanwhile counts too. */
		opens = pipe->writer_opens;
		return wait_until(&pipe->open_wait, pipe->writer_opens != opens, WAIT_FOREVER, true) != 0 ? -ERESTARTSYS
													  : 0;
	}
	if (pipe->readers > 0)
		return 0;
	if (nonblock)
		return -ENXIO;
	opens = pipe->reader_opens;
	return wait_until(&pipe->open_wait, pipe->reader_opens != opens, WAIT_FOREVER, true) != 0 ? -ERESTARTSYS : 0;
}

int fifo_open(struct inode *inode, struct file *file)
{
	struct pipe *pipe = inode->data;
	if (pipe == NULL) {
		pipe = pipe_new();
		if (pipe == NULL)
			return -ENOMEM;
		inode->data = pipe;
	}
	pipe_attach(pipe, file, &fifo_ops);
	int r = fifo_wait_peer(pipe, file);
	if (r != 0) {
		/* The caller does not release a file whose open failed. */
		pipe_release(file);
		file->ops = NULL;
		file->data = NULL;
	}
	return r;
}

void fifo_free(struct inode *inode)
{
	if (inode->data != NULL)
		pipe_free(inode->data);
	inode->data = NULL;
}
