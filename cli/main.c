/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cli.h"

static command_function *const functions[COMMAND_COUNT] = {
    [COMMAND_RUN] = cmd_run,   [COMMAND_PS] = cmd_ps,         [COMMAND_LOGS] = cmd_logs,
    [COMMAND_STOP] = cmd_stop, [COMMAND_KILL] = cmd_kill,     [COMMAND_WAIT] = cmd_wait,
    [COMMAND_RM] = cmd_rm,     [COMMAND_DOCTOR] = cmd_doctor, [COMMAND_VERSION] = cmd_version,
    [COMMAND_HELP] = cmd_help,
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* No descriptor that we inherited by accident reaches the monitor, and 0, 1 and 2 are never anything of
 * ours. */
static int tidy_descriptors(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -errno;
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	return 0;
}

static bool wants_help(int argc, char **argv)
{
	return argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
}

static int run_command(int argc, char **argv, uint64_t start_ns, struct err *err)
{
	const char *name = argc > 0 ? argv[0] : "help";
	struct arguments arguments;

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	else if (strcmp(name, "--version") == 0)
		name = "version";
	const struct command *command = command_find(name);
	if (command == NULL) {
		err_set(err, -EINVAL, "there is no command '%s'!", name);
		return err_hint(err, "'lampo help' lists the commands");
	}
	if (wants_help(argc, argv)) {
		help_print(command);
		return 0;
	}
	int code = arguments_parse(&arguments, command, argc > 0 ? argc : 1, argv, err);
	if (code < 0)
		return code;
	code = functions[command - commands](&arguments, start_ns, err);
	arguments_fini(&arguments);
	return code;
}

int main(int argc, char **argv)
{
	uint64_t start_ns = now_ns();
	struct err err = {0};

	if (tidy_descriptors() < 0)
		return EXIT_LAMPO;
	int code = run_command(argc - 1, argv + 1, start_ns, &err);
	if (code < 0) {
		err_print(&err, "lampo");
		return EXIT_LAMPO;
	}
	/* Commands that print tables: a full disk behind standard output is an error. (EPIPE has killed us.) */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "lampo: cannot write to standard output: %s\n", strerror(errno));
		return EXIT_LAMPO;
	}
	return code;
}
