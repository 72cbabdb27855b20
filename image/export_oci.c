/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of an ordinary image of one layer: OCI image specification 1.1, config.md and manifest.md. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/config.h"
#include "image/export_layer.h"
#include "image/manifest.h"

int export_config(struct image_file *image, const struct export_layer *layer, char **text, struct err *err)
{
	char diff_id[IMAGE_DIGEST_TEXT], *json;
	struct image_config config;

	int r = image_file_config(image, &json, err);
	if (r < 0)
		return r;
	r = image_config_parse(&config, json, strlen(json), err);
	free(json);
	if (r < 0)
		return r;
	image_digest_format(&layer->diff_id, diff_id);
	json_t *rootfs = json_pack("{s:s,s:[s]}", "type", "layers", "diff_ids", diff_id);
	json_t *history = json_pack("[{s:s}]", "created_by", "lampo export");
	bool ok = json_object_set_new(config.root, "rootfs", rootfs) == 0;
	ok = json_object_set_new(config.root, "history", history) == 0 && ok;
	/* Both must be there for others; an image from outside may lack them. */
	if (!json_is_string(json_object_get(config.root, "os")))
		ok = json_object_set_new(config.root, "os", json_string("linux")) == 0 && ok;
	if (!json_is_string(json_object_get(config.root, "architecture")))
		ok = json_object_set_new(config.root, "architecture", json_string("amd64")) == 0 && ok;
	*text = ok ? image_config_dump(&config) : NULL;
	image_config_free(&config);
	return *text == NULL ? err_set(err, -ENOMEM, "cannot make the image's configuration") : 0;
}

char *export_manifest(const struct export_layer *layer, const char *config)
{
	char config_digest[IMAGE_DIGEST_TEXT], layer_digest[IMAGE_DIGEST_TEXT];
	struct image_digest digest;

	sha256(config, strlen(config), digest.bytes);
	image_digest_format(&digest, config_digest);
	image_digest_format(&layer->digest, layer_digest);
	struct manifest_descriptor descriptor = {
	    .media_type = layer->compressed ? MEDIA_OCI_LAYER_GZIP : MEDIA_OCI_LAYER,
	    .digest = layer_digest,
	    .bytes = layer->bytes,
	};
	struct manifest manifest = {
	    .media_type = MEDIA_OCI_MANIFEST,
	    .config = {.media_type = MEDIA_OCI_CONFIG, .digest = config_digest, .bytes = strlen(config)},
	    .layers = &descriptor,
	    .layer_count = 1,
	};
	return manifest_dump(&manifest);
}
