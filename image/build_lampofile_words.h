/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the parser of Lampofiles: what follows a keyword. */
#ifndef LAMPO_IMAGE_BUILD_LAMPOFILE_WORDS_H
#define LAMPO_IMAGE_BUILD_LAMPOFILE_WORDS_H

#include "image/build_lampofile.h"

/* Takes instruction->text (not empty, no outer spaces) apart, by instruction->kind. -EINVAL with *err, without file and
 * line. */
int lampofile_parse_words(struct lampofile_instruction *instruction, char escape, struct err *err);

#endif
