/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls that the monitor's threads may make once the guest runs, as data. Everything else ends
 * the process. The BPF programs are made from this at build time (generate.c). */
#ifndef LAMPO_VMM_SECCOMP_RULES_H
#define LAMPO_VMM_SECCOMP_RULES_H

#include <stddef.h>
#include <stdint.h>

/* Who needs a call. A program is made for a set of these. */
enum seccomp_need {
	SECCOMP_ALL = 1,      /* every thread */
	SECCOMP_VCPU = 2,     /* vCPU threads: run the guest, serve its requests */
	SECCOMP_FS = 4,       /* vCPU threads, for exported directories: look and read */
	SECCOMP_FS_WRITE = 8, /* vCPU threads, for read-write volumes */
	SECCOMP_DEVICE = 16,  /* the device thread */
	SECCOMP_TEST = 32,    /* every thread of a test build, with the sanitizers in it */
};

/* One allowed call. With `mask`, only if (argument & mask) == value; arguments count from 0. */
struct seccomp_rule {
	int number;
	unsigned needs;
	uint64_t mask, value;
	unsigned argument;
	const char *reason;
};

extern const struct seccomp_rule seccomp_rules[];
extern const size_t seccomp_rule_count;

#endif
