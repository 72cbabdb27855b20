/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine with threads for unit tests of kernel/proc/: threads are coroutines of the test, vCPUs run one after
 * another, and time passes only while vCPUs halt (or when the test says so). Program memory is the test's own.
 */
#ifndef TESTS_KERNEL_THREADS_H
#define TESTS_KERNEL_THREADS_H

#include "kernel/proc/process.h"

/* Fresh RAM, `cpus` vCPUs, the first process with one thread that does nothing yet. */
void machine_reset(unsigned cpus);
/* A further thread that runs entry(arg) in the kernel and ends by returning. */
struct thread *machine_thread(void (*entry)(void *), void *arg);
/* Runs everything until nothing is runnable and no time is waited for. */
void machine_run(void);
void machine_run_until(uint64_t ns); /* the same, but time stops there */
/* Time in ns: the guest's CLOCK_MONOTONIC. */
extern uint64_t machine_now;
/* As if the current thread computed for so long: interrupts happen as armed; it is rescheduled as on the way out. */
void machine_compute(uint64_t ns);
/* On the way out to the program with a result in rax. */
void machine_way_out(struct regs *regs);

struct machine_counts {
	unsigned kicks, halts, timers_armed, cpus_started, switches;
};
extern struct machine_counts machine_counts;
/* When arch_exit() is called: its code; the run ends then. -1: not. */
extern int machine_exit_code;

#endif
