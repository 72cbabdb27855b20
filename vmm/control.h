/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: requests of those who address this VM (base/host/vm_protocol.h). Served in the
 * device thread. */
#ifndef LAMPO_VMM_CONTROL_H
#define LAMPO_VMM_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/host/err.h"

#define CONTROL_CLIENTS_MAX 8u

struct vm;

struct control {
	int listen_fd; /* -1: none */
	unsigned clients;
	uint64_t started_ns; /* CLOCK_REALTIME */
};

/* Watches the listening socket (if not -1) and the report socket, whose closing ends the VM unless it is
 * detached. */
int control_start(struct vm *vm, int listen_fd, int report_fd, bool detach, struct err *err);

#endif
