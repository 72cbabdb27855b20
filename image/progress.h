/* SPDX-License-Identifier: Apache-2.0 */
/* How long work tells what it is doing. Whoever shows it fills in `set`; a NULL progress is silent. */
#ifndef LAMPO_IMAGE_PROGRESS_H
#define LAMPO_IMAGE_PROGRESS_H

#include <stdint.h>

struct progress {
	/* item: a small number that stays the same for one thing (a layer). label: its name. what: "pulling",
	 * "writing", "done". total: 0 if unknown. Called often: it is cheap if nothing is to be shown. From one thread
	 * at a time. */
	void (*set)(struct progress *progress, unsigned item, const char *label, const char *what, uint64_t done,
		    uint64_t total);
};

static inline void progress_set(struct progress *progress, unsigned item, const char *label, const char *what,
				uint64_t done, uint64_t total)
{
	if (progress)
		progress->set(progress, item, label, what, done, total);
}

#endif
