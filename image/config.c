/* SPDX-License-Identifier: Apache-2.0 */
#include "image/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/image_file.h"
#include "image/json.h"

#define WHAT "the image's configuration"

static void list_free(char ***list)
{
	for (char **p = *list; p != NULL && *p != NULL; p++)
		free(*p);
	free(*list);
	*list = NULL;
}

static int list_read(const json_t *object, const char *key, char ***list, struct err *err)
{
	json_t *array, *item;
	size_t i;

	int r = image_json_list(object, key, &array, WHAT, err);
	if (r < 0 || array == NULL)
		return r;
	*list = calloc(json_array_size(array) + 1, sizeof(**list));
	if (*list == NULL)
		return err_set(err, -ENOMEM, "cannot read " WHAT);
	json_array_foreach(array, i, item)
	{
		if (!json_is_string(item))
			return err_set(err, -EINVAL, "cannot read " WHAT ": \"%s\" has something that is no string!",
				       key);
		(*list)[i] = strdup(json_string_value(item));
		if ((*list)[i] == NULL)
			return err_set(err, -ENOMEM, "cannot read " WHAT);
	}
	return 0;
}

static void fields_free(struct image_config *config)
{
	list_free(&config->env);
	list_free(&config->entrypoint);
	list_free(&config->cmd);
	config->user = config->working_dir = config->stop_signal = "";
}

static int fields_read(struct image_config *config, struct err *err)
{
	json_t *object;
	int r;

	if (!json_is_object(config->root))
		return err_set(err, -EINVAL, "cannot read " WHAT ": it is no JSON object!");
	if ((r = image_json_object(config->root, "config", &object, WHAT, err)) < 0 || object == NULL)
		return r;
	if ((r = list_read(object, "Env", &config->env, err)) < 0 ||
	    (r = list_read(object, "Entrypoint", &config->entrypoint, err)) < 0 ||
	    (r = list_read(object, "Cmd", &config->cmd, err)) < 0 ||
	    (r = image_json_string(object, "User", &config->user, WHAT, err)) < 0 ||
	    (r = image_json_string(object, "WorkingDir", &config->working_dir, WHAT, err)) < 0)
		return r;
	return image_json_string(object, "StopSignal", &config->stop_signal, WHAT, err);
}

int image_config_refresh(struct image_config *config, struct err *err)
{
	fields_free(config);
	return fields_read(config, err);
}

int image_config_parse(struct image_config *config, const char *json, size_t bytes, struct err *err)
{
	*config = (struct image_config){.user = ""};
	int r = image_json_parse(&config->root, json, bytes, IMAGE_CONFIG_MAX, WHAT, err);
	if (r == 0)
		r = image_config_refresh(config, err);
	if (r < 0)
		image_config_free(config);
	return r;
}

int image_config_new(struct image_config *config)
{
	struct err err;

	*config = (struct image_config){.root = json_pack("{s:s,s:s}", "architecture", "amd64", "os", "linux")};
	return config->root == NULL ? -ENOMEM : image_config_refresh(config, &err);
}

void image_config_free(struct image_config *config)
{
	fields_free(config);
	json_decref(config->root);
	config->root = NULL;
}

char *image_config_dump(const struct image_config *config) { return image_json_dump(config->root); }

/* The member of root, made if missing (or null, which means the same). Borrowed; NULL: no memory. */
static json_t *member_make(json_t *object, const char *key, json_t *(*make)(void))
{
	json_t *member = json_object_get(object, key);

	if (member != NULL && !json_is_null(member))
		return member;
	member = make();
	return json_object_set_new(object, key, member) == 0 ? member : NULL;
}

/* Sets or (value NULL) removes a member of "config"; value is used up. */
static int config_set(struct image_config *config, const char *key, json_t *value, bool remove)
{
	struct err err;
	json_t *object = member_make(config->root, "config", json_object);

	if (object == NULL || (value == NULL && !remove)) {
		json_decref(value);
		return object == NULL ? -ENOMEM : -EINVAL;
	}
	if (remove)
		json_object_del(object, key);
	else if (json_object_set_new(object, key, value) != 0)
		return -ENOMEM;
	return image_config_refresh(config, &err);
}

int image_config_set_string(struct image_config *config, const char *key, const char *value)
{
	return config_set(config, key, value != NULL ? json_string(value) : NULL, value == NULL);
}

int image_config_set_list(struct image_config *config, const char *key, char *const *values)
{
	if (values == NULL)
		return config_set(config, key, NULL, true);
	json_t *list = json_array();
	for (; list != NULL && *values != NULL; values++)
		if (json_array_append_new(list, json_string(*values)) != 0) {
			json_decref(list);
			list = NULL;
			break;
		}
	return config_set(config, key, list, false);
}

int image_config_set_env(struct image_config *config, const char *name, const char *value)
{
	struct err err;
	size_t length = strlen(name);
	json_t *object = member_make(config->root, "config", json_object);
	json_t *list = json_is_object(object) ? member_make(object, "Env", json_array) : NULL;
	json_t *entry = value != NULL ? json_sprintf("%s=%s", name, value) : NULL;

	if (list == NULL || (value != NULL && entry == NULL)) {
		json_decref(entry);
		return list == NULL ? -ENOMEM : -EINVAL;
	}
	/* The first of that name is replaced where it is, further ones go. */
	for (size_t i = 0; i < json_array_size(list);) {
		const char *old = json_string_value(json_array_get(list, i));
		if (strncmp(old, name, length) != 0 || (old[length] != '=' && old[length] != '\0')) {
			i++;
		} else if (entry != NULL) {
			json_array_set_new(list, i++, entry);
			entry = NULL;
			value = NULL;
		} else {
			json_array_remove(list, i);
		}
	}
	if (value != NULL && json_array_append_new(list, entry) != 0)
		return -ENOMEM;
	return image_config_refresh(config, &err);
}

static int map_set(struct image_config *config, const char *map, const char *key, json_t *value)
{
	json_t *object = member_make(config->root, "config", json_object);
	json_t *members = json_is_object(object) ? member_make(object, map, json_object) : NULL;

	if (!json_is_object(members) || value == NULL) {
		json_decref(value);
		return members != NULL ? -EINVAL : -ENOMEM;
	}
	return json_object_set_new(members, key, value) == 0 ? 0 : -ENOMEM;
}

int image_config_set_label(struct image_config *config, const char *name, const char *value)
{
	json_t *object = json_object_get(config->root, "config");

	if (value == NULL) {
		json_object_del(json_object_get(object, "Labels"), name);
		return 0;
	}
	return map_set(config, "Labels", name, json_string(value));
}

int image_config_add_port(struct image_config *config, const char *port)
{
	return map_set(config, "ExposedPorts", port, json_object());
}

int image_config_add_history(struct image_config *config, const char *created_by, bool empty_layer)
{
	json_t *history = member_make(config->root, "history", json_array);
	json_t *entry = json_pack("{s:s}", "created_by", created_by);

	if (entry != NULL && empty_layer && json_object_set_new(entry, "empty_layer", json_true()) != 0) {
		json_decref(entry);
		entry = NULL;
	}
	if (!json_is_array(history)) {
		json_decref(entry);
		return history != NULL ? -EINVAL : -ENOMEM;
	}
	return json_array_append_new(history, entry) == 0 ? 0 : -ENOMEM;
}

static size_t list_length(char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

/* Docker: an entry point of the user's replaces the image's and its CMD ("" removes both); arguments replace the CMD.
 */
int image_config_command(const struct image_config *config, char *const *arguments,
			 const char *const *entrypoint_override, char ***command, struct err *err)
{
	char *const *entry = entrypoint_override != NULL ? (char *const *)entrypoint_override : config->entrypoint;
	char *const none = NULL;
	char *const *rest = list_length(arguments) > 0 ? arguments : entrypoint_override != NULL ? &none : config->cmd;
	size_t entries = list_length(entry), rests = list_length(rest);

	*command = NULL;
	if (entrypoint_override != NULL && entries == 1 && entry[0][0] == '\0')
		entries = 0;
	if (entries + rests == 0) {
		err_set(err, -ENOEXEC, "cannot tell what to run: the image names no program!");
		return err_hint(err, "give the program and its arguments after the image's name");
	}
	char **list = calloc(entries + rests + 1, sizeof(*list));
	if (list == NULL)
		return err_set(err, -ENOMEM, "cannot make the program's arguments");
	for (size_t i = 0; i < entries; i++)
		list[i] = entry[i];
	for (size_t i = 0; i < rests; i++)
		list[entries + i] = rest[i];
	if (list[0][0] == '\0') {
		free(list);
		return err_set(err, -ENOEXEC, "cannot tell what to run: the image's program has an empty name!");
	}
	*command = list;
	return 0;
}
