/* SPDX-License-Identifier: Apache-2.0 */
/* OCI image layouts: OCI image specification 1.1, image-layout.md. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/import_internal.h"
#include "image/json.h"
#include "image/wire.h"

#define INDEX "index.json"
#define INDEXES_MAX 4u /* in one another */

/* containerd's and Docker's full name; the specification's may be a mere tag. */
static const char *entry_name(const struct manifest_descriptor *entry)
{
	const char *name = manifest_annotation(entry, "io.containerd.image.name");

	return name[0] != '\0' ? name : manifest_annotation(entry, ANNOTATION_REF_NAME);
}

static void blob_path(const char *digest, char path[IMAGE_DIGEST_TEXT + 16])
{
	snprintf(path, IMAGE_DIGEST_TEXT + 16, "blobs/sha256/%s", digest + strlen("sha256:"));
}

/* A small blob, verified. */
static int blob_read(struct import *import, const struct manifest_descriptor *d, size_t bytes_max, char **text,
		     struct err *err)
{
	char path[IMAGE_DIGEST_TEXT + 16];
	size_t bytes;

	blob_path(d->digest, path);
	int r = bundle_read(&import->bundle, path, bytes_max, text, &bytes, err);
	if (r < 0)
		return r;
	if (bytes != d->bytes)
		r = err_set(err, -EBADMSG, "cannot use %s in %s: it has %zu bytes, not %llu!", path,
			    import->bundle.path, bytes, (unsigned long long)d->bytes);
	else
		r = import_digest_check(import, path, *text, bytes, d->digest, err);
	if (r < 0) {
		free(*text);
		*text = NULL;
	}
	return r;
}

static int layout_check(struct import *import, struct err *err)
{
	const char *version = "";
	json_t *root = NULL;
	size_t bytes;
	char *text;

	int r = bundle_read(&import->bundle, "oci-layout", 4096, &text, &bytes, err);
	if (r < 0)
		return err_wrap(err, "cannot import %s", import->bundle.path);
	r = image_json_parse(&root, text, bytes, 4096, "oci-layout", err);
	if (r == 0)
		r = image_json_string(root, "imageLayoutVersion", &version, "oci-layout", err);
	if (r == 0 && strncmp(version, "1.", 2) != 0)
		r = err_set(err, -ENOTSUP, "cannot import %s: its OCI layout has the version \"%.20s\", not 1!",
			    import->bundle.path, version);
	json_decref(root);
	free(text);
	return r;
}

static int import_tar_layers(struct import *import, const struct manifest *m, char (*names)[REFERENCE_MAX],
			     struct err *err)
{
	struct import_layer *layers = calloc(m->layer_count + 1, sizeof(*layers));
	char(*paths)[IMAGE_DIGEST_TEXT + 16] = calloc(m->layer_count + 1, sizeof(*paths));
	char *config = NULL;
	int r = layers == NULL || paths == NULL ? err_set(err, -ENOMEM, "cannot import %s", names[0]) : 0;

	if (r == 0 && strcmp(m->config.media_type, MEDIA_OCI_CONFIG) != 0 &&
	    strcmp(m->config.media_type, MEDIA_DOCKER_CONFIG) != 0)
		r = err_set(err, -ENOTSUP, "cannot import %s: it is no image, but %.100s!", names[0],
			    m->artifact_type[0] != '\0' ? m->artifact_type : m->config.media_type);
	for (size_t i = 0; r == 0 && i < m->layer_count; i++) {
		if (manifest_layer_kind(m->layers[i].media_type) != MANIFEST_LAYER_TAR)
			r = err_set(err, -ENOTSUP, "cannot import %s: its layer %zu is of the unknown type %.100s!",
				    names[0], i + 1, m->layers[i].media_type);
		blob_path(m->layers[i].digest, paths[i]);
		layers[i] = (struct import_layer){.path = paths[i], .sized = true, .bytes = m->layers[i].bytes};
		snprintf(layers[i].digest, sizeof(layers[i].digest), "%s", m->layers[i].digest);
	}
	if (r == 0)
		r = blob_read(import, &m->config, IMAGE_CONFIG_MAX, &config, err);
	if (r == 0)
		r = import_image(import, config, (size_t)m->config.bytes, layers, m->layer_count, names, 1, err);
	free(config);
	free(paths);
	free(layers);
	return r;
}

/* An image in Lampo's own form: taken as it is. */
static int import_own(struct import *import, const struct manifest_descriptor *layer, char (*names)[REFERENCE_MAX],
		      struct err *err)
{
	bool compressed = manifest_layer_kind(layer->media_type) == MANIFEST_LAYER_IMAGE_ZSTD;
	const char *stated = manifest_annotation(layer, ANNOTATION_LAMPO_DIGEST);
	char path[IMAGE_DIGEST_TEXT + 16];
	struct image_digest expected, digest;
	struct bundle_file file;
	struct store_draft draft;

	if (stated[0] != '\0' && image_digest_parse(&expected, stated) < 0)
		return err_set(err, -EINVAL, "cannot import %s: \"%.80s\" is no image's digest!", names[0], stated);
	blob_path(layer->digest, path);
	int r = bundle_file_open(&import->bundle, path, &file, err);
	if (r < 0)
		return r;
	struct layer_source source = {
	    .read = bundle_file_read, .context = &file, .name = path, .digest = layer->digest};
	if (file.bytes != layer->bytes)
		r = err_set(err, -EBADMSG, "cannot use %s in %s: it has %llu bytes, not %llu!", path,
			    import->bundle.path, (unsigned long long)file.bytes, (unsigned long long)layer->bytes);
	else
		r = store_draft_open(import->store, &draft, err);
	if (r == 0) {
		progress_set(import->options->progress, 0, names[0], "verifying", 0, 0);
		r = wire_decode(&source, compressed, IMAGE_LIMITS_DEFAULT.image_bytes,
				stated[0] != '\0' ? &expected : NULL, draft.fd, &digest, err);
		if (r == 0)
			r = import_commit(import, &draft, &digest, names, 1, err);
		else
			store_draft_discard(import->store, &draft);
		if (r < 0)
			err_wrap(err, "cannot import %s", names[0]);
		progress_set(import->options->progress, 0, names[0], "done", 0, 0);
	}
	bundle_file_close(&file);
	return r;
}

static int import_entry(struct import *import, const struct manifest_descriptor *entry, char (*names)[REFERENCE_MAX],
			unsigned depth, struct err *err)
{
	const struct manifest_descriptor *next;
	struct manifest m;
	char what[128], *text;

	snprintf(what, sizeof(what), "the manifest %s", entry->digest);
	if (depth > INDEXES_MAX)
		return err_set(err, -EINVAL, "cannot import %s: more than %u indexes in one another!", names[0],
			       INDEXES_MAX);
	int r = blob_read(import, entry, MANIFEST_BYTES_MAX, &text, err);
	if (r < 0)
		return r;
	r = manifest_parse(&m, text, (size_t)entry->bytes, entry->media_type, what, err);
	free(text);
	if (r < 0)
		return r;
	if (m.index) {
		r = manifest_select(&m, &next, what, err);
		if (r == 0)
			r = import_entry(import, next, names, depth + 1, err);
	} else if (manifest_is_lampo(&m, &next)) {
		r = import_own(import, next, names, err);
	} else {
		r = import_tar_layers(import, &m, names, err);
	}
	manifest_free(&m);
	return r;
}

/* The entries of the index that have the same name as entry `first` are one image for several platforms. */
static int import_group(struct import *import, const struct manifest *index, size_t first, struct err *err)
{
	const char *name = entry_name(&index->layers[first]);
	struct manifest group = {.index = true, .layers = calloc(index->layer_count, sizeof(*group.layers))};
	const struct manifest_descriptor *entry;
	char names[1][REFERENCE_MAX];

	if (group.layers == NULL)
		return err_set(err, -ENOMEM, "cannot import %s", import->bundle.path);
	for (size_t i = first; i < index->layer_count; i++)
		if (strcmp(entry_name(&index->layers[i]), name) == 0)
			group.layers[group.layer_count++] = index->layers[i];
	int r = manifest_select(&group, &entry, import->bundle.path, err);
	if (r == 0 && import->options->name != NULL)
		snprintf(names[0], sizeof(names[0]), "%s", import->options->name);
	else if (r == 0 && !import_name(name, names[0]))
		r = import_nameless(import, err);
	if (r == 0)
		r = import_entry(import, entry, names, 0, err);
	free(group.layers);
	return r;
}

/* BuildKit's statements on how an image was made stand in the index like images, for an unknown platform. */
static bool is_image(const struct manifest_descriptor *entry)
{
	return manifest_media_type_known(entry->media_type) && strcmp(entry->os, "unknown") != 0;
}

/* Whether entry i is the first that is an image and has its name. */
static bool is_first(const struct import *import, const struct manifest *index, size_t i)
{
	const char *name = entry_name(&index->layers[i]);

	if (!is_image(&index->layers[i]) || !import_wants(import, name))
		return false;
	for (size_t j = 0; j < i; j++)
		if (is_image(&index->layers[j]) && strcmp(entry_name(&index->layers[j]), name) == 0)
			return false;
	return true;
}

static int import_index(struct import *import, const struct manifest *index, struct err *err)
{
	size_t images = 0;
	int r = 0;

	for (size_t i = 0; i < index->layer_count; i++)
		images += is_first(import, index, i);
	if (images == 0)
		return err_set(err, -ENOENT, "there is no image %s in %s!",
			       import->options->reference != NULL ? import->options->reference : "at all",
			       import->bundle.path);
	if (images > 1 && import->options->name != NULL) {
		err_set(err, -EINVAL, "cannot give %s to %zu images!", import->options->name, images);
		return err_hint(err, "choose one of them with --ref");
	}
	for (size_t i = 0; r == 0 && i < index->layer_count; i++)
		if (is_first(import, index, i))
			r = import_group(import, index, i, err);
	return r;
}

int import_oci(struct import *import, struct err *err)
{
	struct manifest index;
	size_t bytes;
	char *text;

	int r = layout_check(import, err);
	if (r == 0)
		r = bundle_read(&import->bundle, INDEX, MANIFEST_BYTES_MAX, &text, &bytes, err);
	if (r < 0)
		return r;
	r = manifest_parse(&index, text, bytes, NULL, INDEX, err);
	free(text);
	if (r < 0)
		return r;
	r = index.index ? import_index(import, &index, err)
			: err_set(err, -EINVAL, "cannot read " INDEX ": it is no index!");
	manifest_free(&index);
	return r;
}
