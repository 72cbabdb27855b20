/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel lock (kernel/kernel.h). A vCPU that waits for it serves flush requests meanwhile. */
#ifndef NUCLEO_ENTRY_LOCK_H
#define NUCLEO_ENTRY_LOCK_H

void kernel_lock(void);
void kernel_unlock(void);

#endif
