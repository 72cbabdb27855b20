/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/each.h"
#include "cli/parse.h"
#include "run/control.h"

static int stop_one(const struct vm_entry *entry, int dir_fd, void *context, struct err *err)
{
	const uint64_t *seconds = context;
	int code;

	/* Whatever goes wrong with the kind way, the other follows. */
	if (entry->alive && control_request(dir_fd, VM_OP_SIGNAL, (unsigned)entry->info.stop_signal, 2000, NULL) == 0 &&
	    vmstate_wait(dir_fd, &entry->info, (int)(*seconds * 1000), &code, err) == 0)
		goto done;
	if (entry->alive) {
		int r = each_end(entry, dir_fd, &code, err);
		if (r < 0)
			return r;
	}
done:
	printf("%s\n", entry->info.name[0] != '\0' ? entry->info.name : entry->info.id);
	return 0;
}

int cmd_stop(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	const char *time = arguments_value(arguments, "time");
	uint64_t seconds = 10;

	(void)start_ns;
	if (time != NULL && parse_number("time", time, 0, 1000000, &seconds, err) < 0)
		return -EINVAL;
	return each_vm(arguments, stop_one, &seconds, false);
}
