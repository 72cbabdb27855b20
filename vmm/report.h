/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor tells whoever started it (base/host/vm_protocol.h). Without a report socket errors
 * and the timeline go to stderr. */
#ifndef LAMPO_VMM_REPORT_H
#define LAMPO_VMM_REPORT_H

#include "base/host/err.h"
#include "vmm/timeline.h"

/* fd: the report socket, or -1. A starter that is gone is no error. */
void report_ready(int fd);
void report_error(int fd, const struct err *err, int code);
void report_timing(int fd, const struct timeline *timeline);
void report_exit(int fd, int code);
/* Writes the exit code to the file "exit" of the state directory, at once and whole. */
void report_write_exit(int state_fd, int code);

#endif
