/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/probe_kvm.h"
#include "cli/table.h"
#include "run/fd.h"
#include "run/helper.h"
#include "run/rundir.h"

static void __attribute__((format(printf, 2, 3))) detail(struct check *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->detail, sizeof(c->detail), format, args);
	va_end(args);
}

static void __attribute__((format(printf, 3, 4))) fault(struct check *c, int state, const char *format, ...)
{
	va_list args;

	c->state = state;
	va_start(args, format);
	vsnprintf(c->advice, sizeof(c->advice), format, args);
	va_end(args);
}

/* The first line of a file without its end; "" if it cannot be read. */
static const char *read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");

	line[0] = '\0';
	if (file != NULL) {
		if (fgets(line, size, file) != NULL)
			line[strcspn(line, "\n")] = '\0';
		fclose(file);
	}
	return line;
}

/* A line of /proc/cpuinfo, of the first processor: what stands after the colon. */
static bool cpuinfo(const char *key, char *value, size_t size)
{
	char line[8192];
	bool found = false;
	FILE *file = fopen("/proc/cpuinfo", "re");

	while (!found && file != NULL && fgets(line, sizeof(line), file) != NULL) {
		char *colon = strchr(line, ':');
		found = strncmp(line, key, strlen(key)) == 0 && colon != NULL;
		if (found) {
			line[strcspn(line, "\n")] = '\0';
			snprintf(value, size, "%s", colon + 1 + strspn(colon + 1, " "));
		}
	}
	if (file != NULL)
		fclose(file);
	return found;
}

static bool has_flag(const char *flags, const char *flag)
{
	size_t len = strlen(flag);

	for (const char *p = flags; (p = strstr(p, flag)) != NULL; p += len)
		if ((p == flags || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
			return true;
	return false;
}

/* ---- the checks ------------------------------------------------------------------------------ */

static void check_cpu(struct check *c)
{
	char model[80] = "unknown", flags[8192] = "", clock[32];

	cpuinfo("model name", model, sizeof(model));
	cpuinfo("flags", flags, sizeof(flags));
	read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", clock, sizeof(clock));
	detail(c, "%s, %ld online, %s%s", model, sysconf(_SC_NPROCESSORS_ONLN),
	       has_flag(flags, "vmx")   ? "VMX"
	       : has_flag(flags, "svm") ? "SVM"
					: "no VMX or SVM",
	       has_flag(flags, "hypervisor") ? ", itself a VM" : "");
	if (strcmp(clock, "tsc") != 0 && !has_flag(flags, "constant_tsc"))
		fault(c, CHECK_LIMITED,
		      "the time stamp counter is not constant here (clock source %s): clocks in VMs may drift", clock);
}

static struct probe_kvm probed;

static void check_kvm(struct check *c)
{
	c->required = true;
	probe_kvm(&probed);
	switch (probed.open_error) {
	case 0:
		detail(c, "accessible, API version %d", probed.api_version);
		if (probed.api_version != 12)
			fault(c, CHECK_MISSING, "Lampo needs version 12 of the API, that of every Linux since 2.6.22");
		return;
	case ENOENT:
	case ENODEV:
	case ENXIO:
		detail(c, "not there");
		fault(c, CHECK_MISSING,
		      "load the module (modprobe kvm_intel, kvm_amd or kvm_pvm), enable virtualization in the "
		      "firmware, or, in a "
		      "VM, nested virtualization for it; without any, 'make rig' runs Lampo in an emulated machine");
		return;
	case EACCES:
	case EPERM:
		detail(c, "there, but you may not open it");
		fault(c, CHECK_MISSING,
		      "add yourself to the group that owns /dev/kvm (usermod -aG kvm USER) and log in anew");
		return;
	default:
		detail(c, "cannot be opened: %s", strerror(probed.open_error));
		fault(c, CHECK_MISSING, "see what 'dmesg' says about kvm");
	}
}

static void check_kvm_kind(struct check *c)
{
	char flags[8192] = "";

	c->required = true;
	cpuinfo("flags", flags, sizeof(flags));
	if (!probed.ran) {
		detail(c, "%s", probed.open_error != 0 ? "unknown without /dev/kvm" : probed.failure);
		fault(c, CHECK_MISSING,
		      probed.open_error != 0 ? "see /dev/kvm above"
					     : "this KVM cannot run Lampo's VMs: see what 'dmesg' says about kvm");
		return;
	}
	bool emulated = probed.ring0_ns > PROBE_KVM_EMULATED_NS;
	const char *kind = access("/sys/module/kvm_pvm", F_OK) == 0 ? "PVM (in software)"
			   : has_flag(flags, "vmx")                 ? "VMX"
			   : has_flag(flags, "svm")                 ? "SVM"
								    : "unknown hardware";
	detail(c, "%s; ring 0 runs %s (%.0f ns an instruction); an exit takes %.1f us", kind,
	       emulated ? "emulated" : "natively", probed.ring0_ns, probed.exit_us);
	if (emulated)
		fault(c, CHECK_LIMITED, "programs run at full speed, but stock Linux kernels cannot boot on this KVM");
}

static int child_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int try_clone(int flags)
{
	static char stack[16384] __attribute__((aligned(16)));
	pid_t pid = clone(child_nothing, stack + sizeof(stack), flags | SIGCHLD, NULL);

	if (pid < 0)
		return errno;
	waitpid(pid, NULL, 0);
	return 0;
}

static void check_namespaces(struct check *c)
{
	const int others = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	int error = try_clone(CLONE_NEWUSER | others);
	int as_root = error == 0 ? 0 : try_clone(others);

	detail(c, "%s",
	       error == 0     ? "user, mount, pid, net, ipc, uts"
	       : as_root == 0 ? "mount, pid, net, ipc, uts; no user namespaces"
			      : "none");
	if (error == 0)
		return;
	fault(c, CHECK_LIMITED,
	      "the jail around monitors is weaker: allow user namespaces (sysctl user.max_user_namespaces, "
	      "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns); the error is: %s",
	      strerror(error));
}

static void check_landlock(struct check *c)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi > 0) {
		detail(c, "ABI version %ld", abi);
		return;
	}
	detail(c, "%s", errno == EOPNOTSUPP ? "switched off" : "not in this kernel");
	fault(c, CHECK_LIMITED,
	      "the jail around monitors is weaker: boot with landlock in the lsm= list (Linux 5.13 or newer)");
}

static void check_seccomp(struct check *c)
{
	unsigned action = SECCOMP_RET_KILL_PROCESS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) {
		detail(c, "filters, with killing of the process");
		return;
	}
	detail(c, "not available: %s", strerror(errno));
	fault(c, CHECK_LIMITED, "the jail around monitors is weaker: use a kernel with CONFIG_SECCOMP_FILTER");
}

static void check_openat2(struct check *c)
{
	int fd = fd_open_beneath(AT_FDCWD, ".", O_PATH, 0);

	c->required = true;
	detail(c, "%s", fd >= 0 ? "there" : strerror(-fd));
	if (fd == -ENOSYS || fd == -EPERM)
		fault(c, CHECK_MISSING,
		      "files are shared with VMs by openat2: use Linux 5.6 or newer, and a container runtime that "
		      "allows it");
	fd_close_scope(&fd);
}

/* The path of our cgroup: the "0::" line. */
static bool own_cgroup(char *path, size_t size)
{
	char line[PATH_MAX];
	bool found = false;
	FILE *file = fopen("/proc/self/cgroup", "re");

	while (!found && file != NULL && fgets(line, sizeof(line), file) != NULL) {
		found = strncmp(line, "0::", 3) == 0;
		line[strcspn(line, "\n")] = '\0';
		if (found)
			snprintf(path, size, "%s", line + 3);
	}
	if (file != NULL)
		fclose(file);
	return found;
}

static void check_cgroups(struct check *c)
{
	struct statfs fs;
	char own[PATH_MAX], path[PATH_MAX + 64], controllers[128];

	if (statfs("/sys/fs/cgroup", &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC || !own_cgroup(own, sizeof(own))) {
		detail(c, "version 2 is not mounted on /sys/fs/cgroup");
		fault(c, CHECK_LIMITED, "limits per VM will need it: boot with systemd.unified_cgroup_hierarchy=1");
		return;
	}
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cgroup.controllers", own);
	read_line(path, controllers, sizeof(controllers));
	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cgroup.subtree_control", own);
	bool delegated = access(path, W_OK) == 0;
	detail(c, "version 2, %s, controllers: %s", delegated ? "delegated to you" : "not delegated to you",
	       controllers[0] != '\0' ? controllers : "none");
	if (!delegated)
		fault(c, CHECK_LIMITED,
		      "limits per VM will need it: run in a scope of your own (systemd-run --user --scope)");
}

static void check_huge_pages(struct check *c)
{
	char line[128];
	const char *open =
	    strchr(read_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled", line, sizeof(line)), '[');

	if (open == NULL) {
		detail(c, "no transparent huge pages for shared memory");
		fault(c, CHECK_LIMITED, "VMs use more page faults: use a kernel with CONFIG_TRANSPARENT_HUGEPAGE");
		return;
	}
	int len = (int)strcspn(open + 1, "]");
	detail(c, "transparent huge pages for shared memory: %.*s", len, open + 1);
	if (strncmp(open + 1, "never", 5) == 0 || strncmp(open + 1, "deny", 4) == 0)
		fault(c, CHECK_LIMITED,
		      "memory in VMs is slower to touch for the first time: echo advise > "
		      "/sys/kernel/mm/transparent_hugepage/shmem_enabled");
}

static void check_memory(struct check *c)
{
	char line[128], text[16], total[16];
	unsigned long long available = 0, all = 0;
	FILE *file = fopen("/proc/meminfo", "re");

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		sscanf(line, "MemAvailable: %llu", &available);
		sscanf(line, "MemTotal: %llu", &all);
	}
	if (file != NULL)
		fclose(file);
	table_format_bytes(text, sizeof(text), available << 10);
	table_format_bytes(total, sizeof(total), all << 10);
	detail(c, "%s available of %s", text, total);
	if (available < 128u << 10)
		fault(c, CHECK_LIMITED, "little memory is free: give VMs less with --memory, or end other programs");
}

static void check_files(struct check *c)
{
	enum { WANTED = 4096 };
	struct rlimit limit = {0};

	getrlimit(RLIMIT_NOFILE, &limit);
	detail(c, "%llu, at most %llu", (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
	if (limit.rlim_max < WANTED)
		fault(c, CHECK_LIMITED,
		      "a VM may hold many of the host's files open: raise the hard limit ('ulimit -Hn') to %d or more",
		      WANTED);
}

static void check_run_dir(struct check *c)
{
	char path[PATH_MAX], space[16];
	struct err err = {0};
	struct statvfs fs;

	c->required = true;
	if (rundir_path(path, geteuid(), &err) < 0)
		path[0] = '\0';
	FD_AUTO int fd = rundir_open(&err);
	if (fd < 0) {
		detail(c, "%s", err.text);
		fault(c, CHECK_MISSING, "%s", err.hint);
		return;
	}
	if (fstatvfs(fd, &fs) < 0)
		return;
	table_format_bytes(space, sizeof(space), (uint64_t)fs.f_bavail * fs.f_frsize);
	detail(c, "%.100s, %s free", path, space);
	if ((uint64_t)fs.f_bavail * fs.f_frsize < 1u << 20)
		fault(c, CHECK_MISSING, "make room there, or name a directory on another file system in LAMPO_RUN_DIR");
}

static void check_monitor(struct check *c)
{
	char path[PATH_MAX];
	const char *given = getenv("LAMPO_VMM");
	struct err err = {0};

	c->required = true;
	if (given == NULL && helper_find(path, "lampo-vmm", &err) < 0) {
		detail(c, "%s", err.text);
		fault(c, CHECK_MISSING, "%s", err.hint);
		return;
	}
	detail(c, "%s", given != NULL ? given : path);
	if (given != NULL && access(given, X_OK) < 0)
		fault(c, CHECK_MISSING, "LAMPO_VMM names a program that cannot be executed: %s", strerror(errno));
}

size_t doctor_examine(struct check *checks)
{
	static const struct {
		const char *name;
		void (*examine)(struct check *check);
	} table[] = {
	    {"processor", check_cpu},         {"/dev/kvm", check_kvm},      {"kind of KVM", check_kvm_kind},
	    {"namespaces", check_namespaces}, {"Landlock", check_landlock}, {"seccomp", check_seccomp},
	    {"openat2", check_openat2},       {"cgroups", check_cgroups},   {"huge pages", check_huge_pages},
	    {"memory", check_memory},         {"open files", check_files},  {"run directory", check_run_dir},
	    {"monitor", check_monitor},
	};

	_Static_assert(countof(table) <= CHECKS_MAX, "room for all checks");
	for (size_t i = 0; i < countof(table); i++) {
		checks[i] = (struct check){.name = table[i].name};
		table[i].examine(&checks[i]);
	}
	return countof(table);
}
