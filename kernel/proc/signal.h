/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the signal code share; for others process.h has all they need. */
#ifndef NUCLEO_PROC_SIGNAL_H
#define NUCLEO_PROC_SIGNAL_H

#include "kernel/proc/process.h"

#define SIGNALS_STOP (signal_bit(SIGSTOP) | signal_bit(SIGTSTP) | signal_bit(SIGTTIN) | signal_bit(SIGTTOU))

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

bool signal_ignored(const struct process *process, int signal);
/* Other threads take over the process's pending signals of `set`. */
void signal_retarget(struct thread *thread, uint64_t set);
void signal_continue(struct process *process);
/* To the current thread, even if blocked or ignored: then it kills. */
void signal_force(int signal, const siginfo_t *info);
/* A timer's signal is about to be delivered: fills in how often it would have been sent (posix_timer.c). */
void posix_timer_signal_taken(siginfo_t *info);

/* signal_frame.c: lays the frame of `signal` on the program's stack and makes *regs enter the
 * handler; mask: what sigreturn will restore. -EFAULT: no room. */
int signal_frame_push(struct regs *regs, int signal, const struct k_sigaction *action, const siginfo_t *info,
		      uint64_t mask);
/* The frame at the program's rsp back into *regs, mask and alternate stack; -EFAULT if it is malformed. */
int signal_frame_pop(struct regs *regs);
bool signal_on_altstack(const stack_t *stack, uint64_t rsp);

#endif
