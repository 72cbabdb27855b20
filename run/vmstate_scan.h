/* SPDX-License-Identifier: Apache-2.0 */
/* What run/vmstate.c and run/vmlist.c share; nobody else includes it. */
#ifndef LAMPO_RUN_VMSTATE_SCAN_H
#define LAMPO_RUN_VMSTATE_SCAN_H

#include "run/vmstate.h"

/* The monitor holds the lock of this directory. */
bool vmstate_alive(int dir_fd);
/* The exit code of a dead VM, or -ENOENT. */
int vmstate_read_code(int dir_fd);
/* Removes the directory of a dead VM; -EWOULDBLOCK if somebody waits for it or removes it already. */
int vmstate_reap(int vm_fd, const char *id, int dir_fd);
/* All VMs beneath "vm"; exclusive: the caller holds LOCK_EX on vm_fd, otherwise the lock is tried when
 * there are remains to remove. */
int vmstate_scan(int vm_fd, bool exclusive, struct vm_list *list, struct err *err);

#endif
