/* SPDX-License-Identifier: Apache-2.0 */
#include "run/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "run/argv.h"
#include "run/control.h"
#include "run/fd.h"
#include "run/helper.h"

extern char **environ;

static void add_fd(struct argv *args, const char *option, int fd)
{
	argv_add(args, option);
	argv_addf(args, "%d", fd);
}

/* What the monitor inherits, under numbers that are known before (run/spawn.h). */
struct inheritance {
	int fds[SPAWN_FDS_MAX];
	unsigned count;
};

static void add_inherited(struct argv *args, struct inheritance *inheritance, const char *option, int fd)
{
	add_fd(args, option, SPAWN_FDS + (int)inheritance->count);
	inheritance->fds[inheritance->count++] = fd;
}

static void add_strings(struct argv *args, const char *option, const char *const *strings)
{
	for (; strings != NULL && *strings != NULL; strings++)
		argv_add2(args, option, *strings);
}

static void add_flag(struct argv *args, bool set, const char *option)
{
	if (set)
		argv_add(args, option);
}

/* The guest's environment goes by way of the monitor's, with a '+' before each string: everybody on the host
 * may read command lines. Of ours the monitor inherits what concerns it; the caller's secrets are nothing for
 * a process that a guest may take over. */
static void build_environment(struct argv *env, const struct monitor_config *c)
{
	static const char *const prefixes[] = {"LAMPO_", "ASAN_OPTIONS=", "UBSAN_OPTIONS="};

	for (char **p = environ; *p != NULL; p++)
		for (size_t i = 0; i < countof(prefixes); i++)
			if (strncmp(*p, prefixes[i], strlen(prefixes[i])) == 0)
				argv_add(env, *p);
	for (const char *const *p = c->env; p != NULL && *p != NULL; p++)
		argv_addf(env, "+%s", *p);
}

/* After spawn_start(), which finds out what namespaces there are. */
static int build_argv(struct monitor *m, const struct monitor_config *c, int control_fd, struct inheritance *in,
		      struct err *err)
{
	struct argv args = {0}, env = {0};
	struct spawn *s = &m->spawn;

	argv_add(&args, "lampo-vmm");
	argv_add2(&args, "--id", m->state.id);
	if (c->kernel_path != NULL)
		argv_add2(&args, "--kernel", c->kernel_path);
	argv_add(&args, "--cpus");
	argv_addf(&args, "%u", c->cpus);
	argv_add(&args, "--memory");
	argv_addf(&args, "%llu", (unsigned long long)c->memory_bytes);
	add_fd(&args, "--report-fd", SPAWN_SOCKET);
	add_inherited(&args, in, "--control-fd", control_fd);
	add_inherited(&args, in, "--lock-fd", m->state.lock_fd);
	if (c->detach)
		add_inherited(&args, in, "--state-fd", m->state.dir_fd);
	add_flag(&args, c->detach, "--detach");
	add_flag(&args, c->tty, "--tty");
	add_flag(&args, c->interactive, "--stdin");
	add_flag(&args, c->strace, "--strace");
	add_flag(&args, c->counts, "--counts");
	add_flag(&args, s->own_ids_only, "--overflow-to-root");
	if (c->timing) {
		argv_add(&args, "--timing");
		argv_addf(&args, "%llu", (unsigned long long)c->start_ns);
	}
	argv_add2(&args, "--hostname", c->hostname != NULL ? c->hostname : m->state.id);
	argv_add(&args, "--uid");
	argv_addf(&args, "%u", c->uid);
	argv_add(&args, "--gid");
	argv_addf(&args, "%u", c->gid);
	argv_add2(&args, "--cwd", c->cwd);
	argv_add(&args, "--environment");
	if (c->image_fd >= 0) {
		add_inherited(&args, in, "--image-fd", c->image_fd);
		if (c->image_digest != NULL)
			argv_add2(&args, "--image-digest", c->image_digest);
	} else {
		add_inherited(&args, in, "--root-fd", c->root_fd);
		argv_add(&args, "--root-overlay");
	}
	add_strings(&args, "--visible", c->visible);
	add_strings(&args, "--hidden", c->hidden);
	for (unsigned i = 0; i < c->volume_count; i++) {
		argv_add(&args, "--volume");
		argv_addf(&args, "%d:%s:%s", SPAWN_FDS + (int)in->count, c->volumes[i].read_only ? "ro" : "rw",
			  c->volumes[i].target);
		in->fds[in->count++] = c->volumes[i].fd;
	}
	if (c->rows != 0 && c->columns != 0) {
		argv_add(&args, "--rows");
		argv_addf(&args, "%u", c->rows);
		argv_add(&args, "--columns");
		argv_addf(&args, "%u", c->columns);
	}
	argv_add(&args, "--");
	for (char *const *p = c->command; *p != NULL; p++)
		argv_add(&args, *p);
	m->argv = argv_finish(&args, &m->argv_text);
	build_environment(&env, c);
	m->envp = argv_finish(&env, &m->envp_text);
	s->argv = m->argv;
	s->envp = m->envp;
	return m->argv == NULL || m->envp == NULL ? err_set(err, -ENOMEM, "cannot start the monitor") : 0;
}

static int publish(struct monitor *m, const struct monitor_config *c, struct err *err)
{
	struct timespec now;
	struct vm_info info = {
	    .detached = c->detach,
	    .remove = c->remove,
	    .cpus = c->cpus,
	    .memory_bytes = c->memory_bytes,
	    .pid = m->spawn.pid,
	    .stop_signal = c->stop_signal,
	    .image = c->image_name != NULL ? strdup(c->image_name) : NULL,
	    .command = monitor_command_json(c->command),
	};

	clock_gettime(CLOCK_REALTIME, &now);
	info.created_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	memcpy(info.id, m->state.id, sizeof(info.id));
	if (c->name != NULL)
		snprintf(info.name, sizeof(info.name), "%s", c->name);
	if (info.command == NULL || (c->image_name != NULL && info.image == NULL)) {
		vm_info_fini(&info);
		return err_set(err, -ENOMEM, "cannot start the monitor");
	}
	int code = vmstate_publish(&m->state, &info, err);
	vm_info_fini(&info);
	return code;
}

/* Standard streams: a detached VM writes to its log; without -i its input is empty. */
static int open_streams(const struct monitor *m, const struct monitor_config *c, int stdio[3], struct err *err)
{
	if (!c->interactive || c->detach) {
		stdio[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (stdio[0] < 0)
			return err_set(err, -errno, "cannot open /dev/null");
	}
	if (c->detach) {
		stdio[1] = fd_open_beneath(m->state.dir_fd, "log", O_WRONLY | O_CREAT | O_APPEND, 0600);
		if (stdio[1] < 0)
			return err_set(err, stdio[1], "cannot make the VM's log file");
		stdio[2] = stdio[1];
	}
	return 0;
}

/* The child waits meanwhile: so that no VM ever runs that is not listed. */
static int prepare_and_go(struct monitor *m, const struct monitor_config *c, struct err *err)
{
	struct inheritance in = {0};
	int stdio[3] = {-1, -1, -1};
	int code = vmstate_create(&m->state, c->name, err);

	if (code < 0)
		return code;
	FD_AUTO int control_fd = control_listen(m->state.dir_fd);
	if (control_fd < 0)
		return err_set(err, control_fd, "cannot make the VM's control socket");
	code = open_streams(m, c, stdio, err);
	if (code == 0)
		code = build_argv(m, c, control_fd, &in, err);
	if (code == 0)
		code = publish(m, c, err);
	if (code == 0) {
		code = spawn_go(&m->spawn, in.fds, in.count, stdio);
		if (code < 0)
			err_set(err, code, "cannot start the monitor");
	}
	fd_close_scope(&stdio[0]);
	fd_close_scope(&stdio[1]);
	return code;
}

int monitor_start(struct monitor *m, const struct monitor_config *c, struct err *err)
{
	static char vmm_path[PATH_MAX];

	*m = (struct monitor){
	    .report_fd = -1,
	    .state = {.vm_fd = -1, .dir_fd = -1, .lock_fd = -1},
	    .spawn = {.path = c->vmm_path, .socket = -1, .new_session = c->detach, .signal_mask = c->signal_mask},
	};
	if (c->vmm_path == NULL) {
		int code = helper_find(vmm_path, "lampo-vmm", err);
		if (code < 0)
			return code;
		m->spawn.path = vmm_path;
	}
	int code = spawn_start(&m->spawn, err);
	if (code < 0)
		return code;
	m->report_fd = m->spawn.socket;
	code = prepare_and_go(m, c, err);
	if (code < 0) {
		spawn_kill(&m->spawn);
		m->report_fd = -1;
		vmstate_discard(&m->state, 125);
		monitor_fini(m);
		return code;
	}
	/* The lock is the monitor's alone from now on. */
	fd_close_scope(&m->state.lock_fd);
	m->state.lock_fd = -1;
	return 0;
}

void monitor_kill(struct monitor *m) { kill(m->spawn.pid, SIGKILL); }

void monitor_discard(struct monitor *m, int code) { vmstate_discard(&m->state, code); }

void monitor_fini(struct monitor *m)
{
	vmstate_close(&m->state);
	fd_close_scope(&m->report_fd);
	free(m->argv);
	free(m->argv_text);
	free(m->envp);
	free(m->envp_text);
	m->report_fd = -1;
	m->argv = NULL;
	m->argv_text = m->envp_text = NULL;
	m->envp = NULL;
}
