/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that do one thing to each of the VMs named. */
#ifndef LAMPO_CLI_EACH_H
#define LAMPO_CLI_EACH_H

#include "cli/command.h"
#include "run/vmstate.h"

typedef int each_function(const struct vm_entry *entry, int dir_fd, void *context, struct err *err);

/* Calls it for each argument. A failure is printed and the others still have their turn; the result is
 * 0, or EXIT_LAMPO if one failed. missing_ok: a VM that does not exist is passed over. */
int each_vm(const struct arguments *arguments, each_function *function, void *context, bool missing_ok);

/* Ends the VM by VM_OP_END, or by SIGKILL to a monitor that does not answer; waits until it is dead. */
int each_end(const struct vm_entry *entry, int dir_fd, int *code, struct err *err);

#endif
