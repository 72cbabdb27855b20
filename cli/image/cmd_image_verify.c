/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/image/image_cli.h"
#include "cli/image_open.h"

#define EXIT_DAMAGED 1

struct verification {
	struct store *store;
	struct store_entry *entries; /* all */
	size_t count;
	struct progress_display display;
	unsigned number;
	const char *label; /* of the one being verified */
	unsigned damaged;
};

static void on_blocks(void *context, uint64_t done, uint64_t total)
{
	struct verification *v = context;

	progress_set(&v->display.progress, v->number, v->label, "verifying", done, total);
}

static const char *label_of(const struct store_entry *entry, char digest[IMAGE_DIGEST_TEXT])
{
	image_digest_format(&entry->digest, digest);
	return entry->name[0] != '\0' ? entry->name : digest;
}

/* Which names a damaged image hurts, and what brings it back. */
static void report(struct verification *v, const struct image_digest *digest, const struct err *why)
{
	char text[IMAGE_DIGEST_TEXT];
	const char *separator = "; it is ";

	image_digest_format(digest, text);
	printf("%s: %s", text, why->text);
	for (size_t i = 0; i < v->count; i++) {
		const struct store_entry *entry = &v->entries[i];
		if (memcmp(&entry->digest, digest, sizeof(*digest)) != 0 || entry->name[0] == '\0')
			continue;
		printf("%s%s", separator, entry->name);
		separator = ", ";
	}
	printf("\n");
	if (why->hint[0] != '\0')
		printf("  %s\n", why->hint);
	v->damaged++;
}

static int verify_one(struct verification *v, const struct store_entry *entry, struct err *err)
{
	char digest[IMAGE_DIGEST_TEXT];
	bool quiet = v->display.quiet;
	struct err why = {0};

	progress_display_init(&v->display, quiet);
	v->label = label_of(entry, digest);
	v->number++;
	int code = store_verify(v->store, &entry->digest, on_blocks, v, &why);
	progress_set(&v->display.progress, v->number, v->label, "done", 0, 0);
	progress_display_fini(&v->display);
	v->display.quiet = quiet;
	if (code == 0)
		return 0;
	if (code == -EUCLEAN || code == -ENOENT) {
		report(v, &entry->digest, &why);
		return 0;
	}
	*err = why;
	return err_wrap(err, "cannot verify %s", v->label);
}

static int verify_all(struct verification *v, struct err *err)
{
	for (size_t i = 0; i < v->count; i++) {
		size_t j = 0;
		while (memcmp(&v->entries[j].digest, &v->entries[i].digest, sizeof(v->entries[i].digest)) != 0)
			j++;
		int code = j == i ? verify_one(v, &v->entries[i], err) : 0;
		if (code < 0)
			return code;
	}
	return 0;
}

static int verify_named(struct verification *v, char *const *names, struct err *err)
{
	for (; *names != NULL; names++) {
		struct store_entry entry;
		int code = store_find(v->store, *names, &entry, err);
		if (code == 0)
			code = verify_one(v, &entry, err);
		if (code < 0)
			return code;
	}
	return 0;
}

int cmd_image_verify(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct store store;
	struct verification v = {.store = &store, .display.quiet = isatty(STDERR_FILENO) != 1};
	bool all = arguments_have(arguments, "all") || arguments->rest_count == 0, there;
	int code = image_store_open(&store, &there, err);

	(void)start_ns;
	if (code < 0)
		return code;
	if (!there) {
		if (all)
			return 0;
		err_set(err, -ENOENT, "there is no image %s!", arguments->rest[0]);
		return err_hint(err, "'lampo images' lists the images");
	}
	code = store_list(&store, &v.entries, &v.count, err);
	if (code == 0)
		code = all ? verify_all(&v, err) : verify_named(&v, arguments->rest, err);
	free(v.entries);
	store_close(&store);
	if (code < 0)
		return code;
	return v.damaged > 0 ? EXIT_DAMAGED : 0;
}
