/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image/image_cli.h"
#include "image/store.h"

int cmd_tag(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct store store;
	struct store_entry entry;
	int code = store_open(&store, true, err);

	(void)start_ns;
	if (code < 0)
		return code;
	code = store_find(&store, arguments->rest[0], &entry, err);
	for (int i = 1; i < arguments->rest_count && code == 0; i++)
		code = store_tag(&store, &entry.digest, arguments->rest[i], &entry.origin, err);
	store_close(&store);
	return code;
}
