/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/each.h"

static int remove_one(const struct vm_entry *entry, int dir_fd, void *context, struct err *err)
{
	const bool *force = context;
	int code = 0, ignored;

	if (entry->alive && *force)
		code = each_end(entry, dir_fd, &ignored, err);
	if (code == 0)
		code = vmstate_remove(dir_fd, &entry->info, err);
	if (code == 0)
		printf("%s\n", entry->info.name[0] != '\0' ? entry->info.name : entry->info.id);
	return code;
}

int cmd_rm(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	bool force = arguments_have(arguments, "force");

	(void)start_ns;
	(void)err;
	return each_vm(arguments, remove_one, &force, force);
}
