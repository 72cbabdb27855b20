/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

/* What newer kernels know (interface versions 2 to 6), whatever headers we are built with. */
#define RIGHT_REFER (1ull << 13)
#define RIGHT_TRUNCATE (1ull << 14)
#define RIGHT_IOCTL_DEV (1ull << 15)
#define RIGHTS_V1 ((1ull << 13) - 1)
#define NET_ALL 3ull
#define SCOPE_ABSTRACT_UNIX_SOCKET 1ull

#define RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_WRITE                                                                                                   \
	(RIGHTS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                                 \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                  \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | RIGHT_REFER |     \
	 RIGHT_TRUNCATE)
#define RIGHTS_STATE                                                                                                   \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE | RIGHT_TRUNCATE)
#define RIGHTS_OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE)

/* As of interface version 6; older kernels are told a smaller size. */
struct ruleset {
	uint64_t fs, net, scoped;
};

static long ruleset_create(uint64_t *handled)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version <= 0)
		return -1;
	struct ruleset ruleset = {
	    .fs = RIGHTS_V1 | (version >= 2 ? RIGHT_REFER : 0) | (version >= 3 ? RIGHT_TRUNCATE : 0) |
		  (version >= 5 ? RIGHT_IOCTL_DEV : 0),
	    .net = NET_ALL,
	    /* Signals need no scope: seccomp allows the kick alone, and the pid namespace has nobody else. */
	    .scoped = SCOPE_ABSTRACT_UNIX_SOCKET,
	};
	*handled = ruleset.fs;
	return syscall(SYS_landlock_create_ruleset, &ruleset, version >= 6 ? 24 : version >= 4 ? 16 : 8, 0);
}

/* Allows `rights` on what fd names and beneath it; on a file those that files have. */
static void rule_add(int ruleset_fd, int fd, uint64_t rights)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || S_ISLNK(st.st_mode))
		return;
	struct landlock_path_beneath_attr rule = {
	    .allowed_access = S_ISDIR(st.st_mode) ? rights : rights & RIGHTS_OF_FILES,
	    .parent_fd = fd,
	};
	syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

/* The visible parts of the root. One that does not exist gets no rule. */
static void root_rules_add(int ruleset_fd, const struct options *options)
{
	struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	for (unsigned i = 0; i < options->visible_count; i++) {
		const char *path = options->visible[i] + (options->visible[i][0] == '?');
		int fd = (int)syscall(SYS_openat2, options->root_fd, path, &how, sizeof(how));
		if (fd < 0)
			continue;
		rule_add(ruleset_fd, fd, RIGHTS_READ);
		close(fd);
	}
	if (options->visible_count == 0)
		rule_add(ruleset_fd, options->root_fd, RIGHTS_READ);
}

int landlock_prepare(const struct options *options)
{
	uint64_t handled;
	int fd = (int)ruleset_create(&handled);
	if (fd < 0)
		return -1;
	if (options->root_fd >= 0)
		root_rules_add(fd, options);
	for (unsigned i = 0; i < options->volume_count; i++)
		rule_add(fd, options->volumes[i].fd,
			 handled & (options->volumes[i].read_only ? RIGHTS_READ : RIGHTS_WRITE));
	if (options->state_fd >= 0)
		rule_add(fd, options->state_fd, handled & RIGHTS_STATE);
	return fd;
}

int landlock_enter(int ruleset_fd) { return syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0 ? -errno : 0; }
