/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/image/image_cli.h"
#include "cli/image_open.h"
#include "cli/table.h"
#include "image/config.h"

static json_t *names_of(struct store *store, const struct image_digest *digest)
{
	struct store_entry *entries = NULL;
	size_t count = 0;
	struct err ignored;
	json_t *names = json_array();

	if (store != NULL && store_list(store, &entries, &count, &ignored) == 0)
		for (size_t i = 0; i < count; i++)
			if (memcmp(&entries[i].digest, digest, sizeof(*digest)) == 0 && entries[i].name[0] != '\0')
				json_array_append_new(names, json_string(entries[i].name));
	free(entries);
	return names;
}

static json_t *sizes_json(const struct image_file *image)
{
	const struct image_footer *f = &image->footer;

	return json_pack("{s:I, s:I, s:I, s:I}", "bytes", (json_int_t)image->bytes, "erofs_bytes",
			 (json_int_t)f->erofs_bytes, "config_bytes", (json_int_t)f->config_bytes, "tree_bytes",
			 (json_int_t)(f->tree_blocks * VERITY_BLOCK));
}

static json_t *image_json(struct store *store, const struct image_found *found, const struct image_file *image,
			  json_t *config)
{
	struct image_digest root; /* has the same form */
	char digest[IMAGE_DIGEST_TEXT], root_text[IMAGE_DIGEST_TEXT];
	const struct store_origin *o = &found->entry.origin;

	memcpy(root.bytes, image->footer.root, sizeof(root.bytes));
	image_digest_format(&root, root_text);
	image_digest_format(&image->digest, digest);
	return json_pack("{s:o, s:s, s:I, s:s, s:o, s:{s:s, s:s, s:s, s:I}, s:O}", "names",
			 names_of(store, &image->digest), "digest", digest, "created", (json_int_t)found->entry.created,
			 "root_hash", root_text, "sizes", sizes_json(image), "origin", "reference", o->reference,
			 "manifest_digest", o->manifest_digest, "manifest_type", o->manifest_type, "manifest_bytes",
			 (json_int_t)o->manifest_bytes, "config", config);
}

static int inspect(struct store *store, const char *text, json_t *array, struct err *err)
{
	struct image_found found;
	struct image_file image;
	struct image_config config;
	char *json = NULL;

	int code = image_find(store, text, &found, err);
	if (code == 0)
		code = image_open(store, &found, &image, err);
	if (code < 0)
		return code;
	code = image_file_config(&image, &json, err);
	if (code == 0)
		code = image_config_parse(&config, json, image.footer.config_bytes, err);
	if (code == 0) {
		json_array_append_new(array, image_json(store, &found, &image, config.root));
		image_config_free(&config);
	}
	free(json);
	image_file_close(&image);
	return code;
}

int cmd_image_inspect(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	json_t *array = json_array();
	struct store store;
	bool there;
	int code = image_store_open(&store, &there, err);

	(void)start_ns;
	if (code < 0) {
		json_decref(array);
		return code;
	}
	for (int i = 0; i < arguments->rest_count && code == 0; i++)
		code = inspect(there ? &store : NULL, arguments->rest[i], array, err);
	if (there)
		store_close(&store);
	if (code == 0)
		return table_print_json(array, err);
	json_decref(array);
	return code;
}
