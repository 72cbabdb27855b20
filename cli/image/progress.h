/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows progress (image/progress.h) on standard error: on a terminal a bar for each thing that is being done, redrawn
 * in place; elsewhere a line whenever what is done changes. Pass &display.progress to who works; call
 * progress_display_fini() before anything else is printed.
 */
#ifndef LAMPO_CLI_IMAGE_PROGRESS_H
#define LAMPO_CLI_IMAGE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "image/progress.h"

struct progress_item {
	unsigned item;
	bool done;
	char label[80], what[32];
	uint64_t done_bytes, total;
};

struct progress_display {
	struct progress progress;
	bool terminal, quiet;
	unsigned drawn; /* lines on the terminal that are redrawn */
	uint64_t drawn_ns;
	struct progress_item *items;
	size_t count;
};

/* quiet: shows nothing. */
void progress_display_init(struct progress_display *display, bool quiet);
/* What is on the terminal stays there; frees. */
void progress_display_fini(struct progress_display *display);

#endif
