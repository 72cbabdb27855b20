/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs of lampo-image: one file each, cli/image/cmd_NAME.c. A new verb needs: an entry in cli/command.h and
 * cli/command.c (with .program = PROGRAM_IMAGE), the declaration here, a line in cli/image/main.c, and `make docs`.
 */
#ifndef LAMPO_CLI_IMAGE_IMAGE_CLI_H
#define LAMPO_CLI_IMAGE_IMAGE_CLI_H

#include "cli/cli.h"
#include "cli/image/progress.h"

#endif
