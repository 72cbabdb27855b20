/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2): a counter behind a descriptor. */
#include <linux/eventpoll.h>
#include <linux/fcntl.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

/* No header for programs has these (Linux: include/linux/eventfd.h). */
#define EFD_SEMAPHORE 1u
#define EFD_CLOEXEC O_CLOEXEC
#define EFD_NONBLOCK O_NONBLOCK

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
	uint64_t count;
	bool semaphore;
	struct wait_queue wait;
};

static int64_t eventfd_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	struct eventfd *eventfd = file->data;
	(void)offset;

	if (bytes < sizeof(uint64_t))
		return -EINVAL;
	if (eventfd->count == 0) {
		if ((file->flags & O_NONBLOCK) != 0)
			return -EAGAIN;
		if (wait_until(&eventfd->wait, eventfd->count != 0, WAIT_FOREVER, true) != 0)
			return -ERESTARTSYS;
	}
	uint64_t value = eventfd->semaphore ? 1 : eventfd->count;
	eventfd->count -= value;
	wait_wake(&eventfd->wait, EPOLLOUT, 0);
	return io_write_to(to, 0, &value, sizeof(value)) != 0 ? -EFAULT : (int64_t)sizeof(value);
}

static int64_t eventfd_write(struct file *file, const struct io_buffer *from, uint64_t bytes, uint64_t *offset)
{
	struct eventfd *eventfd = file->data;
	uint64_t value;
	(void)offset;

	if (bytes < sizeof(value))
		return -EINVAL;
	if (io_read_from(from, 0, &value, sizeof(value)) != 0)
		return -EFAULT;
	if (value == UINT64_MAX)
		return -EINVAL;
	if (COUNT_MAX - eventfd->count < value) {
		if ((file->flags & O_NONBLOCK) != 0)
			return -EAGAIN;
		if (wait_until(&eventfd->wait, COUNT_MAX - eventfd->count >= value, WAIT_FOREVER, true) != 0)
			return -ERESTARTSYS;
	}
	eventfd->count += value;
	wait_wake(&eventfd->wait, EPOLLIN, 0);
	return (int64_t)sizeof(value);
}

static uint32_t eventfd_poll(struct file *file, struct poll_table *table)
{
	struct eventfd *eventfd = file->data;
	uint32_t events = 0;

	poll_wait(table, &eventfd->wait);
	if (eventfd->count > 0)
		events |= EPOLLIN;
	if (eventfd->count < COUNT_MAX)
		events |= EPOLLOUT;
	return events;
}

static void eventfd_release(struct file *file) { kfree(file->data); }

static void eventfd_describe(struct file *file, char *to, size_t size)
{
	(void)file;
	ksnprintf(to, size, "anon_inode:[eventfd]");
}

static const struct file_ops eventfd_ops = {
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .release = eventfd_release,
    .describe = eventfd_describe,
};

static int64_t eventfd_call(uint32_t count, uint32_t flags)
{
	struct eventfd *eventfd;
	struct file *file;

	if ((flags & ~(uint32_t)(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) != 0)
		return -EINVAL;
	eventfd = kzalloc(sizeof(*eventfd));
	if (eventfd == NULL)
		return -ENOMEM;
	eventfd->count = count;
	eventfd->semaphore = (flags & EFD_SEMAPHORE) != 0;
	wait_queue_init(&eventfd->wait);
	int r = file_new(&file, &eventfd_ops, NULL, O_RDWR | (flags & O_NONBLOCK), eventfd);
	if (r != 0) {
		kfree(eventfd);
		return r;
	}
	r = fd_install(file, 0, flags & O_CLOEXEC);
	if (r < 0)
		file_put(file);
	return r;
}

SYSCALL(eventfd) { return eventfd_call((uint32_t)args->arg[0], 0); }

SYSCALL(eventfd2) { return eventfd_call((uint32_t)args->arg[0], (uint32_t)args->arg[1]); }
