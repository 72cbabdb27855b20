/* SPDX-License-Identifier: Apache-2.0 */
/* Signals for the guest's program, and the watch over a kernel that does not take them. For the device thread. */
#ifndef LAMPO_VMM_SIGNALS_H
#define LAMPO_VMM_SIGNALS_H

#include <stdint.h>

/* How long the guest's kernel may leave a signal lying that asks its program to end. */
#define SIGNALS_PATIENCE_MS 2000ull

struct vm;

struct signals {
	unsigned watched; /* signal that the kernel has not taken yet; 0: none */
	uint64_t waited_ns, looked_ns;
};

/* Sends signal 1..64 to the guest's program. If that has ended and only its output is still to be written,
 * a signal that asks it to end ends the VM. */
void signals_send(struct vm *vm, unsigned signal);
/* Ends the VM if its kernel has not taken such a signal for SIGNALS_PATIENCE_MS; whether the program obeys is
 * its own business. Returns the milliseconds after which to come again. */
unsigned signals_watch(struct vm *vm);

#endif
