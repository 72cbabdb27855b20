/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/image/image_cli.h"
#include "cli/image_open.h"
#include "cli/table.h"
#include "image/config.h"
#include "image/json.h"

static const char *text_of(const json_t *step, const char *key)
{
	const char *text = json_string_value(json_object_get(step, key));

	return text != NULL ? text : "";
}

/* OCI image specification 1.1, config.md, "history"; the newest first. */
static int print_history(const json_t *history, struct err *err)
{
	static const char *const titles[] = {"CREATED", "LAYER", "CREATED BY", "COMMENT"};
	struct table table = {.titles = titles, .columns = countof(titles)};
	int code = 0;

	for (size_t i = json_array_size(history); i > 0 && code == 0; i--) {
		const json_t *step = json_array_get(history, i - 1);
		bool empty = json_is_true(json_object_get(step, "empty_layer"));
		const char *const cells[] = {text_of(step, "created"), empty ? "-" : "yes", text_of(step, "created_by"),
					     text_of(step, "comment")};
		code = table_add(&table, cells, err);
	}
	if (code == 0)
		table_print(&table);
	table_fini(&table);
	return code;
}

static int history_of(struct image_file *image, bool as_json, struct err *err)
{
	struct image_config config = {0};
	char *json = NULL;
	json_t *history = NULL;

	int code = image_file_config(image, &json, err);
	if (code == 0)
		code = image_config_parse(&config, json, image->footer.config_bytes, err);
	free(json);
	if (code < 0)
		return code;
	code = image_json_list(config.root, "history", &history, "the image's configuration", err);
	if (code == 0 && as_json)
		code = table_print_json(history != NULL ? json_incref(history) : json_array(), err);
	else if (code == 0)
		code = print_history(history, err);
	image_config_free(&config);
	return code;
}

int cmd_image_history(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct image_found found;
	struct image_file image;
	struct store store;
	bool there;
	int code = image_store_open(&store, &there, err);

	(void)start_ns;
	if (code < 0)
		return code;
	code = image_find(there ? &store : NULL, arguments->rest[0], &found, err);
	if (code == 0)
		code = image_open(&store, &found, &image, err);
	if (code == 0) {
		code = history_of(&image, arguments_have(arguments, "json"), err);
		image_file_close(&image);
	}
	if (there)
		store_close(&store);
	return code;
}
