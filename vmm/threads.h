/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's threads: their start, who does what of the set-up, and their lock-down.
 *
 * Device thread: guest memory -> jail of the process -> own lock-down -> event loop.
 * Main thread, meanwhile: VM and vCPUs -> plan of the jail -> boot information -> own lock-down -> vCPU 0.
 * Other vCPUs' threads: own lock-down -> parked until the guest starts them.
 */
#ifndef LAMPO_VMM_THREADS_H
#define LAMPO_VMM_THREADS_H

#include "base/host/err.h"

struct vm;

/* When every path is open that the set-up opens. */
int threads_start_device(struct vm *vm, struct err *err);
/* The VM is there: the device thread may give it memory. */
void threads_vm_created(struct vm *vm);
/* Plans the jail, then waits until guest memory is there and KVM knows it; makes it if nobody has begun. */
int threads_await_memory(struct vm *vm, struct err *err);
/* Starts the other vCPUs' threads, locks down this one, and waits until all threads have done so. */
int threads_lock_down(struct vm *vm, struct err *err);

#endif
