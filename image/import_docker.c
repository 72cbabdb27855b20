/* SPDX-License-Identifier: Apache-2.0 */
/* What docker save writes: manifest.json, a list of images, each with its configuration's file, its names, and its
 * layers' files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/import_internal.h"
#include "image/json.h"

#define WHAT "manifest.json"
#define IMAGES_MAX 1000u

/* The file names of newer archives say what is in them: blobs/sha256/HEX and HEX.json. */
static bool digest_of_path(const char *path, const char *suffix, char digest[IMAGE_DIGEST_TEXT])
{
	const char *base = strncmp(path, "blobs/sha256/", 13) == 0 ? path + 13 : path;
	struct image_digest parsed;

	if (strlen(base) != 64 + strlen(suffix) || strcmp(base + 64, suffix) != 0)
		return false;
	snprintf(digest, IMAGE_DIGEST_TEXT, "sha256:%.64s", base);
	return image_digest_parse(&parsed, digest) == 0;
}

static int config_read(struct import *import, const json_t *item, char **config, size_t *bytes, struct err *err)
{
	char digest[IMAGE_DIGEST_TEXT];
	const char *path;

	int r = image_json_string(item, "Config", &path, WHAT, err);
	if (r == 0 && path[0] == '\0')
		r = err_set(err, -EINVAL, "cannot read " WHAT ": an image has no configuration!");
	if (r == 0)
		r = bundle_read(&import->bundle, path, IMAGE_CONFIG_MAX, config, bytes, err);
	if (r == 0 && (digest_of_path(path, ".json", digest) || digest_of_path(path, "", digest)))
		r = import_digest_check(import, path, *config, *bytes, digest, err);
	return r;
}

/* Strings are the document's. */
static int layers_read(const json_t *item, struct import_layer **layers, size_t *count, struct err *err)
{
	json_t *list;

	int r = image_json_list(item, "Layers", &list, WHAT, err);
	if (r < 0)
		return r;
	*count = json_array_size(list);
	if (*count > MANIFEST_LAYERS_MAX)
		return err_set(err, -EINVAL, "cannot read " WHAT ": an image has more than %u layers!",
			       MANIFEST_LAYERS_MAX);
	*layers = calloc(*count + 1, sizeof(**layers));
	if (*layers == NULL)
		return err_set(err, -ENOMEM, "cannot read " WHAT);
	for (size_t i = 0; i < *count; i++) {
		(*layers)[i].path = json_string_value(json_array_get(list, i));
		if ((*layers)[i].path == NULL)
			return err_set(err, -EINVAL, "cannot read " WHAT ": a layer's name is no string!");
		if (strncmp((*layers)[i].path, "blobs/", 6) != 0 ||
		    !digest_of_path((*layers)[i].path, "", (*layers)[i].digest))
			(*layers)[i].digest[0] = '\0'; /* HEX.tar is the diff_id, which is checked anyhow */
	}
	return 0;
}

/* The names that an image is to have; *wanted: --ref means it. */
static int names_read(struct import *import, const json_t *item, char (**names)[REFERENCE_MAX], size_t *count,
		      bool *wanted, struct err *err)
{
	const struct import_options *options = import->options;
	json_t *tags;

	int r = image_json_list(item, "RepoTags", &tags, WHAT, err);
	if (r < 0)
		return r;
	*wanted = options->reference == NULL;
	*count = 0;
	*names = calloc(json_array_size(tags) + 1, sizeof(**names));
	if (*names == NULL)
		return err_set(err, -ENOMEM, "cannot read " WHAT);
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *tag = json_string_value(json_array_get(tags, i));
		if (tag == NULL || !import_name(tag, (*names)[*count]))
			return err_set(err, -EINVAL, "cannot read " WHAT ": \"%.200s\" is no image's name!",
				       tag != NULL ? tag : "");
		if (options->reference != NULL && !import_wants(import, tag))
			continue;
		*wanted = true;
		++*count;
	}
	if (options->name != NULL) {
		snprintf((*names)[0], sizeof((*names)[0]), "%s", options->name);
		*count = 1;
	}
	return 0;
}

static int import_item(struct import *import, const json_t *item, unsigned *done, struct err *err)
{
	char(*names)[REFERENCE_MAX] = NULL;
	struct import_layer *layers = NULL;
	size_t name_count = 0, count = 0, bytes = 0;
	char *config = NULL;
	bool wanted = false;

	int r = names_read(import, item, &names, &name_count, &wanted, err);
	if (r == 0 && wanted && name_count == 0)
		r = import_nameless(import, err);
	if (r == 0 && wanted && import->options->name != NULL && *done > 0) {
		r = err_set(err, -EINVAL, "cannot give %s to several images!", import->options->name);
		err_hint(err, "choose one of them with --ref");
	}
	if (r == 0 && wanted) {
		r = config_read(import, item, &config, &bytes, err);
		if (r == 0)
			r = layers_read(item, &layers, &count, err);
		if (r == 0)
			r = import_image(import, config, bytes, layers, count, names, name_count, err);
		++*done;
	}
	free(config);
	free(layers);
	free(names);
	return r;
}

int import_docker(struct import *import, struct err *err)
{
	json_t *root = NULL;
	unsigned done = 0;
	size_t bytes;
	char *text;

	int r = bundle_read(&import->bundle, WHAT, MANIFEST_BYTES_MAX, &text, &bytes, err);
	if (r < 0)
		return r;
	r = image_json_parse(&root, text, bytes, MANIFEST_BYTES_MAX, WHAT, err);
	free(text);
	if (r == 0 && (!json_is_array(root) || json_array_size(root) > IMAGES_MAX))
		r = err_set(err, -EINVAL, "cannot read " WHAT ": it is no list of at most %u images!", IMAGES_MAX);
	/* Several images and one name: known before anything is done. */
	if (r == 0 && import->options->name != NULL && import->options->reference == NULL &&
	    json_array_size(root) > 1) {
		r = err_set(err, -EINVAL, "cannot give %s to %zu images!", import->options->name,
			    json_array_size(root));
		err_hint(err, "choose one of them with --ref");
	}
	for (size_t i = 0; r == 0 && i < json_array_size(root); i++)
		r = import_item(import, json_array_get(root, i), &done, err);
	if (r == 0 && done == 0)
		r = err_set(err, -ENOENT, "there is no image %s in %s!",
			    import->options->reference != NULL ? import->options->reference : "at all",
			    import->bundle.path);
	json_decref(root);
	return r;
}
