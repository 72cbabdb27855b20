/* SPDX-License-Identifier: Apache-2.0 */
/* OCI image specification 1.1, config.md: "rootfs", "os", "architecture". */
#include "image/convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/config.h"
#include "image/json.h"

static int check_platform(const struct image_config *config, struct err *err)
{
	const char *os = "", *architecture = "";

	int code = image_json_string(config->root, "os", &os, "the image's configuration", err);
	if (code == 0)
		code = image_json_string(config->root, "architecture", &architecture, "the image's configuration", err);
	if (code != 0)
		return code;
	if ((os[0] != '\0' && strcmp(os, "linux") != 0) ||
	    (architecture[0] != '\0' && strcmp(architecture, "amd64") != 0))
		return err_set(err, -ENOTSUP, "the image is for %.40s/%.40s, not for linux/amd64!", os, architecture);
	return 0;
}

/* *list: the diff_ids, one for each layer. */
static int get_diff_ids(const struct image_config *config, size_t count, json_t **list, struct err *err)
{
	struct image_digest ignored;
	json_t *rootfs, *value;
	size_t i;

	int code = image_json_object(config->root, "rootfs", &rootfs, "the image's configuration", err);
	if (code == 0)
		code = image_json_list(rootfs, "diff_ids", list, "the image's configuration", err);
	if (code != 0)
		return code;
	if (json_array_size(*list) != count)
		return err_set(err, -EINVAL, "the image has %zu layers, but its configuration knows of %zu!", count,
			       json_array_size(*list));
	json_array_foreach(*list, i, value)
	{
		if (!json_is_string(value) || image_digest_parse(&ignored, json_string_value(value)) < 0)
			return err_set(err, -EINVAL, "diff_id %zu of the image's configuration is no SHA-256 digest!",
				       i + 1);
	}
	return 0;
}

static int apply_all(struct tree *tree, struct image_writer *writer, const struct layer_source *layers, size_t count,
		     const json_t *diff_ids, struct progress *progress, struct err *err)
{
	static const struct layer_limits limits = LAYER_LIMITS_DEFAULT;

	for (size_t i = 0; i < count; i++) {
		struct layer_source source = layers[i];
		source.diff_id = json_string_value(json_array_get(diff_ids, i));
		progress_set(progress, (unsigned)i, source.name, "unpacking", 0, 0);
		int code = layer_apply(tree, writer, (unsigned)i + 1, &source, &limits, err);
		if (code < 0)
			return code;
		progress_set(progress, (unsigned)i, source.name, "done", 0, 0);
	}
	return 0;
}

static int convert(const struct image_config *config, const struct layer_source *layers, size_t count, int fd,
		   struct image_digest *digest, struct progress *progress, struct err *err)
{
	static const struct image_limits limits = IMAGE_LIMITS_DEFAULT;
	struct image_writer *writer;
	json_t *diff_ids;

	int code = check_platform(config, err);
	if (code == 0)
		code = get_diff_ids(config, count, &diff_ids, err);
	if (code == 0)
		code = image_writer_open(&writer, fd, &limits, err);
	if (code != 0)
		return code;
	struct tree *tree = tree_new();
	char *text = image_config_dump(config);
	if (!tree || !text)
		code = err_set(err, -ENOMEM, "cannot make the image");
	if (code == 0)
		code = apply_all(tree, writer, layers, count, diff_ids, progress, err);
	if (code == 0)
		code = image_writer_finish(writer, tree, text, digest, err);
	free(text);
	image_writer_close(writer);
	tree_free(tree);
	return code;
}

int image_convert(const char *config, size_t config_bytes, const struct layer_source *layers, size_t count, int fd,
		  struct image_digest *digest, struct progress *progress, struct err *err)
{
	struct image_config parsed;

	int code = image_config_parse(&parsed, config, config_bytes, err);
	if (code < 0)
		return code;
	code = convert(&parsed, layers, count, fd, digest, progress, err);
	image_config_free(&parsed);
	return code;
}
