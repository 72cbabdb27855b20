/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cli.h"
#include "cli/environment.h"
#include "cli/forward.h"
#include "cli/parse.h"
#include "cli/run_image.h"
#include "cli/terminal.h"
#include "cli/timing.h"
#include "include/abi/boot.h"
#include "run/fd.h"
#include "run/monitor.h"
#include "run/view.h"

#define EXIT_NOT_FOUND 127
#define MEMORY_DEFAULT (1ull << 30)

/* What the configuration points at. */
struct run {
	struct monitor_config config;
	struct view view;
	struct run_image image;
	struct environment environment;
	struct parsed_volume volumes[MONITOR_VOLUMES_MAX];
	char *cwd;
	sigset_t signal_mask;
	const struct arguments *arguments;
};

static int open_path(const char *what, const char *path, int flags, struct err *err)
{
	int fd = open(path, O_PATH | O_CLOEXEC | flags);

	return fd >= 0 ? fd : err_set(err, -errno, "cannot open %s %s", what, path);
}

static int set_volumes(struct run *run, struct err *err)
{
	const struct arguments *args = run->arguments;
	struct monitor_config *config = &run->config;

	for (size_t i = 0; i < args->value_count; i++) {
		if (strcmp(args->values[i].option->name, "volume") != 0)
			continue;
		unsigned n = config->volume_count;
		if (n == MONITOR_VOLUMES_MAX)
			return err_set(err, -EINVAL, "there are too many volumes: a VM can have %u!",
				       MONITOR_VOLUMES_MAX);
		struct parsed_volume *volume = &run->volumes[n];
		int code = parse_volume(args->values[i].value, volume, err);
		if (code < 0)
			return code;
		int fd = open_path("the volume", volume->host, 0, err);
		config->volumes[n] = (struct monitor_volume){fd, volume->read_only, volume->guest};
		config->volume_count = n + 1;
		if (fd < 0)
			return fd;
	}
	return 0;
}

static int set_root(struct run *run, struct err *err)
{
	struct monitor_config *config = &run->config;
	const char *root = arguments_value(run->arguments, "root");
	const char *workdir = arguments_value(run->arguments, "workdir");
	int code = 0;

	if (root == NULL) {
		code = view_init(&run->view, err);
		config->visible = run->view.visible;
		config->hidden = run->view.hidden;
		config->cwd = run->view.cwd;
	} else {
		config->cwd = "/";
	}
	if (code == 0)
		code = config->root_fd = open_path("the root directory", root != NULL ? root : "/", O_DIRECTORY, err);
	if (code < 0)
		return code;
	if (workdir != NULL) {
		config->cwd = run->cwd = strdup(workdir);
		return run->cwd == NULL ? err_set(err, -ENOMEM, "cannot start") : parse_guest_path(run->cwd, err);
	}
	return 0;
}

/* What a program of the host, or of a directory, is started with. */
static int set_host(struct run *run, struct err *err)
{
	int code = environment_init(&run->environment, run->arguments, run->config.tty, err);

	return code == 0 ? set_root(run, err) : code;
}

static int set_numbers(struct run *run, struct err *err)
{
	struct monitor_config *config = &run->config;
	const char *cpus = arguments_value(run->arguments, "cpus");
	const char *memory = arguments_value(run->arguments, "memory");
	uint64_t n = 1;
	int code = 0;

	config->memory_bytes = MEMORY_DEFAULT;
	if (memory != NULL)
		code = parse_memory(memory, &config->memory_bytes, err);
	if (code == 0 && cpus != NULL)
		code = parse_number("number of CPUs", cpus, 1, LAMPO_CPUS_MAX, &n, err);
	config->cpus = (unsigned)n;
	return code;
}

static int check(const struct run *run, struct err *err)
{
	const struct monitor_config *config = &run->config;

	if (config->name != NULL && !vmstate_name_valid(config->name)) {
		err_set(err, -EINVAL, "'%s' cannot be the name of a VM!", config->name);
		return err_hint(
		    err, "a name has 1 to %u letters, digits, '.', '_' and '-', and begins with a letter or digit",
		    VM_NAME_MAX);
	}
	if (config->hostname != NULL && (config->hostname[0] == '\0' || strlen(config->hostname) > 64))
		return err_set(err, -EINVAL, "'%s' cannot be a host name: it must have 1 to 64 characters!",
			       config->hostname);
	if (config->command[0][0] == '\0')
		return err_set(err, -EINVAL, "the name of the program is empty!");
	if (config->detach && config->tty) {
		err_set(err, -EINVAL, "-d and -t cannot go together: a VM in the background has no terminal!");
		return err_hint(err, "leave one of them away");
	}
	if (config->tty && terminal_find() < 0) {
		err_set(err, -ENOTTY, "-t was given, but none of the standard streams is a terminal!");
		return err_hint(err, "leave -t away where there is no terminal");
	}
	return 0;
}

static int configure(struct run *run, uint64_t start_ns, struct err *err)
{
	const struct arguments *args = run->arguments;
	struct monitor_config *config = &run->config;

	*config = (struct monitor_config){
	    .vmm_path = getenv("LAMPO_VMM"),
	    .kernel_path = arguments_value(args, "kernel"),
	    .name = arguments_value(args, "name"),
	    .stop_signal = SIGTERM,
	    .hostname = arguments_value(args, "hostname"),
	    .uid = geteuid(),
	    .gid = getegid(),
	    .command = args->rest,
	    .root_fd = -1,
	    .image_fd = -1,
	    .detach = arguments_have(args, "detach"),
	    .remove = arguments_have(args, "rm"),
	    .interactive = arguments_have(args, "interactive"),
	    .tty = arguments_have(args, "tty"),
	    .timing = arguments_have(args, "timing"),
	    .strace = arguments_have(args, "strace"),
	    .counts = arguments_have(args, "counts"),
	    .start_ns = start_ns,
	    .signal_mask = &run->signal_mask,
	};
	int code = check(run, err);
	if (code == 0)
		code = set_numbers(run, err);
	if (code == 0)
		code = run_image_find(&run->image, args, err);
	if (code == 0)
		code = run->image.used ? run_image_configure(&run->image, args, config, &run->environment, err)
				       : set_host(run, err);
	if (code == 0)
		code = set_volumes(run, err);
	config->env = (const char *const *)run->environment.strings;
	return code;
}

static void run_fini(struct run *run)
{
	for (unsigned i = 0; i < run->config.volume_count; i++) {
		fd_close_scope(&run->config.volumes[i].fd);
		free(run->volumes[i].host);
	}
	fd_close_scope(&run->config.root_fd);
	run_image_fini(&run->image);
	environment_fini(&run->environment);
	view_fini(&run->view);
	free(run->cwd);
}

/* Prints what is not an exit; the exit code, or -1: the VM goes on. */
static int handle_report(const struct vm_report *report, const struct forward *forward)
{
	struct err err;

	switch (report->kind) {
	case VM_REPORT_EXIT:
		return report->code & 0xff;
	case VM_REPORT_TIMING:
		terminal_restore();
		timing_print(report->stages, report->stage_count);
		return -1;
	case VM_REPORT_ERROR:
		if (forward->ended_by != 0)
			return 128 + forward->ended_by;
		terminal_restore();
		snprintf(err.text, sizeof(err.text), "%s", report->text);
		snprintf(err.hint, sizeof(err.hint), "%s", report->hint);
		err_print(&err, "lampo");
		return report->code;
	default:
		return -1;
	}
}

static int wait_foreground(struct monitor *monitor, struct forward *forward)
{
	struct pollfd fds[2] = {
	    {.fd = monitor->report_fd, .events = POLLIN},
	    {.fd = forward->signal_fd, .events = POLLIN},
	};
	struct vm_report report;

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return EXIT_LAMPO;
		/* Reports first: a signal is for the guest if READY is there. */
		if (fds[0].revents == 0) {
			if (fds[1].revents != 0)
				forward_handle(forward, monitor);
			continue;
		}
		monitor_receive(monitor, &report);
		int code = handle_report(&report, forward);
		if (code >= 0)
			return code;
	}
}

static int run_foreground(struct run *run, struct err *err)
{
	struct monitor monitor;
	struct forward forward;
	int terminal = run->config.tty ? terminal_find() : -1;

	int code = forward_init(&forward, err);
	run->signal_mask = forward.old_mask;
	terminal_size(terminal, &run->config.rows, &run->config.columns);
	if (code == 0)
		code = monitor_start(&monitor, &run->config, err);
	if (code == 0) {
		/* Not earlier: an error is to be printed on a terminal that is as it was. */
		if (run->config.interactive && terminal >= 0)
			terminal_raw(forward.terminal = terminal);
		else
			forward.terminal = -1;
		code = wait_foreground(&monitor, &forward);
		terminal_restore();
		monitor_discard(&monitor, code);
		monitor_fini(&monitor);
	}
	forward_fini(&forward);
	return code;
}

/* With -d --rm somebody must stay to remove the VM's state when it ends: a process that does nothing else.
 * Should it be killed, the next `lampo ps` or other command does it. */
static void keep(struct monitor *monitor)
{
	struct vm_info info = {.detached = true, .remove = true};
	struct err ignored;
	int code;

	if (fork() != 0)
		return;
	int null_fd = open("/dev/null", O_RDWR);
	if (setsid() < 0 || chdir("/") < 0 || null_fd < 0)
		_exit(1);
	for (int fd = 0; fd < 3; fd++)
		dup2(null_fd, fd);
	close(null_fd);
	memcpy(info.id, monitor->state.id, sizeof(info.id));
	vmstate_wait(monitor->state.dir_fd, &info, -1, &code, &ignored);
	_exit(0);
}

static int run_detached(struct run *run, struct err *err)
{
	struct monitor monitor;
	struct vm_report report;
	struct forward none = {0};

	sigprocmask(SIG_BLOCK, NULL, &run->signal_mask);
	int code = monitor_start(&monitor, &run->config, err);
	if (code < 0)
		return code;
	do
		monitor_receive(&monitor, &report);
	while (report.kind == VM_REPORT_TIMING);
	if (report.kind == VM_REPORT_ERROR) {
		code = handle_report(&report, &none);
		monitor_discard(&monitor, code);
	} else {
		printf("%s\n", monitor.state.id);
		fflush(stdout);
		if (run->config.remove)
			keep(&monitor);
	}
	monitor_fini(&monitor);
	return code;
}

int cmd_run(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct run run = {.arguments = arguments, .image.image.fd = -1};
	int code = configure(&run, start_ns, err);

	if (run.image.missing) {
		err_print(err, "lampo");
		code = EXIT_NOT_FOUND;
	} else if (code == 0) {
		code = run.config.detach ? run_detached(&run, err) : run_foreground(&run, err);
	}
	run_fini(&run);
	return code;
}
