/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX timers, below timer_create(2) and its family. */
#ifndef NUCLEO_PROC_POSIX_TIMER_H
#define NUCLEO_PROC_POSIX_TIMER_H

#include "kernel/proc/process.h"

struct posix_timer;

/* notify: SIGEV_SIGNAL, SIGEV_NONE or SIGEV_THREAD_ID (then `target`). -EINVAL, -EAGAIN. */
int posix_timer_new(int32_t clock, int notify, int signal, struct thread *target, uint64_t value,
		    struct posix_timer **timer);
struct posix_timer *posix_timer_find(int id);
void posix_timer_delete(struct posix_timer *timer);
int posix_timer_id(const struct posix_timer *timer);
void posix_timer_set_value(struct posix_timer *timer, uint64_t value); /* sigev_value */
int posix_timer_overrun(const struct posix_timer *timer);
/* left_ns = 0: not armed. */
void posix_timer_get(struct posix_timer *timer, uint64_t *left_ns, uint64_t *interval_ns);
/* first_ns = 0: disarm. */
void posix_timer_set(struct posix_timer *timer, bool absolute, uint64_t first_ns, uint64_t interval_ns);

#endif
