/* SPDX-License-Identifier: Apache-2.0 */
/* What a process VM sees of the host by default: a filter for the monitor's --visible and --hidden. */
#ifndef LAMPO_RUN_VIEW_H
#define LAMPO_RUN_VIEW_H

#include <stdbool.h>

#include "base/host/err.h"

#define VIEW_VISIBLE_MAX 16
#define VIEW_HIDDEN_MAX 64

struct view {
	const char *visible[VIEW_VISIBLE_MAX + 1]; /* relative to "/", NULL-terminated */
	const char *hidden[VIEW_HIDDEN_MAX + 1];
	char *cwd; /* absolute; the current directory as the guest has it, "/" if it cannot see it */
	char *run_dir;
};

/* The current directory is looked up here. */
int view_init(struct view *view, struct err *err);
void view_fini(struct view *view);

/* cwd may be shown as a subtree: it is not "/", nor in a file system that the guest has of its own. */
bool view_may_show(const char *cwd);

#endif
