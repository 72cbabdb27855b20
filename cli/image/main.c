/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/dispatch.h"
#include "cli/image/image_cli.h"
#include "image/store.h"

/* clang-format off */
static command_function *const functions[COMMAND_COUNT] = {
	[COMMAND_BUILD] = cmd_build,
	[COMMAND_PULL] = cmd_pull,
	[COMMAND_PUSH] = cmd_push,
	[COMMAND_IMPORT] = cmd_import,
	[COMMAND_EXPORT] = cmd_export,
	[COMMAND_IMAGES] = cmd_images,
	[COMMAND_IMAGE_INSPECT] = cmd_image_inspect,
	[COMMAND_IMAGE_VERIFY] = cmd_image_verify,
	[COMMAND_IMAGE_HISTORY] = cmd_image_history,
	[COMMAND_TAG] = cmd_tag,
	[COMMAND_RMI] = cmd_rmi,
	[COMMAND_PRUNE] = cmd_prune,
};
/* clang-format on */

/* What is not finished is worth nothing: no need to wind up what runs, in whatever library it is just now. */
static void on_signal(int number)
{
	store_draft_abandon_all();
	_exit(128 + number);
}

static void catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal}, old;

	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < countof(numbers); i++)
		/* nohup and shells' background jobs ignore some: that stays. */
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
}

int main(int argc, char **argv)
{
	static const struct program program = {"lampo", PROGRAM_IMAGE, functions};

	catch_signals();
	return dispatch(&program, argc, argv);
}
