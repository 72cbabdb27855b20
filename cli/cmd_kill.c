/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/each.h"
#include "cli/parse.h"
#include "run/control.h"

static int kill_one(const struct vm_entry *entry, int dir_fd, void *context, struct err *err)
{
	const int *number = context;
	int code;

	if (!entry->alive) {
		err_set(err, -ESRCH, "cannot send a signal to VM %s: it has ended!", entry->info.id);
		return err_hint(err, "'lampo ps' lists the VMs that run");
	}
	code = *number == SIGKILL ? each_end(entry, dir_fd, &code, err)
				  : control_request(dir_fd, VM_OP_SIGNAL, (uint64_t)*number, 2000, NULL);
	if (code < 0 && *number != SIGKILL) {
		err_set(err, code, "cannot send a signal to VM %s", entry->info.id);
		err_hint(err, "'lampo kill %s' ends it by force", entry->info.id);
	}
	if (code == 0)
		printf("%s\n", entry->info.name[0] != '\0' ? entry->info.name : entry->info.id);
	return code;
}

int cmd_kill(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	const char *name = arguments_value(arguments, "signal");
	int number = SIGKILL;

	(void)start_ns;
	if (name != NULL && parse_signal(name, &number, err) < 0)
		return -EINVAL;
	return each_vm(arguments, kill_one, &number, false);
}
