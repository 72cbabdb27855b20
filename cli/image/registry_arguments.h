/* SPDX-License-Identifier: Apache-2.0 */
/* The options that pull and push have in common. */
#ifndef LAMPO_CLI_IMAGE_REGISTRY_ARGUMENTS_H
#define LAMPO_CLI_IMAGE_REGISTRY_ARGUMENTS_H

#include "cli/command.h"
#include "cli/version.h"
#include "image/registry.h"

static inline struct registry_options registry_arguments(const struct arguments *arguments, bool push)
{
	return (struct registry_options){
	    .user_agent = "lampo/" LAMPO_VERSION,
	    .ca_file = arguments_value(arguments, "ca-file"),
	    .plain_http = arguments_have(arguments, "plain-http"),
	    .push = push,
	};
}

#endif
