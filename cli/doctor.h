/* SPDX-License-Identifier: Apache-2.0 */
/* What a host must and may have for Lampo. */
#ifndef LAMPO_CLI_DOCTOR_H
#define LAMPO_CLI_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#define CHECKS_MAX 24u

struct check {
	const char *name;
	enum { CHECK_OK, CHECK_LIMITED, CHECK_MISSING } state;
	bool required; /* if it is missing no VM can run */
	char detail[160];
	char advice[320]; /* what to do if it is not ok */
};

/* Fills checks[CHECKS_MAX]; how many there are. */
size_t doctor_examine(struct check *checks);

#endif
