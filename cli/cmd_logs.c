/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "run/fd.h"
#include "run/vmstate.h"

/* Copies what is there now. */
static int copy(int log_fd, struct err *err)
{
	char buffer[65536];

	for (;;) {
		ssize_t n = read(log_fd, buffer, sizeof(buffer));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, -errno, "cannot read the log");
		if (n == 0)
			return 0;
		int code = fd_write_all(STDOUT_FILENO, buffer, (size_t)n);
		if (code < 0)
			return err_set(err, code, "cannot write to standard output");
	}
}

/* inotify tells of new output at once; the end of the VM is looked for now and then, as is output where
 * there is no inotify. */
static int follow(int log_fd, int dir_fd, const struct vm_info *info, struct err *err)
{
	char path[64], events[4096];
	FD_AUTO int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", log_fd);
	if (watch >= 0)
		inotify_add_watch(watch, path, IN_MODIFY);
	for (;;) {
		struct err ignored;
		int unused;
		struct pollfd poll_fd = {.fd = watch, .events = POLLIN};
		bool dead = vmstate_wait(dir_fd, info, 0, &unused, &ignored) == 0;
		int code = copy(log_fd, err);
		if (code < 0 || dead)
			return code;
		poll(&poll_fd, 1, 100);
		while (watch >= 0 && read(watch, events, sizeof(events)) > 0)
			;
	}
}

int cmd_logs(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct vm_entry entry;
	FD_AUTO int dir_fd = -1;
	int code = vmstate_find(arguments->rest[0], &entry, &dir_fd, err);

	(void)start_ns;
	if (code < 0)
		return code;
	FD_AUTO int log_fd = fd_open_beneath(dir_fd, "log", O_RDONLY, 0);
	if (log_fd == -ENOENT && !entry.info.detached)
		code = err_set(err, -ENOENT, "VM %s runs in the foreground and has no log!", entry.info.id);
	else if (log_fd < 0)
		code = err_set(err, log_fd, "cannot open the log of VM %s", entry.info.id);
	else if (arguments_have(arguments, "follow"))
		code = follow(log_fd, dir_fd, &entry.info, err);
	else
		code = copy(log_fd, err);
	vm_info_fini(&entry.info);
	return code;
}
