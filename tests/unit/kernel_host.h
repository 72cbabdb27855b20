/* SPDX-License-Identifier: Apache-2.0 */
/* The machine for unit tests of kernel/: guest RAM, one vCPU, one process with one thread. */
#ifndef TESTS_KERNEL_HOST_H
#define TESTS_KERNEL_HOST_H

#include "kernel/arch.h"
#include "kernel/proc/process.h"

#define HOST_RAM_BYTES (64u << 20)
#define HOST_FREE_GPA 0x100000u

extern struct process host_process;
extern struct thread host_thread;

/* What the code under test asked the machine for. */
struct host_counts {
	unsigned flushes, populates, releases, verifies, copies;
	uint64_t flush_bytes, populated_end, verify_ahead;
};
extern struct host_counts host_counts;

/* For LAMPO_PORT_VERIFY: a bit for each block that is as it should be. NULL: all are. */
extern uint64_t (*host_verify_image)(uint64_t block, unsigned count);

/* Fresh zeroed RAM of `bytes` (<= HOST_RAM_BYTES), page_init() done. */
void host_reset(uint64_t bytes);
/* panic() comes here first: a test may leave by longjmp. NULL: abort. */
extern void (*host_on_panic)(const char *text);

#endif
