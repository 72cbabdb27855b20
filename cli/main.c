/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dispatch.h"

/* clang-format off */
static command_function *const functions[COMMAND_COUNT] = {
	[COMMAND_RUN] = cmd_run,
	[COMMAND_PS] = cmd_ps,
	[COMMAND_LOGS] = cmd_logs,
	[COMMAND_STOP] = cmd_stop,
	[COMMAND_KILL] = cmd_kill,
	[COMMAND_WAIT] = cmd_wait,
	[COMMAND_RM] = cmd_rm,
	[COMMAND_DOCTOR] = cmd_doctor,
	[COMMAND_VERSION] = cmd_version,
	[COMMAND_HELP] = cmd_help,
};
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct program program = {"lampo", PROGRAM_LAMPO, functions};

	return dispatch(&program, argc, argv);
}
