/* SPDX-License-Identifier: Apache-2.0 */
#include "image/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "image/json.h"

static const struct {
	const char *media_type;
	bool index;
} kinds[] = {
    {MEDIA_OCI_MANIFEST, false},
    {MEDIA_OCI_INDEX, true},
    {MEDIA_DOCKER_MANIFEST, false},
    {MEDIA_DOCKER_LIST, true},
};

bool manifest_media_type_known(const char *media_type)
{
	for (size_t i = 0; i < countof(kinds); i++)
		if (strcmp(kinds[i].media_type, media_type) == 0)
			return true;
	return false;
}

/* ---- parsing ---- */

static const struct manifest_descriptor no_descriptor = {
    .media_type = "", .artifact_type = "", .digest = "", .os = "", .architecture = "", .variant = ""};

static int annotations_read(const json_t *object, json_t **annotations, const char *what, struct err *err)
{
	const char *key;
	json_t *value;

	int r = image_json_object(object, "annotations", annotations, what, err);
	if (r < 0 || *annotations == NULL)
		return r;
	json_object_foreach(*annotations, key, value)
	{
		if (!json_is_string(value))
			return err_set(err, -EINVAL, "cannot read %s: the annotation \"%s\" is no string!", what, key);
	}
	return 0;
}

static int digest_check(const char *digest, const char *what, struct err *err)
{
	struct image_digest parsed;

	if (strncmp(digest, "sha512:", 7) == 0)
		return err_set(err, -ENOTSUP, "cannot read %s: it uses SHA-512 digests; Lampo knows SHA-256 only!",
			       what);
	if (image_digest_parse(&parsed, digest) < 0)
		return err_set(err, -EINVAL, "cannot read %s: \"%.80s\" is no SHA-256 digest!", what, digest);
	return 0;
}

static int platform_read(const json_t *object, struct manifest_descriptor *d, const char *what, struct err *err)
{
	json_t *platform;
	int r;

	if ((r = image_json_object(object, "platform", &platform, what, err)) < 0 || platform == NULL)
		return r;
	if ((r = image_json_string(platform, "os", &d->os, what, err)) < 0 ||
	    (r = image_json_string(platform, "architecture", &d->architecture, what, err)) < 0)
		return r;
	return image_json_string(platform, "variant", &d->variant, what, err);
}

static int descriptor_read(const json_t *object, struct manifest_descriptor *d, uint64_t bytes_max, const char *what,
			   struct err *err)
{
	int r;

	*d = no_descriptor;
	if (!json_is_object(object))
		return err_set(err, -EINVAL, "cannot read %s: a descriptor is missing or no object!", what);
	if ((r = image_json_string(object, "mediaType", &d->media_type, what, err)) < 0 ||
	    (r = image_json_string(object, "artifactType", &d->artifact_type, what, err)) < 0 ||
	    (r = image_json_string(object, "digest", &d->digest, what, err)) < 0 ||
	    (r = annotations_read(object, &d->annotations, what, err)) < 0 ||
	    (r = platform_read(object, d, what, err)) < 0 || (r = digest_check(d->digest, what, err)) < 0)
		return r;
	if (d->media_type[0] == '\0')
		return err_set(err, -EINVAL, "cannot read %s: a descriptor has no mediaType!", what);
	const json_t *size = json_object_get(object, "size");
	json_int_t bytes = json_integer_value(size);
	if (!json_is_integer(size) || bytes < 0 || (uint64_t)bytes > bytes_max)
		return err_set(err, -EINVAL,
			       "cannot read %s: a descriptor's size is missing, negative or more than %llu!", what,
			       (unsigned long long)bytes_max);
	d->bytes = (uint64_t)bytes;
	return 0;
}

static int list_read(struct manifest *m, const json_t *list, uint64_t bytes_max, size_t count_max, const char *what,
		     struct err *err)
{
	size_t count = json_array_size(list);

	if (count > count_max)
		return err_set(err, -EINVAL, "cannot read %s: %zu entries, more than %zu!", what, count, count_max);
	m->layers = calloc(count + 1, sizeof(*m->layers));
	if (m->layers == NULL)
		return err_set(err, -ENOMEM, "cannot read %s", what);
	for (m->layer_count = 0; m->layer_count < count; m->layer_count++) {
		int r = descriptor_read(json_array_get(list, m->layer_count), &m->layers[m->layer_count], bytes_max,
					what, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int version_check(const json_t *root, const char *what, struct err *err)
{
	const json_t *version = json_object_get(root, "schemaVersion");

	if (!json_is_object(root))
		return err_set(err, -EINVAL, "cannot read %s: it is no JSON object!", what);
	if (json_is_integer(version) && json_integer_value(version) == 1) {
		err_set(err, -ENOTSUP,
			"cannot read %s: it is a Docker manifest of schema 1, which nobody makes any more!", what);
		return err_hint(err, "push the image again with a tool that is newer than 2017");
	}
	if (!json_is_integer(version) || json_integer_value(version) != 2)
		return err_set(err, -EINVAL, "cannot read %s: its schemaVersion is not 2!", what);
	return 0;
}

/* What kind it is: by mediaType, by what it came with, by what is in it; these must not contradict each other. */
static int kind_find(struct manifest *m, const char *content_type, const char *what, struct err *err)
{
	size_t length = content_type != NULL ? strcspn(content_type, "; \t") : 0;
	const char *stated;

	int r = image_json_string(m->root, "mediaType", &stated, what, err);
	if (r < 0)
		return r;
	if (content_type != NULL && stated[0] != '\0' &&
	    (strlen(stated) != length || strncmp(stated, content_type, length) != 0))
		return err_set(err, -EINVAL, "cannot read %s: it came as %.100s and says it is %.100s!", what,
			       content_type, stated);
	bool list = json_object_get(m->root, "manifests") != NULL;
	if (list && (json_object_get(m->root, "layers") != NULL || json_object_get(m->root, "config") != NULL))
		return err_set(err, -EINVAL, "cannot read %s: it is both a manifest and an index!", what);
	if (stated[0] == '\0' && content_type == NULL) { /* OCI's may be without, Docker's not */
		m->media_type = list ? MEDIA_OCI_INDEX : MEDIA_OCI_MANIFEST;
		m->index = list;
		return 0;
	}
	const char *type = stated[0] != '\0' ? stated : content_type;
	for (size_t i = 0; i < countof(kinds); i++) {
		if (strncmp(kinds[i].media_type, type, stated[0] != '\0' ? strlen(stated) + 1 : length) != 0 ||
		    (stated[0] == '\0' && strlen(kinds[i].media_type) != length))
			continue;
		m->media_type = kinds[i].media_type;
		m->index = kinds[i].index;
		if (list == m->index)
			return 0;
		return err_set(err, -EINVAL, "cannot read %s: it is not what its type %s says!", what, m->media_type);
	}
	return err_set(err, -ENOTSUP, "cannot read %s: it is of the unknown type %.*s!", what,
		       (int)(stated[0] != '\0' ? min_u64(strlen(stated), 100) : min_u64(length, 100)), type);
}

static int fields_read(struct manifest *m, const char *content_type, const char *what, struct err *err)
{
	json_t *list, *subject;
	int r;

	if ((r = version_check(m->root, what, err)) < 0 || (r = kind_find(m, content_type, what, err)) < 0 ||
	    (r = image_json_string(m->root, "artifactType", &m->artifact_type, what, err)) < 0 ||
	    (r = annotations_read(m->root, &m->annotations, what, err)) < 0 ||
	    (r = image_json_object(m->root, "subject", &subject, what, err)) < 0 ||
	    (r = image_json_list(m->root, m->index ? "manifests" : "layers", &list, what, err)) < 0)
		return r;
	if (subject != NULL && (r = descriptor_read(subject, &m->subject, MANIFEST_BYTES_MAX, what, err)) < 0)
		return r;
	if (m->index)
		return list_read(m, list, MANIFEST_BYTES_MAX, MANIFEST_ENTRIES_MAX, what, err);
	/* An artifact's configuration may be anything; whoever reads one as an image's bounds it by IMAGE_CONFIG_MAX.
	 */
	if ((r = descriptor_read(json_object_get(m->root, "config"), &m->config, MANIFEST_BLOB_MAX, what, err)) < 0)
		return r;
	return list_read(m, list, MANIFEST_BLOB_MAX, MANIFEST_LAYERS_MAX, what, err);
}

int manifest_parse(struct manifest *manifest, const char *text, size_t bytes, const char *content_type,
		   const char *what, struct err *err)
{
	*manifest =
	    (struct manifest){.media_type = "", .artifact_type = "", .config = no_descriptor, .subject = no_descriptor};
	int r = image_json_parse(&manifest->root, text, bytes, MANIFEST_BYTES_MAX, what, err);
	if (r == 0)
		r = fields_read(manifest, content_type, what, err);
	if (r < 0)
		manifest_free(manifest);
	return r;
}

void manifest_free(struct manifest *manifest)
{
	free(manifest->layers);
	json_decref(manifest->root);
	manifest->layers = NULL;
	manifest->layer_count = 0;
	manifest->root = NULL;
}

/* ---- choosing ---- */

/* How well an entry fits, lower is better; -1: not at all. */
static int platform_rank(const struct manifest_descriptor *d)
{
	static const char *const variants[] = {"v1", "v2", "v3", "v4"};

	if (!manifest_media_type_known(d->media_type) || strcmp(d->os, "linux") != 0 ||
	    strcmp(d->architecture, "amd64") != 0)
		return -1;
	if (d->variant[0] == '\0')
		return 0;
	for (size_t i = 0; i < countof(variants); i++)
		if (strcmp(d->variant, variants[i]) == 0)
			return (int)i;
	return -1;
}

/* "linux/arm64, linux/arm/v7", as far as there is room. */
static void platforms_format(const struct manifest *index, char *text, size_t room)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < index->layer_count && used + 100 < room; i++) {
		const struct manifest_descriptor *d = &index->layers[i];
		if (d->os[0] == '\0' || strcmp(d->os, "unknown") == 0)
			continue;
		int n = snprintf(text + used, room - used, "%s%.30s/%.30s%s%.20s", used > 0 ? ", " : "", d->os,
				 d->architecture, d->variant[0] != '\0' ? "/" : "", d->variant);
		used += n > 0 ? (size_t)n : 0;
	}
}

int manifest_select(const struct manifest *index, const struct manifest_descriptor **entry, const char *what,
		    struct err *err)
{
	const struct manifest_descriptor *best = NULL, *only = NULL;
	size_t known = 0;
	int best_rank = -1;
	char have[400];

	for (size_t i = 0; i < index->layer_count; i++) {
		const struct manifest_descriptor *d = &index->layers[i];
		int rank = platform_rank(d);
		if (rank >= 0 && (best_rank < 0 || rank < best_rank)) {
			best = d;
			best_rank = rank;
		}
		if (manifest_media_type_known(d->media_type)) {
			known++;
			only = d;
		}
	}
	if (best == NULL && known == 1 && only->os[0] == '\0' && only->architecture[0] == '\0')
		best = only;
	*entry = best;
	if (best != NULL)
		return 0;
	platforms_format(index, have, sizeof(have));
	err_set(err, -ENOENT, "cannot use %s: it has nothing for linux/amd64!", what);
	return have[0] != '\0' ? err_hint(err, "it is for: %s", have) : -ENOENT;
}

const char *manifest_annotation(const struct manifest_descriptor *descriptor, const char *name)
{
	const char *value = json_string_value(json_object_get(descriptor->annotations, name));

	return value != NULL ? value : "";
}

enum manifest_layer manifest_layer_kind(const char *media_type)
{
	static const char *const tars[] = {
	    MEDIA_OCI_LAYER,
	    MEDIA_OCI_LAYER_GZIP,
	    MEDIA_OCI_LAYER_ZSTD,
	    "application/vnd.oci.image.layer.nondistributable.v1.tar",
	    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
	    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
	    MEDIA_DOCKER_LAYER,
	    MEDIA_DOCKER_LAYER_GZIP,
	    MEDIA_DOCKER_LAYER ".zstd",
	    "application/vnd.docker.image.rootfs.foreign.diff.tar",
	    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
	};

	if (strcmp(media_type, MEDIA_LAMPO_LAYER) == 0)
		return MANIFEST_LAYER_IMAGE;
	if (strcmp(media_type, MEDIA_LAMPO_LAYER_ZSTD) == 0)
		return MANIFEST_LAYER_IMAGE_ZSTD;
	for (size_t i = 0; i < countof(tars); i++)
		if (strcmp(media_type, tars[i]) == 0)
			return MANIFEST_LAYER_TAR;
	return MANIFEST_LAYER_UNKNOWN;
}

bool manifest_is_lampo(const struct manifest *manifest, const struct manifest_descriptor **layer)
{
	*layer = NULL;
	if (manifest->index || strcmp(manifest->artifact_type, MEDIA_LAMPO_IMAGE) != 0 || manifest->layer_count != 1 ||
	    manifest_layer_kind(manifest->layers[0].media_type) < MANIFEST_LAYER_IMAGE)
		return false;
	*layer = &manifest->layers[0];
	return true;
}

/* ---- emitting ---- */

/* Sets a string unless it is empty or NULL. */
static bool string_put(json_t *object, const char *key, const char *value)
{
	return value == NULL || value[0] == '\0' || json_object_set_new(object, key, json_string(value)) == 0;
}

static json_t *descriptor_make(const struct manifest_descriptor *d)
{
	json_t *object =
	    json_pack("{s:s,s:s,s:I}", "mediaType", d->media_type, "digest", d->digest, "size", (json_int_t)d->bytes);
	bool ok = object != NULL && string_put(object, "artifactType", d->artifact_type);

	if (ok && d->os != NULL && d->os[0] != '\0') {
		json_t *platform = json_pack("{s:s,s:s}", "os", d->os, "architecture", d->architecture);
		ok = platform != NULL && string_put(platform, "variant", d->variant);
		ok = json_object_set_new(object, "platform", platform) == 0 && ok;
	}
	if (ok && d->annotations != NULL)
		ok = json_object_set(object, "annotations", d->annotations) == 0;
	if (ok)
		return object;
	json_decref(object);
	return NULL;
}

char *manifest_dump(const struct manifest *manifest)
{
	json_t *list = json_array();
	json_t *root = json_pack("{s:i,s:s}", "schemaVersion", 2, "mediaType", manifest->media_type);
	bool ok = list != NULL && root != NULL && string_put(root, "artifactType", manifest->artifact_type);

	for (size_t i = 0; ok && i < manifest->layer_count; i++)
		ok = json_array_append_new(list, descriptor_make(&manifest->layers[i])) == 0;
	if (ok)
		ok = json_object_set(root, manifest->index ? "manifests" : "layers", list) == 0;
	if (ok && !manifest->index)
		ok = json_object_set_new(root, "config", descriptor_make(&manifest->config)) == 0;
	if (ok && manifest->subject.digest != NULL && manifest->subject.digest[0] != '\0')
		ok = json_object_set_new(root, "subject", descriptor_make(&manifest->subject)) == 0;
	if (ok && manifest->annotations != NULL)
		ok = json_object_set(root, "annotations", manifest->annotations) == 0;
	char *text = ok ? image_json_dump(root) : NULL;
	json_decref(list);
	json_decref(root);
	return text;
}
