/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/image/image_cli.h"
#include "image/store.h"

/* The argument is one of the image's names, and not (a part of) its digest. */
static bool is_name(const char *text, const struct store_entry *entry)
{
	struct reference reference;
	struct err ignored;
	char name[REFERENCE_MAX];

	if (reference_parse(&reference, text, &ignored) < 0 || reference.digest[0] != '\0')
		return false;
	reference_format(&reference, name);
	return strcmp(name, entry->name) == 0;
}

/* All names of the image; without force only if it has no more than one. */
static int untag_all(struct store *store, const struct image_digest *digest, bool force, struct err *err)
{
	struct store_entry *entries;
	size_t count, names = 0;
	int code = store_list(store, &entries, &count, err);

	if (code < 0)
		return code;
	/* Those that are of this image, to the front. */
	for (size_t i = 0; i < count; i++)
		if (entries[i].name[0] != '\0' && memcmp(&entries[i].digest, digest, sizeof(*digest)) == 0)
			entries[names++] = entries[i];
	if (names > 1 && !force) {
		code = err_set(err, -EBUSY, "the image has %zu names!", names);
		err_hint(err, "name the one to be removed, or remove all with -f");
	} else if (names > 0) {
		code = store_untag_all(store, digest, err);
	}
	for (size_t i = 0; i < names && code == 0; i++)
		printf("untagged %s\n", entries[i].name);
	free(entries);
	return code;
}

static int untag(struct store *store, const char *name, struct err *err)
{
	int code = store_untag(store, name, err);

	if (code == 0)
		printf("untagged %s\n", name);
	return code;
}

static int remove_image(struct store *store, const char *text, bool force, struct err *err)
{
	struct store_entry entry;
	char digest[IMAGE_DIGEST_TEXT];
	struct err why;

	int code = store_find(store, text, &entry, err);
	if (code < 0)
		return code;
	code = is_name(text, &entry) ? untag(store, entry.name, err) : untag_all(store, &entry.digest, force, err);
	if (code < 0)
		return code;
	image_digest_format(&entry.digest, digest);
	code = store_remove(store, &entry.digest, &why);
	if (code == 0) {
		printf("deleted %s\n", digest);
	} else if (code == -EBUSY) {
		fprintf(stderr, "lampo: others are using the store now: 'lampo prune' will remove the file of %s\n",
			digest);
	} else if (code != -EEXIST) {
		*err = why;
		return code;
	}
	return 0;
}

int cmd_rmi(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	bool force = arguments_have(arguments, "force");
	struct store store;
	int result = 0, code = store_open(&store, true, err);

	(void)start_ns;
	if (code < 0)
		return code;
	for (int i = 0; i < arguments->rest_count; i++) {
		struct err why = {0};
		code = remove_image(&store, arguments->rest[i], force, &why);
		if (code == 0 || (code == -ENOENT && force))
			continue;
		err_wrap(&why, "cannot remove %s", arguments->rest[i]);
		err_print(&why, "lampo");
		result = EXIT_LAMPO;
	}
	store_close(&store);
	return result;
}
