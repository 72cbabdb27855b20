/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of `lampo help`, made from the table of commands, to standard output. */
#ifndef LAMPO_CLI_HELP_H
#define LAMPO_CLI_HELP_H

#include "cli/command.h"

void help_print_overview(void);
void help_print(const struct command *command);
/* The commands whose first word it is. */
void help_print_group(const char *word);

#endif
