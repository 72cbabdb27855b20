/* SPDX-License-Identifier: Apache-2.0 */
#include "run/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "run/fd.h"

int rundir_path(char path[PATH_MAX], uid_t uid, struct err *err)
{
	const char *given = getenv("LAMPO_RUN_DIR");
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (given != NULL && given[0] != '\0')
		n = snprintf(path, PATH_MAX, "%s", given);
	else if (xdg != NULL && xdg[0] == '/')
		n = snprintf(path, PATH_MAX, "%s/lampo", xdg);
	else if (uid == 0)
		n = snprintf(path, PATH_MAX, "/run/lampo");
	else
		n = snprintf(path, PATH_MAX, "/tmp/lampo-%u", uid);
	if (n < 0 || n >= PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "cannot use the run directory of LAMPO_RUN_DIR or XDG_RUNTIME_DIR");
	return 0;
}

/* Nobody else may own or write it: whoever can, could put another socket or lock in our VM's place. */
static int rundir_check(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "cannot examine the run directory %s", path);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		err_set(err, -EPERM, "cannot use the run directory %s: others than you own it or may write to it!",
			path);
		return err_hint(err, "remove it, or name another one in LAMPO_RUN_DIR");
	}
	return 0;
}

static int rundir_fail(const char *path, int code, struct err *err)
{
	err_set(err, code, "cannot make the run directory %s", path);
	if (code == -ENOSPC || code == -EDQUOT)
		err_hint(err, "make room there, or name a directory on another file system in LAMPO_RUN_DIR");
	else if (code == -ELOOP || code == -ENOTDIR)
		err_hint(err, "it must be a directory, not a symbolic link or a file");
	else
		err_hint(err, "name a directory that you may write to in LAMPO_RUN_DIR");
	return code;
}

/* The parents of the run directory are taken as they are (XDG_RUNTIME_DIR may lead through symbolic
 * links); its last component and "vm" must be directories of ours and no links. */
int rundir_open(struct err *err)
{
	char path[PATH_MAX];
	int code = rundir_path(path, geteuid(), err);
	if (code < 0)
		return code;

	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	FD_AUTO int base = open(path, flags);
	if (base < 0 && errno == ENOENT) {
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return rundir_fail(path, -errno, err);
		base = open(path, flags);
	}
	if (base < 0)
		return rundir_fail(path, -errno, err);
	code = rundir_check(base, path, err);
	if (code < 0)
		return code;

	int vm = fd_open_beneath(base, "vm", flags, 0);
	if (vm == -ENOENT) {
		if (mkdirat(base, "vm", 0700) < 0 && errno != EEXIST)
			return rundir_fail(path, -errno, err);
		vm = fd_open_beneath(base, "vm", flags, 0);
	}
	if (vm < 0)
		return rundir_fail(path, vm, err);
	return vm;
}
