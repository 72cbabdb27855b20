/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify(7). Events come from fs_notify() calls of the file layer, so only for what the guest itself does;
 * changes that the host makes to a shared directory are not seen.
 */
#include "kernel/fs/inotify.h"

#include <asm/ioctls.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>

#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

unsigned inotify_watches;

#define EVENTS_MAX 16384u  /* /proc/sys/fs/inotify/max_queued_events */
#define WATCHES_MAX 65536u /* max_user_watches, of one descriptor here */

struct inotify_queue {
	struct list watches; /* watch.node */
	struct list events;  /* event.node */
	unsigned watch_count, event_count;
	uint64_t event_bytes; /* as read() gives them */
	int next_wd;
	struct wait_queue wait;
};

struct watch {
	struct list node;
	struct inotify_queue *queue;
	struct inode *inode; /* a reference */
	struct watch *next;  /* in inode->watches */
	int wd;
	uint32_t mask;
};

struct event {
	struct list node;
	uint32_t name_bytes;       /* with padding, 0: no name */
	struct inotify_event head; /* ends with the name */
};

static void event_add(struct inotify_queue *queue, int wd, uint32_t mask, uint32_t cookie, const char *name)
{
	size_t length = name != NULL ? strlen(name) : 0;
	uint32_t name_bytes = name != NULL ? (uint32_t)align_up(length + 1, sizeof(struct inotify_event)) : 0;

	if (!list_empty(&queue->events)) {
		/* The same event twice in a row is told once. */
		struct event *last = list_entry(queue->events.prev, struct event, node);
		if (last->head.wd == wd && last->head.mask == mask && last->head.cookie == cookie &&
		    last->name_bytes == name_bytes && (name == NULL || strcmp(last->head.name, name) == 0))
			return;
	}
	if (queue->event_count >= EVENTS_MAX) {
		if (queue->event_count > EVENTS_MAX)
			return;
		wd = -1;
		mask = IN_Q_OVERFLOW;
		name_bytes = 0;
		length = 0;
	}
	struct event *event = kzalloc(sizeof(*event) + name_bytes);
	if (event == NULL)
		return;
	event->name_bytes = name_bytes;
	event->head.wd = wd;
	event->head.mask = mask;
	event->head.cookie = cookie;
	event->head.len = name_bytes;
	if (name_bytes > 0)
		memcpy(event->head.name, name, length);
	list_add_tail(&queue->events, &event->node);
	queue->event_count++;
	queue->event_bytes += sizeof(struct inotify_event) + name_bytes;
	wait_wake(&queue->wait, EPOLLIN | EPOLLRDNORM, 0);
}

static void event_free(struct inotify_queue *queue, struct event *event)
{
	list_remove(&event->node);
	queue->event_count--;
	queue->event_bytes -= sizeof(struct inotify_event) + event->name_bytes;
	kfree(event);
}

static void watch_free(struct watch *watch)
{
	for (struct watch **at = (struct watch **)&watch->inode->watches; *at != NULL; at = &(*at)->next) {
		if (*at == watch) {
			*at = watch->next;
			break;
		}
	}
	list_remove(&watch->node);
	watch->queue->watch_count--;
	inotify_watches--;
	inode_put(watch->inode);
	kfree(watch);
}

void inotify_event(struct inode *inode, uint32_t mask, uint32_t cookie, const char *name)
{
	struct watch *next;
	for (struct watch *watch = inode->watches; watch != NULL; watch = next) {
		next = watch->next;
		if ((mask & watch->mask & IN_ALL_EVENTS) == 0 && (mask & IN_UNMOUNT) == 0)
			continue;
		event_add(watch->queue, watch->wd, mask, cookie, name);
		bool last = (watch->mask & IN_ONESHOT) != 0 || (mask & IN_DELETE_SELF) != 0;
		if (!last)
			continue;
		event_add(watch->queue, watch->wd, IN_IGNORED, 0, NULL);
		watch_free(watch);
	}
}

void inotify_event_dentry(struct dentry *dentry, uint32_t mask)
{
	if (dentry == NULL || dentry->inode == NULL)
		return;
	if (inode_is_dir(dentry->inode))
		mask |= IN_ISDIR;
	inotify_event(dentry->inode, mask, 0, NULL);
	if (dentry->parent != NULL && dentry->parent != dentry && dentry->parent->inode != NULL)
		inotify_event(dentry->parent->inode, mask, 0, dentry->name);
}

void inotify_removed(struct inode *dir, struct inode *victim, const char *name)
{
	inotify_event(dir, IN_DELETE | (inode_is_dir(victim) ? IN_ISDIR : 0), 0, name);
	inotify_event(victim, victim->nlink == 0 || inode_is_dir(victim) ? IN_DELETE_SELF : IN_ATTRIB, 0, NULL);
}

uint32_t fs_notify_cookie(void)
{
	static uint32_t cookie;
	return ++cookie;
}

/* ---- the descriptor ---- */

static int64_t inotify_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	struct inotify_queue *queue = file->data;
	uint64_t done = 0;
	(void)offset;

	if (list_empty(&queue->events)) {
		if ((file->flags & O_NONBLOCK) != 0)
			return -EAGAIN;
		if (wait_until(&queue->wait, !list_empty(&queue->events), WAIT_FOREVER, true) != 0)
			return -ERESTARTSYS;
	}
	while (!list_empty(&queue->events)) {
		struct event *event = list_first(&queue->events, struct event, node);
		uint64_t size = sizeof(event->head) + event->name_bytes;
		if (size > bytes - done)
			return done > 0 ? (int64_t)done : -EINVAL;
		/* Off the queue first: writing may sleep, and another reader must not see it too. */
		list_remove(&event->node);
		int r = io_write_to(to, done, &event->head, sizeof(event->head));
		if (r == 0 && event->name_bytes > 0)
			r = io_write_to(to, done + sizeof(event->head), event->head.name, event->name_bytes);
		event_free(queue, event);
		if (r != 0)
			return done > 0 ? (int64_t)done : -EFAULT;
		done += size;
	}
	return (int64_t)done;
}

static uint32_t inotify_poll(struct file *file, struct poll_table *table)
{
	struct inotify_queue *queue = file->data;
	poll_wait(table, &queue->wait);
	return list_empty(&queue->events) ? 0 : EPOLLIN | EPOLLRDNORM;
}

static int64_t inotify_ioctl(struct file *file, uint32_t command, uint64_t argument)
{
	struct inotify_queue *queue = file->data;
	int bytes = (int)queue->event_bytes;
	return command == FIONREAD ? user_put(argument, &bytes) : -ENOTTY;
}

static void inotify_release(struct file *file)
{
	struct inotify_queue *queue = file->data;
	while (!list_empty(&queue->watches))
		watch_free(list_first(&queue->watches, struct watch, node));
	while (!list_empty(&queue->events))
		event_free(queue, list_first(&queue->events, struct event, node));
	kfree(queue);
}

static void inotify_describe(struct file *file, char *to, size_t size)
{
	(void)file;
	ksnprintf(to, size, "anon_inode:inotify");
}

static const struct file_ops inotify_ops = {
    .read = inotify_read,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .release = inotify_release,
    .describe = inotify_describe,
};

static int64_t inotify_new(uint32_t flags)
{
	struct file *file;

	if ((flags & ~(uint32_t)(IN_CLOEXEC | IN_NONBLOCK)) != 0)
		return -EINVAL;
	struct inotify_queue *queue = kzalloc(sizeof(*queue));
	if (queue == NULL)
		return -ENOMEM;
	list_init(&queue->watches);
	list_init(&queue->events);
	wait_queue_init(&queue->wait);
	queue->next_wd = 1;
	int r = file_new(&file, &inotify_ops, NULL, O_RDONLY | (flags & O_NONBLOCK), queue);
	if (r != 0) {
		kfree(queue);
		return r;
	}
	r = fd_install(file, 0, flags & O_CLOEXEC);
	if (r < 0)
		file_put(file);
	return r;
}

SYSCALL(inotify_init)
{
	SYSCALL_UNUSED_ARGS;
	return inotify_new(0);
}

SYSCALL(inotify_init1) { return inotify_new((uint32_t)args->arg[0]); }

static int watch_add(struct inotify_queue *queue, struct inode *inode, uint32_t mask)
{
	for (struct watch *watch = inode->watches; watch != NULL; watch = watch->next) {
		if (watch->queue != queue)
			continue;
		if ((mask & IN_MASK_CREATE) != 0)
			return -EEXIST;
		watch->mask = (mask & IN_MASK_ADD) != 0 ? watch->mask | mask : mask;
		return watch->wd;
	}
	if (queue->watch_count >= WATCHES_MAX)
		return -ENOSPC;
	struct watch *watch = kzalloc(sizeof(*watch));
	if (watch == NULL)
		return -ENOMEM;
	watch->queue = queue;
	watch->inode = inode_get(inode);
	watch->mask = mask;
	watch->wd = queue->next_wd++;
	watch->next = inode->watches;
	inode->watches = watch;
	list_add_tail(&queue->watches, &watch->node);
	queue->watch_count++;
	inotify_watches++;
	return watch->wd;
}

SYSCALL(inotify_add_watch)
{
	uint32_t mask = (uint32_t)args->arg[2];
	struct dentry *dentry;

	if ((mask & IN_ALL_EVENTS) == 0 || (mask & (IN_MASK_ADD | IN_MASK_CREATE)) == (IN_MASK_ADD | IN_MASK_CREATE))
		return -EINVAL;
	struct file *file = fd_get((int)args->arg[0]);
	if (file == NULL)
		return -EBADF;
	int r = file->ops != &inotify_ops ? -EINVAL : 0;
	if (r == 0)
		r = path_lookup(AT_FDCWD, args->arg[1],
				((mask & IN_DONT_FOLLOW) == 0 ? WALK_FOLLOW : 0) |
				    ((mask & IN_ONLYDIR) != 0 ? WALK_DIRECTORY : 0),
				&dentry);
	if (r == 0) {
		r = inode_permission(dentry->inode, MAY_READ);
		if (r == 0)
			r = watch_add(file->data, dentry->inode, mask);
		dentry_put(dentry);
	}
	file_put(file);
	return r;
}

SYSCALL(inotify_rm_watch)
{
	int wd = (int)args->arg[1], r = -EINVAL;
	struct file *file = fd_get((int)args->arg[0]);
	if (file == NULL)
		return -EBADF;
	if (file->ops == &inotify_ops) {
		struct inotify_queue *queue = file->data;
		list_for_each_safe(node, &queue->watches)
		{
			struct watch *watch = list_entry(node, struct watch, node);
			if (watch->wd != wd)
				continue;
			event_add(queue, wd, IN_IGNORED, 0, NULL);
			watch_free(watch);
			r = 0;
			break;
		}
	}
	file_put(file);
	return r;
}
