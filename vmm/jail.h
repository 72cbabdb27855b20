/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jail around the monitor. Whoever starts it makes its namespaces; here its process and its threads
 * give up all that they do not need to run the guest. Order: jail_close_others() first of all; when every
 * path is open, jail_plan() and jail_process() in any order; then jail_enter() in each thread before it
 * deals with the guest.
 */
#ifndef LAMPO_VMM_JAIL_H
#define LAMPO_VMM_JAIL_H

#include <stdbool.h>

#include "base/host/err.h"
#include "vmm/options.h"

enum jail_role {
	JAIL_VCPU,
	JAIL_DEVICE,
};

struct jail {
	bool exports, writes; /* whether there are exported directories, read-write ones */
	int ruleset_fd;       /* Landlock; -1: the kernel has none */
};

/* Closes what was inherited and is not named in the options. */
void jail_close_others(const struct options *options);
/* Notes what the options need, and makes the Landlock rules. */
void jail_plan(struct jail *jail, const struct options *options);
/* For the process: an empty root if it lies in namespaces of its own (otherwise only Landlock bounds paths),
 * limits, no core dumps. No path can be opened afterwards but beneath the exports. */
int jail_process(struct err *err);
/* For the calling thread: no new privileges, Landlock, capabilities, seccomp. */
int jail_enter(const struct jail *jail, enum jail_role role, struct err *err);

/* The seccomp program alone (vmm/seccomp/). 0 or -errno. */
int jail_seccomp_load(const struct jail *jail, enum jail_role role);

#endif
