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
	if (code == 0)
		code =
		    store_tag_all(&store, &entry.digest, (const char *const *)arguments->rest + 1, &entry.origin, err);
	store_close(&store);
	return code;
}
