/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests, indexes and configurations of hostile bytes: what is accepted keeps its promises, and says the same when
 * it is emitted and read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/config.h"
#include "image/manifest.h"

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_descriptor(const struct manifest_descriptor *d, uint64_t bytes_max)
{
	struct image_digest digest;

	require(image_digest_parse(&digest, d->digest) == 0);
	require(d->bytes <= bytes_max && d->media_type[0] != '\0');
	require(d->os != NULL && d->architecture != NULL && d->variant != NULL && d->artifact_type != NULL);
	(void)manifest_annotation(d, ANNOTATION_REF_NAME);
}

static void manifest(const char *text, size_t bytes, const char *content_type)
{
	const struct manifest_descriptor *entry;
	struct manifest m, again;
	struct err err;

	if (manifest_parse(&m, text, bytes, content_type, "it", &err) < 0) {
		require(err.code < 0 && err.text[0] != '\0');
		return;
	}
	require(manifest_media_type_known(m.media_type));
	require(m.layer_count <= (m.index ? MANIFEST_ENTRIES_MAX : MANIFEST_LAYERS_MAX));
	for (size_t i = 0; i < m.layer_count; i++)
		check_descriptor(&m.layers[i], m.index ? MANIFEST_BYTES_MAX : MANIFEST_BLOB_MAX);
	if (!m.index)
		check_descriptor(&m.config, MANIFEST_BLOB_MAX);
	else if (manifest_select(&m, &entry, "it", &err) == 0)
		require(entry >= m.layers && entry < m.layers + m.layer_count);
	(void)manifest_is_lampo(&m, &entry);
	char *dump = manifest_dump(&m);
	require(dump != NULL);
	/* What was dropped makes it no longer, except for what is said in more words (mediaType, "size" spelt anew). */
	if (strlen(dump) <= MANIFEST_BYTES_MAX) {
		require(manifest_parse(&again, dump, strlen(dump), m.media_type, "it", &err) == 0);
		char *second = manifest_dump(&again);
		require(second != NULL && strcmp(dump, second) == 0);
		free(second);
		manifest_free(&again);
	}
	free(dump);
	manifest_free(&m);
}

static void config(const char *text, size_t bytes)
{
	struct image_config c, again;
	struct err err;
	char **command;

	if (image_config_parse(&c, text, bytes, &err) < 0)
		return;
	if (image_config_command(&c, NULL, NULL, &command, &err) == 0) {
		require(command[0] != NULL && command[0][0] != '\0');
		free(command);
	}
	(void)image_config_set_env(&c, "PATH", "/bin");
	(void)image_config_set_label(&c, "a", "b");
	(void)image_config_add_port(&c, "1/tcp");
	(void)image_config_add_history(&c, "x", true);
	char *dump = image_config_dump(&c);
	require(dump != NULL);
	if (image_config_parse(&again, dump, strlen(dump), &err) == 0)
		image_config_free(&again);
	free(dump);
	image_config_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = {NULL,
					    MEDIA_OCI_MANIFEST,
					    MEDIA_OCI_INDEX,
					    MEDIA_DOCKER_MANIFEST,
					    MEDIA_DOCKER_LIST,
					    "application/json; charset=utf-8",
					    "",
					    ";"};

	if (size == 0)
		return 0;
	manifest((const char *)data + 1, size - 1, types[data[0] % 8]);
	config((const char *)data + 1, size - 1);
	return 0;
}
