/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: which files the monitor may reach once it is locked down, by path beneath the exports
 * (Documentation/userspace-api/landlock.rst of Linux). */
#ifndef LAMPO_VMM_LANDLOCK_H
#define LAMPO_VMM_LANDLOCK_H

#include "vmm/options.h"

/* A ruleset for these exports and the state directory. -1: the kernel has no Landlock. */
int landlock_prepare(const struct options *options);
/* Puts the calling thread, which has no_new_privs, under it. 0 or -errno. */
int landlock_enter(int ruleset_fd);

#endif
