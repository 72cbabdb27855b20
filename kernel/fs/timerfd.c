/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd_create(2). All clocks are kept as times of CLOCK_MONOTONIC. */
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/timerfd.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/proc/timer.h"
#include "kernel/sys/syscall.h"

struct timerfd {
	struct timer timer;
	int clock;
	uint64_t next_ns;     /* of the first expiration that is not counted yet; 0: disarmed */
	uint64_t interval_ns; /* 0: once */
	uint64_t expirations; /* counted, not read */
	struct wait_queue wait;
};

static void timerfd_count(struct timerfd *timerfd)
{
	uint64_t now = clock_monotonic();
	if (timerfd->next_ns == 0 || now < timerfd->next_ns)
		return;
	if (timerfd->interval_ns == 0) {
		timerfd->expirations++;
		timerfd->next_ns = 0;
		return;
	}
	uint64_t passed = (now - timerfd->next_ns) / timerfd->interval_ns + 1;
	timerfd->expirations += passed;
	timerfd->next_ns += passed * timerfd->interval_ns;
}

/* As in Linux, a periodic timer is started again when it is read: until then there is nobody to tell. */
static void timerfd_fire(struct timer *timer)
{
	struct timerfd *timerfd = container_of(timer, struct timerfd, timer);
	timerfd_count(timerfd);
	wait_wake(&timerfd->wait, EPOLLIN, 0);
}

static int64_t timerfd_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	struct timerfd *timerfd = file->data;
	(void)offset;

	if (bytes < sizeof(uint64_t))
		return -EINVAL;
	timerfd_count(timerfd);
	if (timerfd->expirations == 0) {
		if ((file->flags & O_NONBLOCK) != 0)
			return -EAGAIN;
		if (wait_until(&timerfd->wait, timerfd->expirations != 0, WAIT_FOREVER, true) != 0)
			return -ERESTARTSYS;
		timerfd_count(timerfd);
	}
	uint64_t value = timerfd->expirations;
	timerfd->expirations = 0;
	timer_start(&timerfd->timer, timerfd->next_ns != 0 ? timerfd->next_ns : WAIT_FOREVER);
	return io_write_to(to, 0, &value, sizeof(value)) != 0 ? -EFAULT : (int64_t)sizeof(value);
}

static uint32_t timerfd_poll(struct file *file, struct poll_table *table)
{
	struct timerfd *timerfd = file->data;
	poll_wait(table, &timerfd->wait);
	return timerfd->expirations > 0 ? EPOLLIN : 0;
}

static void timerfd_release(struct file *file)
{
	struct timerfd *timerfd = file->data;
	timer_cancel(&timerfd->timer);
	kfree(timerfd);
}

static void timerfd_describe(struct file *file, char *to, size_t size)
{
	(void)file;
	ksnprintf(to, size, "anon_inode:[timerfd]");
}

static const struct file_ops timerfd_ops = {
    .read = timerfd_read,
    .poll = timerfd_poll,
    .release = timerfd_release,
    .describe = timerfd_describe,
};

SYSCALL(timerfd_create)
{
	int clock = (int)args->arg[0];
	uint32_t flags = (uint32_t)args->arg[1];
	struct file *file;

	if ((flags & ~(uint32_t)(TFD_CLOEXEC | TFD_NONBLOCK)) != 0)
		return -EINVAL;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
	    clock != CLOCK_REALTIME_ALARM && clock != CLOCK_BOOTTIME_ALARM)
		return -EINVAL;
	struct timerfd *timerfd = kzalloc(sizeof(*timerfd));
	if (timerfd == NULL)
		return -ENOMEM;
	timer_init(&timerfd->timer, timerfd_fire);
	timerfd->clock = clock;
	wait_queue_init(&timerfd->wait);
	int r = file_new(&file, &timerfd_ops, NULL, O_RDWR | (flags & O_NONBLOCK), timerfd);
	if (r != 0) {
		kfree(timerfd);
		return r;
	}
	r = fd_install(file, 0, flags & O_CLOEXEC);
	if (r < 0)
		file_put(file);
	return r;
}

/* The timer behind fd, the file with a reference. */
static int timerfd_get(uint64_t fd, struct file **file)
{
	*file = fd_get((int)fd);
	if (*file == NULL)
		return -EBADF;
	if ((*file)->ops == &timerfd_ops)
		return 0;
	file_put(*file);
	return -EINVAL;
}

static int timerfd_put_setting(uint64_t va, struct timerfd *timerfd)
{
	uint64_t now = clock_monotonic();
	timerfd_count(timerfd);
	if (timerfd->interval_ns != 0 && timerfd->expirations > 0 && !timerfd->timer.queued)
		timer_start(&timerfd->timer, timerfd->next_ns);
	uint64_t left = timerfd->next_ns == 0 ? 0 : max_u64(timerfd->next_ns > now ? timerfd->next_ns - now : 0, 1);
	int r = timespec_write(va + offsetof(struct __kernel_itimerspec, it_interval), timerfd->interval_ns);
	return r != 0 ? r : timespec_write(va + offsetof(struct __kernel_itimerspec, it_value), left);
}

static uint64_t timerfd_first(const struct timerfd *timerfd, uint64_t value_ns, bool absolute)
{
	if (value_ns == 0)
		return 0;
	if (!absolute)
		return clock_deadline(value_ns);
	if (timerfd->clock == CLOCK_REALTIME || timerfd->clock == CLOCK_REALTIME_ALARM)
		return max_u64(clock_realtime_to_monotonic(value_ns), 1);
	return value_ns;
}

SYSCALL(timerfd_settime)
{
	uint64_t value, interval, new = args->arg[2];
	struct file *file;

	if ((args->arg[1] & ~(uint64_t)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) & 0xffffffff) != 0)
		return -EINVAL;
	int r = timespec_read(new + offsetof(struct __kernel_itimerspec, it_value), &value);
	if (r == 0)
		r = timespec_read(new + offsetof(struct __kernel_itimerspec, it_interval), &interval);
	if (r == 0)
		r = timerfd_get(args->arg[0], &file);
	if (r != 0)
		return r;
	struct timerfd *timerfd = file->data;
	if (args->arg[3] != 0)
		r = timerfd_put_setting(args->arg[3], timerfd);
	if (r == 0) {
		timerfd->next_ns = timerfd_first(timerfd, value, (args->arg[1] & TFD_TIMER_ABSTIME) != 0);
		timerfd->interval_ns = interval;
		timerfd->expirations = 0;
		timer_start(&timerfd->timer, timerfd->next_ns != 0 ? timerfd->next_ns : WAIT_FOREVER);
	}
	file_put(file);
	return r;
}

SYSCALL(timerfd_gettime)
{
	struct file *file;
	int r = timerfd_get(args->arg[0], &file);
	if (r != 0)
		return r;
	r = timerfd_put_setting(args->arg[1], file->data);
	file_put(file);
	return r;
}
