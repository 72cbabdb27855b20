/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs of lampo-image: one file each, cli/image/cmd_NAME.c. A new verb needs: an entry in cli/command.h and
 * cli/command.c (with .program = PROGRAM_IMAGE), a line here and in cli/image/main.c, and `make docs`.
 */
#ifndef LAMPO_CLI_IMAGE_IMAGE_CLI_H
#define LAMPO_CLI_IMAGE_IMAGE_CLI_H

#include "cli/cli.h"
#include "cli/image/progress.h"

/* clang-format off */
command_function cmd_pull;
command_function cmd_push;
command_function cmd_import;
command_function cmd_export;
command_function cmd_images;
command_function cmd_image_inspect;
command_function cmd_image_verify;
command_function cmd_image_history;
command_function cmd_tag;
command_function cmd_build;
command_function cmd_rmi;
command_function cmd_prune;
/* clang-format on */

#endif
