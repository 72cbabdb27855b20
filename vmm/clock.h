/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's clocks. The guest reads them without an exit, from the TSC and the base in its boot
 * information; the monitor moves the base now and then, so that the guest follows the host's clocks. The
 * guest's CLOCK_MONOTONIC never goes back: where it ran ahead of the host's, it stays ahead.
 */
#ifndef LAMPO_VMM_CLOCK_H
#define LAMPO_VMM_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "include/abi/boot.h"

struct guest_clock {
	struct lampo_boot_info *boot;
	pthread_mutex_t lock; /* for what follows */
	uint32_t seq;
	uint64_t tsc_khz, tsc_base, monotonic_ns;
};

/* CLOCK_MONOTONIC of the host. */
uint64_t clock_now_ns(void);
/* -ENOTSUP: the frequency of the TSC is unknown. */
int clock_start(struct guest_clock *clock, struct lampo_boot_info *boot, uint64_t tsc_khz);
/* Moves the base if it is older than a second. */
void clock_follow(struct guest_clock *clock);
/* The guest's CLOCK_MONOTONIC as a time of the host's. */
struct timespec clock_host_time(struct guest_clock *clock, uint64_t guest_ns);
/* A TSC value taken by the guest as host CLOCK_MONOTONIC in ns; 0 if it lies not between the guest's
 * start and now. */
uint64_t clock_tsc_to_host_ns(struct guest_clock *clock, uint64_t tsc);

#endif
