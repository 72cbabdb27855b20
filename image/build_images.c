/* SPDX-License-Identifier: Apache-2.0 */
/* Images that a Lampofile names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/build_stage.h"
#include "image/pull.h"
#include "image/tree_image.h"

static int find_or_pull(const struct build_output *output, const char *name, struct image_digest *digest,
			struct err *err)
{
	struct store_entry entry;
	struct reference reference;
	struct err ignored = {0};
	enum pull_result result;
	int code = store_find(output->store, name, &entry, err);

	if (code == 0)
		*digest = entry.digest;
	if (code != -ENOENT || output->registry == NULL || reference_parse(&reference, name, &ignored) < 0 ||
	    reference.registry[0] == '\0')
		return code;
	struct pull_options options = {.registry = *output->registry};
	*err = (struct err){0};
	return image_pull(output->store, &reference, &options, output->progress, digest, &result, err);
}

static int open_image(struct build *build, struct build_image *image, struct err *err)
{
	struct image_digest digest;
	int code = find_or_pull(build->output, image->name, &digest, err);

	if (code < 0)
		return code;
	code = store_image_open(build->output->store, &digest, &image->file, err);
	if (code < 0)
		return code;
	image->tree = tree_new();
	return image->tree == NULL ? err_set(err, -ENOMEM, "cannot read the image")
				   : tree_image_load(image->tree, &build->contents, &image->file, err);
}

int build_image_get(struct build *build, const char *name, struct build_image **image, struct err *err)
{
	for (size_t i = 0; i < build->image_count; i++) {
		if (strcmp(build->images[i]->name, name) == 0) {
			*image = build->images[i];
			return 0;
		}
	}
	void *grown = realloc(build->images, (build->image_count + 1) * sizeof(build->images[0]));
	if (grown == NULL)
		return err_set(err, -ENOMEM, "cannot open the image '%s'", name);
	build->images = grown;
	struct build_image *new = calloc(1, sizeof(*new));
	if (new != NULL)
		new->name = strdup(name);
	if (new == NULL || new->name == NULL) {
		free(new);
		return err_set(err, -ENOMEM, "cannot open the image '%s'", name);
	}
	new->file.fd = -1;
	int code = open_image(build, new, err);
	if (code < 0) {
		build_image_free(new);
		return err_wrap(err, "image '%s'", name);
	}
	build->images[build->image_count++] = new;
	*image = new;
	return 0;
}

void build_image_free(struct build_image *image)
{
	if (image->tree != NULL)
		tree_free(image->tree);
	if (image->file.fd >= 0)
		image_file_close(&image->file);
	free(image->name);
	free(image);
}
