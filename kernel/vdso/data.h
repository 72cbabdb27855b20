/* SPDX-License-Identifier: Apache-2.0 */
/* The page that the vDSO reads, mapped right after its image, which is one page. Written by kernel/proc/clock.c. */
#ifndef NUCLEO_VDSO_DATA_H
#define NUCLEO_VDSO_DATA_H

#include <stdint.h>

struct vdso_data {
	uint32_t seq;  /* odd while it is being written */
	uint32_t cpus; /* vCPUs that run: with one, getcpu needs no system call */
	uint64_t tsc_base;
	uint64_t multiplier;                /* ns = (tsc - tsc_base) * multiplier >> CLOCK_SHIFT */
	uint64_t realtime_ns, monotonic_ns; /* at tsc_base */
};

#define CLOCK_SHIFT 43

#endif
