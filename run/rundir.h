/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run directory: where the state of running VMs lies, one directory per VM in its subdirectory "vm".
 * $LAMPO_RUN_DIR, else $XDG_RUNTIME_DIR/lampo, else /run/lampo for root, else /tmp/lampo-UID.
 */
#ifndef LAMPO_RUN_RUNDIR_H
#define LAMPO_RUN_RUNDIR_H

#include <limits.h>
#include <sys/types.h>

#include "base/host/err.h"

/* The name of the run directory for a user, from the environment; 0, or -ENAMETOOLONG. */
int rundir_path(char path[PATH_MAX], uid_t uid, struct err *err);

/* Makes the run directory and its "vm" where they do not exist (mode 0700), checks that nobody else
 * can change them, and returns a descriptor (O_RDONLY, close-on-exec) of "vm", or a negative errno. */
int rundir_open(struct err *err);

#endif
