/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotes and variables in the words of a Lampofile, as Docker replaces them: $name, ${name}, ${name:-word},
 * ${name:+word},
 * ${name:?word} and those without ':'; nothing in single quotes; \$ is a dollar. A variable that is not set is "".
 */
#ifndef LAMPO_IMAGE_BUILD_WORDS_H
#define LAMPO_IMAGE_BUILD_WORDS_H

#include "base/host/err.h"

#define BUILD_WORD_MAX (128u << 10) /* bytes of a word after replacement */

/* env: NULL-terminated "NAME=VALUE" strings, of which the last of a name counts; may be NULL. The result is malloc'd.
 * -EINVAL, -E2BIG, -ENOMEM. */
int build_word_expand(const char *word, char escape, char *const *env, char **result, struct err *err);

#endif
