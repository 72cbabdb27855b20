/* SPDX-License-Identifier: Apache-2.0 */
/* Does with a file system, good or hostile, all that the reader can do. */
#ifndef TESTS_UNIT_EROFS_EXERCISE_H
#define TESTS_UNIT_EROFS_EXERCISE_H

#include "base/erofs.h"

/* Visits up to `most` inodes from the root on. Whatever the reader says lies in the file is touched, so that a
 * sanitizer sees what is not. The number of errors that the reader reported; -1: it broke a promise. */
int erofs_exercise(const struct erofs *fs, unsigned most);

#endif
