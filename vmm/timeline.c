/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/timeline.h"

#include <stdio.h>

#include "base/util.h"

void timeline_mark_at(struct timeline *timeline, const char *name, uint64_t monotonic_ns)
{
	if (timeline->count == countof(timeline->stages))
		return;
	timeline->stages[timeline->count].name = name;
	timeline->stages[timeline->count].monotonic_ns = monotonic_ns;
	timeline->count++;
}

void timeline_mark(struct timeline *timeline, const char *name) { timeline_mark_at(timeline, name, clock_now_ns()); }

void timeline_add_guest(struct timeline *timeline, struct guest_clock *clock, const struct lampo_boot_info *boot)
{
	static const char *const names[] = {
	    [LAMPO_T_ENTRY] = "kernel entry",      [LAMPO_T_MEMORY] = "kernel: memory",
	    [LAMPO_T_DEVICES] = "kernel: devices", [LAMPO_T_ROOT] = "kernel: root",
	    [LAMPO_T_LOADED] = "program loaded",   [LAMPO_T_PROGRAM] = "program starts",
	    [LAMPO_T_EXIT] = "program exits",
	};
	for (unsigned i = 0; i < countof(names); i++) {
		uint64_t ns = clock_tsc_to_host_ns(clock, __atomic_load_n(&boot->timeline[i], __ATOMIC_RELAXED));
		if (ns != 0)
			timeline_mark_at(timeline, names[i], ns);
	}
}

void timeline_print(const struct timeline *timeline)
{
	for (unsigned i = 0; i < timeline->count; i++) {
		uint64_t first = timeline->stages[0].monotonic_ns,
			 before = timeline->stages[i > 0 ? i - 1 : 0].monotonic_ns;
		fprintf(stderr, "%10.1f us  %+9.1f  %s\n",
			(double)(int64_t)(timeline->stages[i].monotonic_ns - first) / 1e3,
			(double)(int64_t)(timeline->stages[i].monotonic_ns - before) / 1e3, timeline->stages[i].name);
	}
}
