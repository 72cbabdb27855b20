/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LAMPO_CLI_TIMING_H
#define LAMPO_CLI_TIMING_H

#include "base/host/vm_protocol.h"

/* The boot timeline as a table on standard error; times from the first stage, in microseconds. */
void timing_print(const struct vm_stage *stages, unsigned count);

#endif
