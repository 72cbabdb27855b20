/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dispatch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/help.h"
#include "image/store.h"
#include "run/helper.h"

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

static bool is_help(const char *word) { return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0; }

/* argv as main() has it. Returns only if it fails. */
static int run_other(enum command_program other, char **argv, struct err *err)
{
	const char *name = other == PROGRAM_IMAGE ? "lampo-image" : "lampo";
	char path[PATH_MAX];
	int code = helper_find(path, name, err);

	if (code < 0)
		return code;
	execv(path, argv);
	return err_set(err, -errno, "cannot run %s", path);
}

static int run_command(const struct program *program, int argc, char **argv, uint64_t start_ns, struct err *err)
{
	char *help[] = {(char[]){"help"}, NULL}, *version[] = {(char[]){"version"}, NULL};
	char **words = argv + 1;
	int count = argc - 1, used = 0;
	struct arguments arguments;

	if (count == 0 || is_help(words[0])) {
		words = help;
		count = 1;
	} else if (strcmp(words[0], "--version") == 0) {
		words = version;
		count = 1;
	} else if (count == 2 && is_help(words[1]) && command_is_group(words[0])) {
		help_print_group(words[0]);
		return 0;
	}
	const struct command *command = command_match(count, words, &used, err);
	if (command == NULL)
		return -EINVAL;
	if (count == used + 1 && is_help(words[used])) {
		help_print(command);
		return 0;
	}
	if (command->program != program->id)
		return run_other(command->program, argv, err);
	int code = arguments_parse(&arguments, command, count - used + 1, words + used - 1, err);
	if (code < 0)
		return code;
	code = program->functions[command - commands](&arguments, start_ns, err);
	arguments_fini(&arguments);
	return code;
}

/* Image files are mapped: a disk that fails to give a page, or a file that somebody cuts short, is a signal. */
static void on_bus_error(int number)
{
	static const char text[] =
	    "lampo: cannot read a file that is in use: it was cut short, or its disk is failing\n"
	    "lampo: 'dmesg' may say more; 'lampo image verify' finds damaged images\n";

	(void)number;
	store_draft_abandon_all();
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_LAMPO);
	_exit(EXIT_LAMPO);
}

int dispatch(const struct program *program, int argc, char **argv)
{
	uint64_t start_ns = now_ns();
	struct err err = {0};

	if (tidy_descriptors() < 0)
		return EXIT_LAMPO;
	sigaction(SIGBUS, &(struct sigaction){.sa_handler = on_bus_error}, NULL);
	int code = run_command(program, argc, argv, start_ns, &err);
	if (code < 0) {
		/* Whichever part of an image could not be written. */
		if ((code == -ENOSPC || code == -EDQUOT) && program->id == PROGRAM_IMAGE && err.hint[0] == '\0')
			err_hint(&err, "make room on that disk; 'lampo prune' removes images that have no name");
		err_print(&err, program->name);
		return EXIT_LAMPO;
	}
	/* Commands that print tables: a full disk behind standard output is an error. (EPIPE has killed us.) */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "%s: cannot write to standard output: %s\n", program->name, strerror(errno));
		return EXIT_LAMPO;
	}
	return code;
}
