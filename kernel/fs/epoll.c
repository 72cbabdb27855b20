/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll(7). An entry sits on the wait queues of its file; a wake puts it on the set's ready list, and
 * epoll_wait asks the files on that list what is really there.
 */
#include "kernel/fs/epoll.h"

#include <linux/eventpoll.h>
#include <linux/fcntl.h>

#include "kernel/fs/poll.h"
#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define NESTING_MAX 5u
#define BUCKETS_FIRST 16u
#define EVENTS_INLINE 16u
#define PRIVATE_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)

struct epoll {
	struct file *file; /* no reference */
	struct list ready; /* item.ready_node */
	unsigned ready_count;
	struct list *buckets; /* item.node, by descriptor */
	unsigned bucket_count, count;
	struct wait_queue wait; /* epoll_wait and polls of the set itself */
};

struct item_waiter {
	struct waiter waiter;
	struct item_waiter *next;
};

struct item {
	struct list node, file_node, ready_node;
	struct epoll *epoll;
	struct file *file; /* no reference: the file's release drops the item */
	int fd;
	uint32_t events;
	uint64_t data;
	bool ready;
	unsigned waiter_count;
	struct item_waiter first; /* most files have one queue */
};

struct item_table {
	struct poll_table table;
	struct item *item;
	bool failed;
};

static const struct file_ops epoll_ops;

static struct epoll *epoll_of(const struct file *file) { return file->ops == &epoll_ops ? file->data : NULL; }

/* ---- entries ---- */

static void item_make_ready(struct item *item)
{
	if (item->ready)
		return;
	item->ready = true;
	list_add_tail(&item->epoll->ready, &item->ready_node);
	item->epoll->ready_count++;
}

static void item_unready(struct item *item)
{
	if (!item->ready)
		return;
	item->ready = false;
	list_remove(&item->ready_node);
	item->epoll->ready_count--;
}

static void item_wake(struct waiter *waiter, uint32_t events)
{
	struct item *item = waiter->context;

	/* A one-shot entry that has fired only keeps its private bits. */
	if ((item->events & ~(uint32_t)PRIVATE_BITS) == 0)
		return;
	if (events != 0 && (events & item->events) == 0)
		return;
	waiter->woken = false;
	item_make_ready(item);
	/* One sleeper is enough for one event; those who poll the set itself are not exclusive. */
	wait_wake(&item->epoll->wait, EPOLLIN | EPOLLRDNORM, 1);
}

static void item_poll_add(struct poll_table *table, struct wait_queue *queue)
{
	struct item_table *items = container_of(table, struct item_table, table);
	struct item *item = items->item;
	struct item_waiter *waiter = &item->first;

	if (item->waiter_count > 0) {
		waiter = kmalloc(sizeof(*waiter));
		if (waiter == NULL) {
			items->failed = true;
			return;
		}
		waiter->next = item->first.next;
		item->first.next = waiter;
	}
	waiter_init(&waiter->waiter);
	waiter->waiter.thread = NULL;
	waiter->waiter.wake = item_wake;
	waiter->waiter.context = item;
	waiter->waiter.exclusive = (item->events & EPOLLEXCLUSIVE) != 0;
	wait_add(queue, &waiter->waiter);
	item->waiter_count++;
}

static void item_free(struct item *item)
{
	item_unready(item);
	list_remove(&item->node);
	list_remove(&item->file_node);
	item->epoll->count--;
	if (item->waiter_count > 0)
		wait_remove(&item->first.waiter);
	while (item->first.next != NULL) {
		struct item_waiter *waiter = item->first.next;
		item->first.next = waiter->next;
		wait_remove(&waiter->waiter);
		kfree(waiter);
	}
	kfree(item);
}

static uint32_t item_poll(struct item *item, struct poll_table *table)
{
	return file_poll(item->file, table) & item->events;
}

static struct item *item_find(const struct epoll *epoll, const struct file *file, int fd)
{
	const struct list *bucket = &epoll->buckets[(unsigned)fd & (epoll->bucket_count - 1)];
	list_for_each(node, bucket)
	{
		struct item *item = list_entry(node, struct item, node);
		if (item->fd == fd && item->file == file)
			return item;
	}
	return NULL;
}

static int buckets_grow(struct epoll *epoll, unsigned count)
{
	struct list *buckets = kmalloc(count * sizeof(*buckets));
	if (buckets == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		list_init(&buckets[i]);
	for (unsigned i = 0; i < epoll->bucket_count; i++) {
		list_for_each_safe(node, &epoll->buckets[i])
		{
			struct item *item = list_entry(node, struct item, node);
			list_remove(node);
			list_add(&buckets[(unsigned)item->fd & (count - 1)], node);
		}
	}
	kfree(epoll->buckets);
	epoll->buckets = buckets;
	epoll->bucket_count = count;
	return 0;
}

void epoll_file_released(struct file *file)
{
	while (!list_empty(&file->epoll_watches))
		item_free(list_first(&file->epoll_watches, struct item, file_node));
}

/* ---- the set as a file ---- */

static uint32_t epoll_poll(struct file *file, struct poll_table *table)
{
	struct epoll *epoll = file->data;
	poll_wait(table, &epoll->wait);
	list_for_each_safe(node, &epoll->ready)
	{
		struct item *item = list_entry(node, struct item, ready_node);
		if (item_poll(item, NULL) != 0)
			return EPOLLIN | EPOLLRDNORM;
		item_unready(item); /* its event is gone again */
	}
	return 0;
}

static void epoll_release(struct file *file)
{
	struct epoll *epoll = file->data;
	for (unsigned i = 0; i < epoll->bucket_count; i++)
		while (!list_empty(&epoll->buckets[i]))
			item_free(list_first(&epoll->buckets[i], struct item, node));
	kfree(epoll->buckets);
	kfree(epoll);
}

static void epoll_describe(struct file *file, char *to, size_t size)
{
	(void)file;
	ksnprintf(to, size, "anon_inode:[eventpoll]");
}

static const struct file_ops epoll_ops = {
    .poll = epoll_poll,
    .release = epoll_release,
    .describe = epoll_describe,
};

static int64_t epoll_create_call(uint32_t flags)
{
	struct file *file;
	struct epoll *epoll = kzalloc(sizeof(*epoll));
	if (epoll == NULL)
		return -ENOMEM;
	list_init(&epoll->ready);
	wait_queue_init(&epoll->wait);
	int r = buckets_grow(epoll, BUCKETS_FIRST);
	if (r == 0)
		r = file_new(&file, &epoll_ops, NULL, O_RDWR, epoll);
	if (r != 0) {
		kfree(epoll->buckets);
		kfree(epoll);
		return r;
	}
	epoll->file = file;
	r = fd_install(file, 0, flags & O_CLOEXEC);
	if (r < 0)
		file_put(file);
	return r;
}

SYSCALL(epoll_create) { return (int)args->arg[0] <= 0 ? -EINVAL : epoll_create_call(0); }

SYSCALL(epoll_create1)
{
	uint32_t flags = (uint32_t)args->arg[0];
	return (flags & ~(uint32_t)EPOLL_CLOEXEC) != 0 ? -EINVAL : epoll_create_call(flags);
}

/* ---- epoll_ctl ---- */

/* Sets below this one: -ELOOP if `searched` is among them or they are nested too deep. */
static int check_below(const struct epoll *epoll, const struct epoll *searched, unsigned depth)
{
	if (epoll == searched || depth > NESTING_MAX)
		return -ELOOP;
	for (unsigned i = 0; i < epoll->bucket_count; i++) {
		list_for_each(node, &epoll->buckets[i])
		{
			const struct epoll *below = epoll_of(list_entry(node, struct item, node)->file);
			int r = below != NULL ? check_below(below, searched, depth + 1) : 0;
			if (r != 0)
				return r;
		}
	}
	return 0;
}

/* How many sets are above this one, at most. */
static unsigned depth_above(const struct epoll *epoll, unsigned depth)
{
	unsigned deepest = depth;
	if (depth > NESTING_MAX)
		return depth;
	list_for_each(node, &epoll->file->epoll_watches)
	{
		unsigned d = depth_above(list_entry(node, struct item, file_node)->epoll, depth + 1);
		deepest = d > deepest ? d : deepest;
	}
	return deepest;
}

/* Registers with the file's queues, and is ready at once if there is something already. */
static int item_start(struct item *item)
{
	struct item_table table = {.table = {.add = item_poll_add}, .item = item};
	uint32_t found = item_poll(item, &table.table);
	if (table.failed) {
		item_free(item);
		return -ENOMEM;
	}
	if (found != 0) {
		item_make_ready(item);
		wait_wake(&item->epoll->wait, EPOLLIN | EPOLLRDNORM, 1);
	}
	return 0;
}

static int epoll_add(struct epoll *epoll, struct file *file, int fd, const struct epoll_event *event)
{
	struct epoll *below = epoll_of(file);

	if (below != NULL) {
		if ((event->events & EPOLLEXCLUSIVE) != 0)
			return -EINVAL;
		int r = check_below(below, epoll, depth_above(epoll, 1));
		if (r != 0)
			return r;
	}
	if ((event->events & EPOLLEXCLUSIVE) != 0 &&
	    (event->events &
	     ~(uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)) != 0)
		return -EINVAL;
	if (epoll->count >= epoll->bucket_count * 4)
		buckets_grow(epoll, epoll->bucket_count * 4); /* not grown: slower, no more */
	struct item *item = kzalloc(sizeof(*item));
	if (item == NULL)
		return -ENOMEM;
	item->epoll = epoll;
	item->file = file;
	item->fd = fd;
	item->events = event->events | EPOLLERR | EPOLLHUP;
	item->data = event->data;
	list_init(&item->ready_node);
	list_add(&epoll->buckets[(unsigned)fd & (epoll->bucket_count - 1)], &item->node);
	list_add(&file->epoll_watches, &item->file_node);
	epoll->count++;
	return item_start(item);
}

static int epoll_modify(struct item *item, const struct epoll_event *event)
{
	if (((item->events | event->events) & EPOLLEXCLUSIVE) != 0)
		return -EINVAL;
	item->events = event->events | EPOLLERR | EPOLLHUP;
	item->data = event->data;
	if (item_poll(item, NULL) != 0) {
		item_make_ready(item);
		wait_wake(&item->epoll->wait, EPOLLIN | EPOLLRDNORM, 1);
	}
	return 0;
}

static int epoll_control(struct file *set, struct file *file, int operation, int fd, const struct epoll_event *event)
{
	struct epoll *epoll = epoll_of(set);

	/* What is always ready cannot be waited for. */
	if (file->ops == NULL || file->ops->poll == NULL ||
	    (file->inode != NULL && (inode_is_regular(file->inode) || inode_is_dir(file->inode))))
		return -EPERM;
	if (epoll == NULL || file == set)
		return -EINVAL;
	if (operation == EPOLL_CTL_MOD && (event->events & EPOLLEXCLUSIVE) != 0)
		return -EINVAL;
	struct item *item = item_find(epoll, file, fd);
	switch (operation) {
	case EPOLL_CTL_ADD:
		return item != NULL ? -EEXIST : epoll_add(epoll, file, fd, event);
	case EPOLL_CTL_MOD:
		return item == NULL ? -ENOENT : epoll_modify(item, event);
	case EPOLL_CTL_DEL:
		if (item == NULL)
			return -ENOENT;
		item_free(item);
		return 0;
	default:
		return -EINVAL;
	}
}

SYSCALL(epoll_ctl)
{
	int operation = (int)args->arg[1], fd = (int)args->arg[2], r = -EBADF;
	struct epoll_event event = {0};

	if (operation != EPOLL_CTL_DEL && user_get(&event, args->arg[3]) != 0)
		return -EFAULT;
	struct file *set = fd_get((int)args->arg[0]);
	struct file *file = set != NULL ? fd_get(fd) : NULL;
	if (file != NULL)
		r = epoll_control(set, file, operation, fd, &event);
	if (file != NULL)
		file_put(file);
	if (set != NULL)
		file_put(set);
	return r;
}

/* ---- epoll_wait ---- */

/* Takes up to `room` events off the ready list. */
static unsigned epoll_collect(struct epoll *epoll, struct epoll_event *events, unsigned room)
{
	unsigned count = 0;
	/* Level-triggered entries go to the end again: each is looked at once. */
	for (unsigned left = epoll->ready_count; left > 0 && count < room; left--) {
		struct item *item = list_first(&epoll->ready, struct item, ready_node);
		item_unready(item);
		uint32_t found = item_poll(item, NULL);
		if (found == 0)
			continue;
		events[count].events = found;
		events[count++].data = item->data;
		if ((item->events & EPOLLONESHOT) != 0)
			item->events &= PRIVATE_BITS;
		else if ((item->events & EPOLLET) == 0)
			item_make_ready(item);
	}
	return count;
}

/* Delivers what there is: number of events, 0, -EFAULT. */
static int64_t epoll_deliver(struct epoll *epoll, uint64_t va, unsigned room)
{
	struct epoll_event small[EVENTS_INLINE], *events = small;
	unsigned wanted = room < epoll->ready_count ? room : epoll->ready_count;

	if (wanted == 0)
		return 0;
	/* First, so that no edge gets lost on a bad address. May sleep: the list is looked at again below. */
	if (user_prepare(va, wanted * sizeof(struct epoll_event), true) != 0)
		return -EFAULT;
	if (wanted > EVENTS_INLINE && (events = kmalloc(wanted * sizeof(*events))) == NULL) {
		events = small;
		wanted = EVENTS_INLINE;
	}
	unsigned count = epoll_collect(epoll, events, wanted);
	int64_t result = count;
	if (count > 0 && user_write(va, events, count * sizeof(*events)) != 0)
		result = -EFAULT;
	if (events != small)
		kfree(events);
	return result;
}

/* Another thread may go on with what this one has left. */
static void epoll_pass_on(struct epoll *epoll)
{
	if (epoll->ready_count > 0)
		wait_wake(&epoll->wait, EPOLLIN | EPOLLRDNORM, 1);
}

static int64_t epoll_wait_loop(struct epoll *epoll, uint64_t va, unsigned room, uint64_t deadline_ns)
{
	for (;;) {
		int64_t count = epoll_deliver(epoll, va, room);
		if (count != 0) {
			epoll_pass_on(epoll);
			return count;
		}
		if (deadline_ns == 0)
			return 0;
		if (epoll->ready_count > 0)
			continue; /* something came while the last look slept */
		struct waiter waiter;
		waiter_init(&waiter);
		waiter.exclusive = true;
		wait_add(&epoll->wait, &waiter);
		int r = wait_sleep(&waiter, deadline_ns, true);
		wait_remove(&waiter);
		if (r != 0 && epoll->ready_count == 0)
			return r == -ETIMEDOUT ? 0 : r;
		if (r != 0)
			deadline_ns = 0; /* a last look */
	}
}

static int64_t epoll_wait_call(const struct syscall_args *args, uint64_t deadline_ns)
{
	int room = (int)args->arg[2];
	if (room <= 0 || (unsigned)room > INT32_MAX / sizeof(struct epoll_event))
		return -EINVAL;
	struct file *file = fd_get((int)args->arg[0]);
	if (file == NULL)
		return -EBADF;
	struct epoll *epoll = epoll_of(file);
	int64_t result = epoll != NULL ? epoll_wait_loop(epoll, args->arg[1], (unsigned)room, deadline_ns) : -EINVAL;
	file_put(file);
	return result;
}

static uint64_t deadline_of_ms(uint64_t argument)
{
	int ms = (int)argument;
	return ms < 0 ? WAIT_FOREVER : ms == 0 ? 0 : clock_deadline((uint64_t)ms * NS_PER_MS);
}

SYSCALL(epoll_wait) { return epoll_wait_call(args, deadline_of_ms(args->arg[3])); }

static int64_t epoll_wait_masked(const struct syscall_args *args, uint64_t deadline_ns)
{
	int r = signal_temporary_mask(args->arg[4], args->arg[5]);
	if (r != 0)
		return r;
	int64_t result = epoll_wait_call(args, deadline_ns);
	signal_temporary_mask_end(result == -EINTR);
	return result;
}

SYSCALL(epoll_pwait) { return epoll_wait_masked(args, deadline_of_ms(args->arg[3])); }

SYSCALL(epoll_pwait2)
{
	uint64_t deadline = WAIT_FOREVER, relative;
	if (args->arg[3] != 0) {
		int r = timespec_read(args->arg[3], &relative);
		if (r != 0)
			return r;
		deadline = relative == 0 ? 0 : clock_deadline(relative);
	}
	return epoll_wait_masked(args, deadline);
}
