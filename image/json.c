/* SPDX-License-Identifier: Apache-2.0 */
#include "image/json.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Depth and number of values, before anything is allocated: jansson recurses 2048 deep, and makes some hundred bytes of
 * "[],". */
static int scan(const char *text, size_t bytes, const char *what, struct err *err)
{
	unsigned depth = 0, values = 0;
	bool in_string = false;

	for (size_t i = 0; i < bytes; i++) {
		char c = text[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"')
			in_string = true;
		else if (c == '{' || c == '[')
			depth++, values++;
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
		else if (c == ',')
			values++;
		if (depth > IMAGE_JSON_DEPTH_MAX)
			return err_set(err, -EINVAL, "cannot read %s: more than %u levels of JSON in one another!",
				       what, IMAGE_JSON_DEPTH_MAX);
		if (values > IMAGE_JSON_VALUES_MAX)
			return err_set(err, -EINVAL, "cannot read %s: more than %u JSON values!", what,
				       IMAGE_JSON_VALUES_MAX);
	}
	return 0;
}

int image_json_parse(json_t **root, const char *text, size_t bytes, size_t bytes_max, const char *what, struct err *err)
{
	json_error_t error;

	*root = NULL;
	if (bytes > bytes_max)
		return err_set(err, -EFBIG, "cannot read %s: %zu bytes of JSON, more than %zu!", what, bytes,
			       bytes_max);
	int r = scan(text, bytes, what, err);
	if (r < 0)
		return r;
	*root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
	if (*root == NULL && json_error_code(&error) == json_error_out_of_memory)
		return err_set(err, -ENOMEM, "cannot read %s", what);
	if (*root == NULL)
		return err_set(err, -EINVAL, "cannot read %s: bad JSON in line %d: %s!", what, error.line, error.text);
	return 0;
}

static int wrong_type(const char *key, const char *type, const char *what, struct err *err)
{
	return err_set(err, -EINVAL, "cannot read %s: \"%s\" is no %s!", what, key, type);
}

int image_json_string(const json_t *object, const char *key, const char **value, const char *what, struct err *err)
{
	const json_t *member = json_object_get(object, key);

	*value = "";
	if (member == NULL || json_is_null(member))
		return 0;
	if (!json_is_string(member))
		return wrong_type(key, "string", what, err);
	*value = json_string_value(member);
	return 0;
}

int image_json_object(const json_t *object, const char *key, json_t **value, const char *what, struct err *err)
{
	json_t *member = json_object_get(object, key);

	*value = NULL;
	if (member == NULL || json_is_null(member))
		return 0;
	if (!json_is_object(member))
		return wrong_type(key, "object", what, err);
	*value = member;
	return 0;
}

int image_json_list(const json_t *object, const char *key, json_t **value, const char *what, struct err *err)
{
	json_t *member = json_object_get(object, key);

	*value = NULL;
	if (member == NULL || json_is_null(member))
		return 0;
	if (!json_is_array(member))
		return wrong_type(key, "list", what, err);
	*value = member;
	return 0;
}

char *image_json_dump(const json_t *root) { return json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS); }
