/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "image/build.h"

/* What the base image says about its making is not true of this one. */
static int set_created(const struct image_config *config, int64_t epoch, struct err *err)
{
	char text[40];
	struct tm tm;
	time_t when = (time_t)epoch;

	json_object_del(config->root, "created");
	json_object_del(config->root, "rootfs");
	if (epoch < 0)
		return 0;
	if (gmtime_r(&when, &tm) == NULL || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return err_set(err, -EINVAL, "SOURCE_DATE_EPOCH is no time that can be written down!");
	return json_object_set_new(config->root, "created", json_string(text)) < 0
		   ? err_set(err, -ENOMEM, "cannot write the configuration")
		   : 0;
}

static int write_image(const struct build_output *output, int fd, struct tree *tree,
		       const struct build_contents *contents, const char *config, struct build_result *result,
		       struct err *err)
{
	struct image_writer *writer = NULL;
	int code = image_writer_open(&writer, fd, &IMAGE_LIMITS_DEFAULT, err);

	if (code == 0)
		code = build_tree_write(tree, contents, writer, output->epoch >= 0 ? output->epoch : INT64_MAX,
					output->progress, err);
	if (code == 0)
		code = image_writer_finish(writer, tree, config, &result->digest, err);
	if (code == 0)
		result->bytes = image_writer_bytes(writer);
	image_writer_close(writer);
	return code;
}

int build_output_write(const struct build_output *output, struct tree *tree, const struct build_contents *contents,
		       const struct image_config *config, struct build_result *result, struct err *err)
{
	struct store_draft draft;
	int code = set_created(config, output->epoch, err);
	char *json = code == 0 ? image_config_dump(config) : NULL;

	if (code < 0)
		return code;
	if (json == NULL)
		return err_set(err, -ENOMEM, "cannot write the configuration");
	code = store_draft_open(output->store, &draft, err);
	if (code == 0) {
		code = write_image(output, draft.fd, tree, contents, json, result, err);
		if (code < 0)
			store_draft_discard(output->store, &draft);
		else
			code = store_draft_commit(output->store, &draft, &result->digest, NULL, NULL, err);
	}
	free(json);
	return code;
}
