/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/image/image_cli.h"
#include "cli/image/registry_arguments.h"
#include "image/push.h"

static int parse_format(const char *text, enum push_format *format, struct err *err)
{
	static const struct {
		const char *name;
		enum push_format format;
	} formats[] = {{"lampo", PUSH_ZSTD}, {"raw", PUSH_RAW}, {"oci", PUSH_OCI}};

	for (size_t i = 0; text && i < countof(formats); i++) {
		if (strcmp(text, formats[i].name) != 0)
			continue;
		*format = formats[i].format;
		return 0;
	}
	if (!text)
		return 0;
	err_set(err, -EINVAL, "there is no format '%s'!", text);
	return err_hint(err, "it is one of lampo, raw and oci");
}

static int push(struct store *store, const struct arguments *arguments, const struct push_options *options, bool quiet,
		struct err *err)
{
	const char *target = arguments->rest_count > 1 ? arguments->rest[1] : NULL;
	char manifest[IMAGE_DIGEST_TEXT];
	struct progress_display display;
	struct reference reference;
	struct store_entry entry;
	enum push_result result;

	int code = store_find(store, arguments->rest[0], &entry, err);
	if (code < 0)
		return code;
	if (!target)
		target = entry.name[0] != '\0' ? entry.name : arguments->rest[0];
	code = reference_parse(&reference, target, err);
	if (code < 0)
		return code;
	progress_display_init(&display, quiet);
	code = image_push(store, &entry, &reference, options, &display.progress, manifest, &result, err);
	progress_display_fini(&display);
	if (code < 0)
		return code;
	if (!quiet && result == PUSH_ATTACHED)
		fprintf(stderr, "attached to the original of %s\n", target);
	else if (!quiet)
		fprintf(stderr, "%s was pushed\n", target);
	printf("%s\n", manifest);
	return 0;
}

int cmd_push(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct push_options options = {.registry = registry_arguments(arguments, true)};
	struct store store;

	(void)start_ns;
	int code = parse_format(arguments_value(arguments, "format"), &options.format, err);
	if (code == 0)
		code = store_open(&store, true, err);
	if (code < 0)
		return code;
	code = push(&store, arguments, &options, arguments_have(arguments, "quiet"), err);
	store_close(&store);
	return code < 0 ? err_wrap(err, "cannot push %s", arguments->rest[0]) : 0;
}
