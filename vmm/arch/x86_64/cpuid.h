/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest's CPUID instruction shows: the instructions that a program may use, and the caches; no
 * feature of system software. Made from the host's own CPUID and a list of what may pass, because
 * KVM_GET_SUPPORTED_CPUID takes several times as long (docs/measurements.md).
 */
#ifndef LAMPO_VMM_CPUID_H
#define LAMPO_VMM_CPUID_H

#include <linux/kvm.h>
#include <stdint.h>

#include "base/host/err.h"

#define CPUID_ENTRIES_MAX 40u

struct cpuid {
	uint64_t xcr0;        /* extended state that the guest may use */
	uint64_t xsave_bytes; /* size of an XSAVE area for it, standard format */
	uint32_t count;
	struct kvm_cpuid_entry2 entries[CPUID_ENTRIES_MAX];
};

/* Fills the table for a guest with cpu_count vCPUs. */
void cpuid_read(struct cpuid *cpuid, unsigned cpu_count);
/* Gives vCPU `index` its table and its XCR0. */
int cpuid_load(const struct cpuid *cpuid, int vcpu_fd, unsigned index, struct err *err);

#endif
