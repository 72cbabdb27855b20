/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cli/cli.h"
#include "cli/help.h"

int cmd_help(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	int used;

	(void)start_ns;
	if (arguments->rest_count == 0) {
		help_print_overview();
		return 0;
	}
	if (arguments->rest_count == 1 && command_is_group(arguments->rest[0])) {
		help_print_group(arguments->rest[0]);
		return 0;
	}
	const struct command *command = command_match(arguments->rest_count, arguments->rest, &used, err);
	if (command == NULL)
		return -EINVAL;
	if (used < arguments->rest_count) {
		err_set(err, -EINVAL, "there is an argument too many: %s!", arguments->rest[used]);
		return err_hint(err, "'lampo help %s' explains the command", command->name);
	}
	help_print(command);
	return 0;
}
