/* SPDX-License-Identifier: Apache-2.0 */
/* Lampo's other programs, found by where this one lies. */
#ifndef LAMPO_RUN_HELPER_H
#define LAMPO_RUN_HELPER_H

#include <limits.h>

#include "base/host/err.h"

/* "lampo-vmm", "lampo-image", "lampo": in this program's directory, or as `make install` puts them; 0 or -ENOENT. */
int helper_find(char path[PATH_MAX], const char *name, struct err *err);

#endif
