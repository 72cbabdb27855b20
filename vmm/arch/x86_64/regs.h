/* SPDX-License-Identifier: Apache-2.0 */
/* The registers with which a vCPU starts: ring 3, 64-bit mode, at the kernel's entry. */
#ifndef LAMPO_VMM_REGS_H
#define LAMPO_VMM_REGS_H

#include <stdint.h>

#include "base/host/err.h"
#include "vmm/arch/x86_64/segments.h"

struct start_state {
	struct segments segments;
	uint64_t pml4_gpa, cpu_pages, boot_va;
	uint64_t entry, syscall_entry;
};

int regs_load(const struct start_state *start, int vcpu_fd, unsigned index, struct err *err);
/* Instruction pointer for a diagnosis; 0 if it cannot be read. */
uint64_t regs_rip(int vcpu_fd);
/* Frequency of the time-stamp counter; 0: unknown. And its value now, as the guest sees it: the two are
 * kept the same (regs_load sets the guest's offset to 0). */
uint64_t regs_tsc_khz(int vcpu_fd);
static inline uint64_t regs_tsc(void) { return __builtin_ia32_rdtsc(); }

#endif
