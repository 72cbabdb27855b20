/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/image/image_cli.h"
#include "image/import.h"

/* Kept until the progress is out of the way. */
struct imported {
	char (*names)[REFERENCE_MAX];
	struct image_digest *digests;
	size_t count;
	bool no_memory;
};

static void on_imported(void *context, const char *name, const struct image_digest *digest)
{
	struct imported *list = context;
	void *names = realloc(list->names, (list->count + 1) * sizeof(*list->names));
	if (names != NULL)
		list->names = names;
	void *digests = realloc(list->digests, (list->count + 1) * sizeof(*list->digests));
	if (digests != NULL)
		list->digests = digests;
	if (names == NULL || digests == NULL) {
		list->no_memory = true;
		return;
	}
	snprintf(list->names[list->count], sizeof(list->names[0]), "%s", name);
	list->digests[list->count++] = *digest;
}

static void print(const struct imported *list, bool quiet)
{
	char text[IMAGE_DIGEST_TEXT];

	for (size_t i = 0; i < list->count; i++) {
		if (!quiet)
			fprintf(stderr, "%s was imported\n", list->names[i]);
		if (i > 0 && memcmp(&list->digests[i], &list->digests[i - 1], sizeof(list->digests[0])) == 0)
			continue; /* another name of the same */
		image_digest_format(&list->digests[i], text);
		printf("%s\n", text);
	}
}

static int import_rootfs(struct store *store, const char *path, const struct import_options *options, struct err *err)
{
	struct image_digest digest;

	int code = image_import_rootfs(store, path, options->name, options->progress, &digest, err);
	if (code == 0)
		options->imported(options->context, options->name, &digest);
	return code;
}

int cmd_import(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct imported list = {0};
	struct import_options options = {
	    .reference = arguments_value(arguments, "ref"), .imported = on_imported, .context = &list};
	bool quiet = arguments_have(arguments, "quiet"), rootfs = arguments_have(arguments, "rootfs");
	struct progress_display display;
	struct reference reference;
	char name[REFERENCE_MAX];
	struct store store;

	(void)start_ns;
	if (rootfs && (arguments->rest_count < 2 || options.reference != NULL))
		return err_set(err, -EINVAL, "--rootfs needs a name for the image, and goes without --ref!");
	if (arguments->rest_count > 1) {
		int code = reference_parse(&reference, arguments->rest[1], err);
		if (code < 0)
			return code;
		if (reference.digest[0] != '\0')
			return err_set(err, -EINVAL, "an image cannot be given the name '%s': it has a digest in it!",
				       arguments->rest[1]);
		reference_format(&reference, name);
		options.name = name;
	}
	int code = store_open(&store, true, err);
	if (code < 0)
		return code;
	progress_display_init(&display, quiet);
	options.progress = &display.progress;
	code = rootfs ? import_rootfs(&store, arguments->rest[0], &options, err)
		      : image_import(&store, arguments->rest[0], &options, err);
	progress_display_fini(&display);
	store_close(&store);
	print(&list, quiet);
	if (code == 0 && list.no_memory)
		code = err_set(err, -ENOMEM, "cannot say what was imported");
	free(list.names);
	free(list.digests);
	return code;
}
