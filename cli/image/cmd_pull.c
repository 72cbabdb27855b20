/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/image/image_cli.h"
#include "cli/image/registry_arguments.h"
#include "image/pull.h"

static const char *describe(enum pull_result result)
{
	switch (result) {
	case PULL_UP_TO_DATE:
		return "is up to date";
	case PULL_FETCHED:
		return "was fetched";
	case PULL_CONVERTED:
		return "was fetched and converted";
	}
	return "";
}

int cmd_pull(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct pull_options options = {
	    .registry = registry_arguments(arguments, false),
	    .convert = arguments_have(arguments, "convert"),
	};
	bool quiet = arguments_have(arguments, "quiet");
	char text[IMAGE_DIGEST_TEXT];
	struct progress_display display;
	struct reference reference;
	struct image_digest digest;
	enum pull_result result;
	struct store store;

	(void)start_ns;
	int code = reference_parse(&reference, arguments->rest[0], err);
	if (code == 0)
		code = store_open(&store, true, err);
	if (code < 0)
		return code;
	progress_display_init(&display, quiet);
	code = image_pull(&store, &reference, &options, &display.progress, &digest, &result, err);
	progress_display_fini(&display);
	store_close(&store);
	if (code < 0)
		return err_wrap(err, "cannot pull %s", arguments->rest[0]);
	if (!quiet)
		fprintf(stderr, "%s %s\n", arguments->rest[0], describe(result));
	image_digest_format(&digest, text);
	printf("%s\n", text);
	return 0;
}
