/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd(2): pending signals of whoever reads. */
#include <asm/signal.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/signalfd.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

struct signalfd {
	uint64_t set;
};

/* Pending for the calling thread, blocked or not. */
static bool signalfd_ready(const struct signalfd *signalfd)
{
	return ((current->signals.set | current->process->signals.set) & signalfd->set) != 0;
}

static void signalfd_fill(struct signalfd_siginfo *to, int signal, const siginfo_t *info)
{
	memset(to, 0, sizeof(*to));
	to->ssi_signo = (uint32_t)signal;
	to->ssi_errno = info->si_errno;
	to->ssi_code = info->si_code;
	to->ssi_pid = (uint32_t)info->si_pid;
	to->ssi_uid = (uint32_t)info->si_uid;
	if (signal == SIGCHLD) {
		to->ssi_status = info->si_status;
		to->ssi_utime = (uint64_t)info->si_utime;
		to->ssi_stime = (uint64_t)info->si_stime;
	} else if (info->si_code == SI_TIMER) {
		to->ssi_pid = to->ssi_uid = 0;
		to->ssi_tid = (uint32_t)info->si_tid;
		to->ssi_overrun = (uint32_t)info->si_overrun;
		to->ssi_int = info->si_int;
		to->ssi_ptr = (uint64_t)info->si_ptr;
	} else if (info->si_code < 0) {
		to->ssi_int = info->si_int;
		to->ssi_ptr = (uint64_t)info->si_ptr;
	} else if (info->si_code > 0 &&
		   (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE)) {
		to->ssi_pid = to->ssi_uid = 0;
		to->ssi_addr = (uint64_t)info->si_addr;
	}
}

static int64_t signalfd_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	struct signalfd *signalfd = file->data;
	struct signalfd_siginfo out;
	siginfo_t info;
	uint64_t done = 0;
	(void)offset;

	if (bytes < sizeof(out))
		return -EINVAL;
	while (bytes - done >= sizeof(out)) {
		int signal = signal_dequeue(signalfd->set, &info);
		if (signal == 0) {
			if (done > 0)
				break;
			if ((file->flags & O_NONBLOCK) != 0)
				return -EAGAIN;
			if (wait_until(&current->process->signal_wait, signalfd_ready(signalfd), WAIT_FOREVER, true) !=
			    0)
				return -ERESTARTSYS;
			continue;
		}
		signalfd_fill(&out, signal, &info);
		if (io_write_to(to, done, &out, sizeof(out)) != 0)
			return done > 0 ? (int64_t)done : -EFAULT;
		done += sizeof(out);
	}
	return (int64_t)done;
}

static uint32_t signalfd_poll(struct file *file, struct poll_table *table)
{
	poll_wait(table, &current->process->signal_wait);
	return signalfd_ready(file->data) ? EPOLLIN : 0;
}

static void signalfd_release(struct file *file) { kfree(file->data); }

static void signalfd_describe(struct file *file, char *to, size_t size)
{
	(void)file;
	ksnprintf(to, size, "anon_inode:[signalfd]");
}

static const struct file_ops signalfd_ops = {
    .read = signalfd_read,
    .poll = signalfd_poll,
    .release = signalfd_release,
    .describe = signalfd_describe,
};

static int signalfd_change(int fd, uint64_t set)
{
	struct file *file = fd_get(fd);
	if (file == NULL)
		return -EBADF;
	int r = -EINVAL;
	if (file->ops == &signalfd_ops) {
		((struct signalfd *)file->data)->set = set;
		wait_wake(&current->process->signal_wait, 0, 0); /* there may be more to read now */
		r = fd;
	}
	file_put(file);
	return r;
}

static int64_t signalfd_call(int fd, uint64_t set_va, uint64_t set_bytes, uint32_t flags)
{
	struct file *file;
	uint64_t set;

	if ((flags & ~(uint32_t)(SFD_CLOEXEC | SFD_NONBLOCK)) != 0 || set_bytes != sizeof(set))
		return -EINVAL;
	if (user_get(&set, set_va) != 0)
		return -EFAULT;
	set &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
	if (fd != -1)
		return signalfd_change(fd, set);
	struct signalfd *signalfd = kmalloc(sizeof(*signalfd));
	if (signalfd == NULL)
		return -ENOMEM;
	signalfd->set = set;
	int r = file_new(&file, &signalfd_ops, NULL, O_RDWR | (flags & O_NONBLOCK), signalfd);
	if (r != 0) {
		kfree(signalfd);
		return r;
	}
	r = fd_install(file, 0, flags & O_CLOEXEC);
	if (r < 0)
		file_put(file);
	return r;
}

SYSCALL(signalfd) { return signalfd_call((int)args->arg[0], args->arg[1], args->arg[2], 0); }

SYSCALL(signalfd4) { return signalfd_call((int)args->arg[0], args->arg[1], args->arg[2], (uint32_t)args->arg[3]); }
