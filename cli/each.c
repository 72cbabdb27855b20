/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/each.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/cli.h"
#include "run/control.h"
#include "run/fd.h"

int each_vm(const struct arguments *arguments, each_function *function, void *context, bool missing_ok)
{
	int result = 0;

	for (int i = 0; i < arguments->rest_count; i++) {
		struct vm_entry entry;
		struct err err = {0};
		int dir_fd = -1;
		int code = vmstate_find(arguments->rest[i], &entry, &dir_fd, &err);

		if (code == -ENOENT && missing_ok)
			continue;
		if (code == 0) {
			code = function(&entry, dir_fd, context, &err);
			vm_info_fini(&entry.info);
			fd_close_scope(&dir_fd);
		}
		if (code < 0) {
			err_print(&err, "lampo");
			result = EXIT_LAMPO;
		}
	}
	return result;
}

int each_end(const struct vm_entry *entry, int dir_fd, int *code, struct err *err)
{
	enum { ANSWER_MS = 2000, END_MS = 5000 };

	if (control_request(dir_fd, VM_OP_END, 0, ANSWER_MS, NULL) == 0 &&
	    vmstate_wait(dir_fd, &entry->info, END_MS, code, err) == 0)
		return 0;
	/* Dead already, or stuck. If the lock is still held when we have the pidfd, the pid was the monitor's. */
	FD_AUTO int pid_fd = (int)syscall(SYS_pidfd_open, entry->info.pid, 0);
	if (vmstate_wait(dir_fd, &entry->info, 0, code, err) == 0)
		return 0;
	if (pid_fd >= 0)
		syscall(SYS_pidfd_send_signal, pid_fd, SIGKILL, NULL, 0);
	if (vmstate_wait(dir_fd, &entry->info, END_MS, code, err) == 0)
		return 0;
	err_set(err, -ETIMEDOUT, "cannot end VM %s: its monitor, process %d, does not die!", entry->info.id,
		entry->info.pid);
	return err_hint(err, "see 'dmesg'; it may hang in the host's kernel");
}
