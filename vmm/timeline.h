/* SPDX-License-Identifier: Apache-2.0 */
/* The boot timeline: what was complete when. */
#ifndef LAMPO_VMM_TIMELINE_H
#define LAMPO_VMM_TIMELINE_H

#include "base/host/vm_protocol.h"
#include "include/abi/boot.h"
#include "vmm/clock.h"

struct timeline {
	unsigned count;
	struct {
		const char *name; /* static */
		uint64_t monotonic_ns;
	} stages[VM_STAGES_MAX];
};

/* Stage `name` is complete at this host time, or now. A full timeline takes no more. */
void timeline_mark_at(struct timeline *timeline, const char *name, uint64_t monotonic_ns);
void timeline_mark(struct timeline *timeline, const char *name);
/* Adds the stages that the guest has stamped; nonsense is left out. */
void timeline_add_guest(struct timeline *timeline, struct guest_clock *clock, const struct lampo_boot_info *boot);
/* For people: one line per stage, microseconds since the first, to stderr. */
void timeline_print(const struct timeline *timeline);

#endif
