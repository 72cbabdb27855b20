/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and the conversion of the times that programs pass. kernel/proc/clock.c */
#ifndef NUCLEO_PROC_CLOCK_H
#define NUCLEO_PROC_CLOCK_H

#include <linux/time.h>

#include "kernel/arch.h"

struct mm;

/* Before the first use of a clock; boot_info must be set. */
void clock_init(void);
/* Takes over new bases from the monitor, if there are any, into the vDSO's data page. */
void clock_update(void);
uint64_t clock_monotonic(void);
uint64_t clock_realtime(void);

/* Absolute CLOCK_REALTIME to CLOCK_MONOTONIC, both ns; saturates. */
uint64_t clock_realtime_to_monotonic(uint64_t realtime_ns);
/* now + relative, saturating to UINT64_MAX - 1 (UINT64_MAX means "never"). */
uint64_t clock_deadline(uint64_t relative_ns);

/* struct __kernel_timespec / __kernel_old_timeval of a program. -EFAULT; -EINVAL if negative or not normalised. */
int timespec_read(uint64_t va, uint64_t *ns);
int timeval_read(uint64_t va, uint64_t *ns);
int timespec_write(uint64_t va, uint64_t ns);
int timeval_write(uint64_t va, uint64_t ns);

/* CPU time in ns. */
struct process;
struct thread;
uint64_t thread_cpu_ns(const struct thread *thread);
uint64_t process_cpu_ns(const struct process *process);

/* Any clock of clock_gettime(2), dynamic CPU clocks too; -EINVAL. */
int clock_read(int32_t clock, uint64_t *ns);

/* vDSO (kernel/vdso/): its pages, and the data page that clock_update() keeps. */
struct page;
struct page *vdso_data_page(void);
/* Maps data page and image; *base is where AT_SYSINFO_EHDR points. *base = 0 on entry: anywhere. */
int vdso_map(struct mm *mm, uint64_t *base);

/* Of a CPU clock (a negative number): whose it is; 0: the caller's. */
static inline int clock_cpu_id(int32_t clock) { return (int)(~(uint32_t)clock >> 3); }

#endif
