/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "cli/image/image_cli.h"
#include "cli/image_open.h"
#include "cli/table.h"

#define SHORT_DIGITS 12

static int add_row(struct table *table, const struct store_entry *entry, struct err *err)
{
	char digest[IMAGE_DIGEST_TEXT], size[16] = "missing", age[24];
	time_t now = time(NULL);

	image_digest_format(&entry->digest, digest);
	digest[strlen("sha256:") + SHORT_DIGITS] = '\0';
	if (entry->bytes != 0)
		table_format_bytes(size, sizeof(size), entry->bytes);
	uint64_t seconds = now > entry->created ? (uint64_t)(now - entry->created) : 0;
	table_format_duration(age, sizeof(age), seconds * 1000000000u);
	const char *const cells[] = {entry->name[0] != '\0' ? entry->name : "<none>", digest + strlen("sha256:"), size,
				     age, entry->origin.reference};
	return table_add(table, cells, err);
}

static int print_table(const struct store_entry *entries, size_t count, struct err *err)
{
	static const char *const titles[] = {"NAME", "DIGEST", "SIZE", "AGE", "ORIGIN"};
	struct table table = {.titles = titles, .columns = countof(titles)};
	int code = 0;

	for (size_t i = 0; i < count && code == 0; i++)
		code = add_row(&table, &entries[i], err);
	if (code == 0)
		table_print(&table);
	table_fini(&table);
	return code;
}

static int print_json(const struct store_entry *entries, size_t count, struct err *err)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		char digest[IMAGE_DIGEST_TEXT];
		const struct store_origin *origin = &entries[i].origin;
		image_digest_format(&entries[i].digest, digest);
		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:I, s:I, s:{s:s, s:s, s:s}}", "name", entries[i].name,
						"digest", digest, "bytes", (json_int_t)entries[i].bytes, "created",
						(json_int_t)entries[i].created, "origin", "reference",
						origin->reference, "manifest_digest", origin->manifest_digest,
						"manifest_type", origin->manifest_type));
	}
	return table_print_json(array, err);
}

/* Each digest once, though an image may have several names. */
static void print_digests(const struct store_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char digest[IMAGE_DIGEST_TEXT];
		size_t j = 0;
		while (memcmp(&entries[j].digest, &entries[i].digest, sizeof(entries[i].digest)) != 0)
			j++;
		image_digest_format(&entries[i].digest, digest);
		if (j == i)
			printf("%s\n", digest);
	}
}

static void print_names(const struct store_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (entries[i].name[0] != '\0')
			printf("%s\n", entries[i].name);
}

int cmd_images(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct store_entry *entries = NULL;
	size_t count = 0;
	struct store store;
	bool there;
	int code = image_store_open(&store, &there, err);

	(void)start_ns;
	if (code == 0 && there) {
		code = store_list(&store, &entries, &count, err);
		store_close(&store);
	}
	if (code < 0)
		return code;
	if (arguments_have(arguments, "json"))
		code = print_json(entries, count, err);
	else if (arguments_have(arguments, "quiet"))
		print_digests(entries, count);
	else if (arguments_have(arguments, "names"))
		print_names(entries, count);
	else
		code = print_table(entries, count, err);
	free(entries);
	return code;
}
