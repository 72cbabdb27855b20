/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that the CLI receives for the program in a foreground VM. */
#ifndef LAMPO_CLI_FORWARD_H
#define LAMPO_CLI_FORWARD_H

#include <signal.h>
#include <stdbool.h>

#include "run/monitor.h"

struct forward {
	int signal_fd;
	int control_fd; /* -1: not connected yet */
	int terminal;   /* in raw mode, or -1 */
	sigset_t old_mask;
	int ended_by; /* a signal that ended the VM and not the guest's program; 0: none */
};

/* Blocks the signals and makes the descriptor on which they are read. */
int forward_init(struct forward *forward, struct err *err);
/* Handles the signals that are there: to be called when signal_fd is readable. */
void forward_handle(struct forward *forward, struct monitor *monitor);
void forward_fini(struct forward *forward);

#endif
