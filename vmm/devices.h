/* SPDX-License-Identifier: Apache-2.0 */
/* The VM's devices: console, rng and, if the guest sees directories of the host, fs. */
#ifndef LAMPO_VMM_DEVICES_H
#define LAMPO_VMM_DEVICES_H

#include "base/host/err.h"
#include "include/abi/boot.h"

struct vm;

/* Makes them; takes the standard streams and the exports' descriptors. */
int devices_create(struct vm *vm, struct err *err);
/* Sets up each device's queues in RAM, activates it, and describes it in the boot information. */
int devices_activate(struct vm *vm, struct lampo_boot_info *boot, struct err *err);

#endif
