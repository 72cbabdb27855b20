/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "vmm/landlock.h"

/* linux/mount.h has these, but does not go together with sys/mount.h. */
#ifndef FSOPEN_CLOEXEC
#define FSOPEN_CLOEXEC 1
#define FSMOUNT_CLOEXEC 1
#define FSCONFIG_CMD_CREATE 6
#define MOUNT_ATTR_RDONLY 1
#define MOUNT_ATTR_NOSUID 2
#define MOUNT_ATTR_NODEV 4
#define MOUNT_ATTR_NOEXEC 8
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* ---- descriptors ----------------------------------------------------------------------------------- */

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

void jail_close_others(const struct options *options)
{
	int keep[9 + countof(options->volumes)];
	unsigned count = 0;
	const int named[] = {0,
			     1,
			     2,
			     options->report_fd,
			     options->control_fd,
			     options->state_fd,
			     options->lock_fd,
			     options->root_fd,
			     options->image_fd};
	for (unsigned i = 0; i < countof(named); i++)
		keep[count++] = named[i];
	for (unsigned i = 0; i < options->volume_count; i++)
		keep[count++] = options->volumes[i].fd;
	qsort(keep, count, sizeof(keep[0]), compare_ints);
	unsigned first = 0;
	for (unsigned i = 0; i < count; i++) {
		if (keep[i] >= 0 && (unsigned)keep[i] > first)
			syscall(SYS_close_range, first, keep[i] - 1, 0);
		if (keep[i] >= 0)
			first = (unsigned)keep[i] + 1;
	}
	syscall(SYS_close_range, first, ~0u, 0);
}

/* ---- the process ----------------------------------------------------------------------------------- */

static bool has_admin(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & 1u << CAP_SYS_ADMIN) != 0;
}

/* An empty, read-only file system that is mounted nowhere becomes our root: nothing else has a path from
 * there. Needs CAP_SYS_CHROOT, and costs a fifth of root_pivot(). The mount's descriptor must stay open. */
static bool root_change(void)
{
	int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	if (context < 0)
		return false;
	int mounted = -1;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mounted = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
				       MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	close(context);
	if (mounted >= 0 && fchdir(mounted) == 0 && chroot(".") == 0 && chdir("/") == 0)
		return true;
	if (mounted >= 0)
		close(mounted);
	return false;
}

/* Such a file system becomes the root of our mount namespace, and the old one goes. The exports stay
 * reachable through their descriptors. Needs CAP_SYS_ADMIN. */
static bool root_pivot(void)
{
	static const char *const places[] = {"/tmp", "/proc", "/dev", "/sys"};
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	for (unsigned i = 0; i < countof(places); i++) {
		if (mount("lampo", places[i], "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			  "size=4k,mode=555") < 0)
			continue;
		return chdir(places[i]) == 0 && syscall(SYS_pivot_root, ".", ".") == 0 &&
		       umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
	}
	return false;
}

static void limit_set(int resource, rlim_t value)
{
	struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
	setrlimit(resource, &limit);
}

void jail_plan(struct jail *jail, const struct options *options)
{
	*jail = (struct jail){.exports = options->root_fd >= 0 || options->volume_count != 0};
	for (unsigned i = 0; i < options->volume_count; i++)
		jail->writes |= !options->volumes[i].read_only;
	jail->ruleset_fd = landlock_prepare(options);
}

int jail_process(struct err *err)
{
	/* First process of a pid namespace: then the mount namespace is new as well. Anywhere else we must not
	 * touch the mounts, which others may share. */
	if (getpid() == 1 && has_admin() && !root_change() && !root_pivot())
		return err_set(err, -errno, "cannot hide the host's files from the monitor");
	limit_set(RLIMIT_CORE, 0);
	limit_set(RLIMIT_MEMLOCK, 0);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(err, -errno, "cannot keep debuggers off the monitor");
	return 0;
}

/* ---- a thread ---------------------------------------------------------------------------------------- */

/* Keeps what serves a read-write volume whose files have many owners, and drops all other capabilities. */
static int capabilities_drop(bool writes)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	uint32_t keep = !writes ? 0
				: 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH |
				      1u << CAP_FOWNER | 1u << CAP_FSETID;
	keep &= data[0].permitted;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	data[0] = (struct __user_cap_data_struct){.effective = keep, .permitted = keep};
	data[1] = (struct __user_cap_data_struct){0};
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int jail_enter(const struct jail *jail, enum jail_role role, struct err *err)
{
	int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
	if (r == 0 && jail->ruleset_fd >= 0)
		r = landlock_enter(jail->ruleset_fd);
	if (r == 0)
		r = capabilities_drop(jail->writes);
	if (r == 0)
		r = jail_seccomp_load(jail, role);
	return r < 0 ? err_set(err, r, "cannot lock down a thread of the monitor") : 0;
}
