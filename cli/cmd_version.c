/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/host/vm_protocol.h"
#include "cli/cli.h"
#include "cli/version.h"
#include "cli/table.h"
#include "include/abi/boot.h"

int cmd_version(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	(void)start_ns;
	if (arguments_have(arguments, "json"))
		return table_print_json(json_pack("{s:s, s:i, s:i}", "version", LAMPO_VERSION, "abi_version",
						  (int)LAMPO_ABI_VERSION, "protocol_version", (int)VM_PROTOCOL_VERSION),
					err);
	printf("lampo %s\n", LAMPO_VERSION);
	return 0;
}
