/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "cli/image/image_cli.h"
#include "cli/image_open.h"
#include "cli/table.h"

int cmd_prune(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct store_pruned pruned = {0};
	struct store store;
	char freed[16];
	bool there;
	int code = image_store_open(&store, &there, err);

	(void)arguments;
	(void)start_ns;
	if (code < 0)
		return code;
	if (there) {
		code = store_prune(&store, false, &pruned, err);
		if (code == -EBUSY) {
			fprintf(stderr, "lampo: waiting for others who use the images in %s\n", store.path);
			code = store_prune(&store, true, &pruned, err);
		}
		store_close(&store);
	}
	if (code < 0)
		return code;
	table_format_bytes(freed, sizeof(freed), pruned.bytes);
	printf("removed %llu images, freed %s bytes\n", (unsigned long long)pruned.images, freed);
	return 0;
}
