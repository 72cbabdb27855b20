/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/each.h"

static int wait_one(const struct vm_entry *entry, int dir_fd, void *context, struct err *err)
{
	int code;
	int r = vmstate_wait(dir_fd, &entry->info, -1, &code, err);

	(void)context;
	if (r == 0) {
		printf("%d\n", code);
		fflush(stdout);
	}
	return r;
}

int cmd_wait(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	(void)start_ns;
	(void)err;
	return each_vm(arguments, wait_one, NULL, false);
}
