/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/timing.h"

#include <stdio.h>
#include <string.h>

void timing_print(const struct vm_stage *stages, unsigned count)
{
	int width = 5;

	for (unsigned i = 0; i < count; i++) {
		int len = (int)strnlen(stages[i].name, sizeof(stages[i].name));
		width = len > width ? len : width;
	}
	fprintf(stderr, "%-*s  %10s  %10s\n", width, "STAGE", "TIME us", "DELTA us");
	for (unsigned i = 0; i < count; i++) {
		uint64_t time = stages[i].monotonic_ns - stages[0].monotonic_ns;
		uint64_t delta = i == 0 ? 0 : stages[i].monotonic_ns - stages[i - 1].monotonic_ns;
		fprintf(stderr, "%-*.*s  %10.1f  %10.1f\n", width, (int)sizeof(stages[i].name), stages[i].name,
			(double)(int64_t)time / 1e3, (double)(int64_t)delta / 1e3);
	}
}
