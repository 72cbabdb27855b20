/* SPDX-License-Identifier: Apache-2.0 */
/* Interval timers, below setitimer(2); which: ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF. */
#ifndef NUCLEO_PROC_ITIMER_H
#define NUCLEO_PROC_ITIMER_H

#include <linux/time.h>

#include "kernel/proc/process.h"

/* left_ns = 0: not armed. */
void itimer_get(struct process *process, int which, uint64_t *left_ns, uint64_t *interval_ns);
void itimer_set(struct process *process, int which, uint64_t first_ns, uint64_t interval_ns);

#endif
