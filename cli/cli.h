/* SPDX-License-Identifier: Apache-2.0 */
/* The commands: one file each, cli/cmd_NAME.c. */
#ifndef LAMPO_CLI_CLI_H
#define LAMPO_CLI_CLI_H

#include <stdint.h>

#include "base/host/err.h"
#include "cli/command.h"

#define EXIT_LAMPO 125 /* Lampo itself failed, or was used wrongly */

/* Each returns the exit code of the program, or a negative errno with *err set: main() prints it and
 * ends with EXIT_LAMPO. start_ns: CLOCK_MONOTONIC at the start of main(). */
typedef int command_function(const struct arguments *arguments, uint64_t start_ns, struct err *err);
command_function cmd_run, cmd_ps, cmd_logs, cmd_stop, cmd_kill, cmd_wait, cmd_rm, cmd_doctor, cmd_version, cmd_help;

/* Those of lampo-image: cli/image/image_cli.h. */

#endif
