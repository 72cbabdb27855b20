/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard input, output and error, /dev/console and /dev/tty.
 *
 * Without a terminal (LAMPO_BOOT_TTY is not set) descriptors 0, 1 and 2 look like pipes: programs then do what
 * they do in a pipeline. With one they are /dev/console, a terminal with line discipline.
 */
#include "kernel/fs/tty.h"

#include <asm/signal.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>

#include "kernel/fs/tty_job.h"
#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/virtio/console.h"

#define WRITE_CHUNK 1024u
#define VTIME_UNIT_NS (NS_PER_SECOND / 10)

static struct tty *console_tty; /* NULL: no terminal */

/* ---- streams that are no terminal ---- */

static int64_t stream_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	(void)offset;
	if (bytes == 0)
		return 0;
	for (;;) {
		int64_t n = console_read_buffer(to, bytes);
		if (n != 0 || console_at_end())
			return n;
		if ((file->flags & O_NONBLOCK) != 0)
			return -EAGAIN;
		if (wait_until(&console_input_queue, console_readable(), WAIT_FOREVER, true) != 0)
			return -ERESTARTSYS;
	}
}

static unsigned stream_of(const struct file *file) { return (uint64_t)file->data == 2 ? 2 : 1; }

static int64_t stream_write(struct file *file, const struct io_buffer *from, uint64_t bytes, uint64_t *offset)
{
	(void)offset;
	int64_t n = console_write_buffer(stream_of(file), from, bytes, (file->flags & O_NONBLOCK) != 0);
	if (n == -EPIPE)
		signal_pipe();
	return n;
}

static uint32_t stream_poll(struct file *file, struct poll_table *table)
{
	uint32_t events = 0;
	if ((file->flags & O_ACCMODE) != O_WRONLY) {
		poll_wait(table, &console_input_queue);
		if (console_readable())
			events |= EPOLLIN | EPOLLRDNORM;
		if (console_at_end())
			events |= EPOLLHUP;
	}
	if ((file->flags & O_ACCMODE) != O_RDONLY) {
		poll_wait(table, console_output_queue(stream_of(file)));
		if (console_writable(stream_of(file)))
			events |= EPOLLOUT | EPOLLWRNORM;
		if (console_output_closed(stream_of(file)))
			events |= EPOLLERR;
	}
	return events;
}

static int64_t stream_ioctl(struct file *file, uint32_t command, uint64_t argument)
{
	(void)file;
	if (command != FIONREAD)
		return -ENOTTY;
	int bytes = (int)console_available();
	return user_put(argument, &bytes);
}

static void stream_describe(struct file *file, char *to, size_t size)
{
	ksnprintf(to, size, "pipe:[%lu]", file->inode != NULL ? file->inode->ino : 0);
}

static const struct file_ops stream_ops = {
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .ioctl = stream_ioctl,
    .describe = stream_describe,
};

/* ---- terminal ---- */

void tty_signal(struct tty *tty, int signal) { tty_group_signal(tty->pgrp, signal); }

void tty_echo_flush(struct tty *tty)
{
	unsigned done = (unsigned)console_write_try(1, tty->echo, tty->echo_bytes);
	tty->echo_bytes -= done;
	memmove(tty->echo, tty->echo + done, tty->echo_bytes);
}

/* Moves what has arrived into the line discipline. Does not sleep. */
static void tty_pull(struct tty *tty)
{
	tty_own_first(tty);
	for (;;) {
		while (tty->pending_done < tty->pending_bytes && tty_line_receive(tty, tty->pending[tty->pending_done]))
			tty->pending_done++;
		if (tty->pending_done < tty->pending_bytes)
			break;
		struct io_buffer to = {.address = (uint64_t)tty->pending};
		int64_t n = console_read_buffer(&to, sizeof(tty->pending));
		if (n <= 0)
			break;
		tty->pending_done = 0;
		tty->pending_bytes = (unsigned)n;
	}
	if (console_at_end() && tty->pending_done == tty->pending_bytes && !tty->input_ended) {
		tty->input_ended = true;
		wait_wake(&tty->queue, 0, 0);
	}
	tty_echo_flush(tty);
}

static void tty_input_hook(void) { tty_pull(console_tty); }

/* Waits until a read can return something: 0, or what it returns instead (-EAGAIN, ...). */
static int tty_read_wait(struct tty *tty, uint64_t bytes, bool nonblock)
{
	uint64_t deadline = WAIT_FOREVER, seen = 0;
	bool timed = false;

	for (;;) {
		tty_pull(tty);
		bool canonical = (tty->termios.c_lflag & ICANON) != 0;
		uint64_t minimum = tty->termios.c_cc[VMIN], time_ns = tty->termios.c_cc[VTIME] * VTIME_UNIT_NS;
		uint64_t present = tty->head - tty->tail;
		if (canonical ? tty_line_readable(tty, false) : present > 0 && present >= min_u64(minimum, bytes))
			return 0;
		if (tty->input_ended || (!canonical && minimum == 0 && time_ns == 0))
			return 0;
		if (nonblock)
			return !canonical && present > 0 ? 0 : -EAGAIN;
		/* VTIME runs from the call on without a minimum, else from each byte on. */
		if (!canonical && time_ns > 0 && (minimum == 0 ? !timed : present > seen))
			deadline = clock_deadline(time_ns);
		if (canonical || time_ns == 0)
			deadline = WAIT_FOREVER;
		timed = true;
		seen = present;
		int r = wait_until(&tty->queue,
				   tty->head - tty->tail != seen || tty->input_ended || tty_line_readable(tty, false),
				   deadline, true);
		if (r == -ETIMEDOUT)
			return 0;
		if (r != 0)
			return !canonical && tty->head != tty->tail ? 0 : -ERESTARTSYS;
	}
}

static int64_t tty_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	struct tty *tty = console_tty;
	(void)offset;
	int r = tty_job_control(tty, SIGTTIN);
	if (r != 0 || bytes == 0)
		return r;
	r = tty_read_wait(tty, bytes, (file->flags & O_NONBLOCK) != 0);
	if (r != 0)
		return r;

	unsigned room = (unsigned)min_u64(bytes, TTY_BUFFER_BYTES);
	uint8_t *data = kmalloc(room);
	if (data == NULL)
		return -ENOMEM;
	unsigned n = tty_line_take(tty, data, room);
	int64_t result = n == 0 || io_write_to(to, 0, data, n) == 0 ? (int64_t)n : -EFAULT;
	kfree(data);
	tty_pull(tty); /* there is room again */
	return result;
}

/* Output processing on: through a buffer. */
static int64_t tty_write_processed(struct tty *tty, const struct io_buffer *from, uint64_t bytes, bool nonblock)
{
	uint8_t *buffer = kmalloc(WRITE_CHUNK + PAGE_SIZE);
	uint64_t done = 0;
	int64_t r = buffer == NULL ? -ENOMEM : 0;

	while (r >= 0 && done < bytes) {
		unsigned chunk = (unsigned)min_u64(bytes - done, WRITE_CHUNK), used;
		r = io_read_from(from, done, buffer, chunk);
		if (r == 0 && nonblock && !console_writable(1))
			r = -EAGAIN;
		if (r != 0)
			break;
		unsigned column = tty->column;
		unsigned n = tty_line_output(tty, buffer, chunk, &used, buffer + WRITE_CHUNK, PAGE_SIZE);
		r = console_write(1, buffer + WRITE_CHUNK, n);
		if (r < 0)
			tty->column = column;
		else
			done += used;
	}
	kfree(buffer);
	return done > 0 ? (int64_t)done : r;
}

static int64_t tty_write(struct file *file, const struct io_buffer *from, uint64_t bytes, uint64_t *offset)
{
	struct tty *tty = console_tty;
	bool nonblock = (file->flags & O_NONBLOCK) != 0;
	(void)offset;

	if ((tty->termios.c_lflag & TOSTOP) != 0) {
		int r = tty_job_control(tty, SIGTTOU);
		if (r != 0)
			return r;
	}
	if (tty->stopped && nonblock)
		return -EAGAIN;
	if (wait_until(&tty->queue, !tty->stopped, WAIT_FOREVER, true) != 0)
		return -ERESTARTSYS;
	tty_echo_flush(tty);
	int64_t n = (tty->termios.c_oflag & OPOST) == 0 ? console_write_buffer(1, from, bytes, nonblock)
							: tty_write_processed(tty, from, bytes, nonblock);
	return n == -EPIPE ? -EIO : n;
}

static uint32_t tty_poll(struct file *file, struct poll_table *table)
{
	struct tty *tty = console_tty;
	uint32_t events = 0;
	(void)file;

	poll_wait(table, &tty->queue);
	poll_wait(table, console_output_queue(1));
	tty_pull(tty);
	if (tty_line_readable(tty, true))
		events |= EPOLLIN | EPOLLRDNORM;
	if (tty->input_ended)
		events |= EPOLLIN | EPOLLRDNORM | EPOLLHUP;
	if (!tty->stopped && console_writable(1))
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

static int64_t tty_file_ioctl(struct file *file, uint32_t command, uint64_t argument)
{
	(void)file;
	return tty_ioctl(console_tty, command, argument);
}

static const struct file_ops tty_ops = {
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_file_ioctl,
};

/* ---- opening ---- */

static int console_device_open(struct inode *inode, struct file *file)
{
	(void)inode;
	file->ops = console_tty != NULL ? &tty_ops : &stream_ops;
	file->data = (void *)1;
	if (console_tty != NULL)
		tty_own_first(console_tty);
	return 0;
}

static int tty_device_open(struct inode *inode, struct file *file)
{
	if (console_tty != NULL)
		tty_own_first(console_tty);
	if (console_tty == NULL || current->process == NULL || current->process->sid != console_tty->session)
		return -ENXIO;
	return console_device_open(inode, file);
}

void tty_init(void)
{
	static const struct char_device devices[] = {
	    {.major = 5, .minor = 0, .name = "tty", .mode = 0666, .open = tty_device_open},
	    {.major = 5, .minor = 1, .name = "console", .mode = 0600, .open = console_device_open},
	};

	for (unsigned i = 0; i < countof(devices); i++)
		char_device_register(&devices[i]);
	if ((boot_info->flags & LAMPO_BOOT_TTY) == 0)
		return;
	struct tty *tty = kzalloc(sizeof(*tty));
	if (tty == NULL || (tty->buffer = kmalloc(TTY_BUFFER_BYTES)) == NULL)
		return;
	tty_line_init(tty);
	console_tty = tty;
	console_input_hook = tty_input_hook;
	/* Ctrl-C must work before anybody reads. */
	tty_pull(tty);
}

int console_open(unsigned stream, struct file **file)
{
	static struct file *console;

	if (console_tty != NULL) {
		/* As a login does: one open file behind all three. */
		if (console != NULL) {
			*file = file_get(console);
			return 0;
		}
		int r = file_open("/dev/console", O_RDWR, 0, file);
		if (r == 0)
			console = *file;
		return r;
	}
	struct inode *inode = inode_new_anonymous(S_IFIFO | 0600);
	if (inode == NULL)
		return -ENOMEM;
	int r = file_new(file, &stream_ops, inode, stream == 0 ? O_RDONLY : O_WRONLY, (void *)(uint64_t)stream);
	if (r != 0)
		inode_put(inode);
	return r;
}
