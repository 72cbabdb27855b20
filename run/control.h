/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a running monitor over its control socket (base/host/vm_protocol.h). */
#ifndef LAMPO_RUN_CONTROL_H
#define LAMPO_RUN_CONTROL_H

#include <stdint.h>

#include "base/host/err.h"
#include "base/host/vm_protocol.h"

/* Makes the listening socket "control" in a VM's state directory; a descriptor or -errno. */
int control_listen(int dir_fd);
/* Connects to it; a descriptor or -errno (-ECONNREFUSED: the monitor is gone). */
int control_connect(int dir_fd);
/* Sends one request without waiting for the reply, which control_receive() takes; 0 or -errno. */
int control_send(int fd, enum vm_op op, uint64_t arg);
/* One reply; -ETIMEDOUT, -EPROTO if it is not one, or the error that the monitor replied. */
int control_receive(int fd, int timeout_ms, struct vm_reply *reply);
/* All of it. reply may be NULL. */
int control_request(int dir_fd, enum vm_op op, uint64_t arg, int timeout_ms, struct vm_reply *reply);

#endif
