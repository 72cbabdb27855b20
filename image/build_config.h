/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions of a Lampofile that change an image's configuration. */
#ifndef LAMPO_IMAGE_BUILD_CONFIG_H
#define LAMPO_IMAGE_BUILD_CONFIG_H

#include "image/build_stage.h"

/* ENV, LABEL, WORKDIR, USER, EXPOSE, ENTRYPOINT, CMD */
int build_stage_configure(struct build *build, struct build_stage *stage, const struct lampofile_instruction *in,
			  struct err *err);
/* Writes down that an instruction was carried out. */
int build_stage_history(struct build_stage *stage, const struct lampofile_instruction *in, struct err *err);

#endif
