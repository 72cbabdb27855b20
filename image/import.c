/* SPDX-License-Identifier: Apache-2.0 */
#include "image/import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/convert.h"
#include "image/import_internal.h"
#include "image/reference.h"

/* A layer as image_convert() reads it: its file is opened when it is its turn, and closed at its end. */
struct layer_file {
	struct import *import;
	const struct import_layer *layer;
	struct bundle_file file;
	bool opened;
	unsigned item;
	char label[32];
};

static int layer_open(struct layer_file *l, struct err *err)
{
	int r = bundle_file_open(&l->import->bundle, l->layer->path, &l->file, err);

	if (r < 0)
		return r;
	l->opened = true;
	if (l->layer->sized && l->file.bytes != l->layer->bytes)
		return err_set(err, -EBADMSG, "cannot use %s: it has %llu bytes, and not %llu as the manifest says!",
			       l->layer->path, (unsigned long long)l->file.bytes, (unsigned long long)l->layer->bytes);
	return 0;
}

static int64_t layer_read(void *context, void *to, size_t bytes, struct err *err)
{
	struct layer_file *l = context;

	int r = l->opened ? 0 : layer_open(l, err);
	if (r < 0)
		return r;
	int64_t n = bundle_file_read(&l->file, to, bytes, err);
	if (n > 0)
		progress_set(l->import->options->progress, l->item, l->label, "unpacking",
			     l->file.bytes - (l->file.end - l->file.at), l->file.bytes);
	else
		bundle_file_close(&l->file);
	return n;
}

int import_commit(struct import *import, struct store_draft *draft, const struct image_digest *digest,
		  char (*names)[REFERENCE_MAX], size_t name_count, struct err *err)
{
	const char **list = calloc(name_count + 1, sizeof(*list));
	int r = store_draft_commit(import->store, draft, digest, NULL, NULL, err);

	if (r == 0 && list == NULL)
		r = err_set(err, -ENOMEM, "cannot name the image");
	for (size_t i = 0; r == 0 && i < name_count; i++)
		list[i] = names[i];
	/* All at once, so that it is never half of them. */
	if (r == 0)
		r = store_tag_all(import->store, digest, list, NULL, err);
	free(list);
	for (size_t i = 0; r == 0 && i < name_count; i++)
		if (import->options->imported != NULL)
			import->options->imported(import->options->context, names[i], digest);
	return r;
}

int import_image(struct import *import, const char *config, size_t config_bytes, const struct import_layer *layers,
		 size_t count, char (*names)[REFERENCE_MAX], size_t name_count, struct err *err)
{
	struct layer_source *sources = calloc(count + 1, sizeof(*sources));
	struct layer_file *files = calloc(count + 1, sizeof(*files));
	struct store_draft draft;
	struct image_digest digest;

	for (size_t i = 0; sources != NULL && files != NULL && i < count; i++) {
		files[i] =
		    (struct layer_file){.import = import, .layer = &layers[i], .item = (unsigned)i, .file.fd = -1};
		snprintf(files[i].label, sizeof(files[i].label), "layer %zu", i + 1);
		sources[i] = (struct layer_source){.read = layer_read,
						   .context = &files[i],
						   .name = files[i].label,
						   .digest = layers[i].digest[0] != '\0' ? layers[i].digest : NULL};
	}
	int r = sources == NULL || files == NULL ? err_set(err, -ENOMEM, "cannot import %s", names[0])
						 : store_draft_open(import->store, &draft, err);
	if (r == 0) {
		r = image_convert(config, config_bytes, sources, count, draft.fd, &digest, import->options->progress,
				  err);
		if (r == 0)
			r = import_commit(import, &draft, &digest, names, name_count, err);
		else
			store_draft_discard(import->store, &draft);
		if (r < 0)
			err_wrap(err, "cannot import %s", names[0]);
	}
	for (size_t i = 0; files != NULL && i < count; i++)
		bundle_file_close(&files[i].file);
	free(files);
	free(sources);
	return r;
}

bool import_name(const char *text, char name[REFERENCE_MAX])
{
	struct reference reference;
	struct err ignored;

	if (strpbrk(text, "/:") == NULL || reference_parse(&reference, text, &ignored) < 0 || reference.tag[0] == '\0')
		return false;
	reference_format(&reference, name);
	return true;
}

bool import_wants(const struct import *import, const char *text)
{
	const char *wanted = import->options->reference;
	char one[REFERENCE_MAX], other[REFERENCE_MAX];

	if (wanted == NULL || strcmp(wanted, text) == 0)
		return true;
	return import_name(wanted, one) && import_name(text, other) && strcmp(one, other) == 0;
}

int import_nameless(const struct import *import, struct err *err)
{
	err_set(err, -EINVAL, "the image in %s has no name!", import->bundle.path);
	return err_hint(err, "give it one: lampo import ARCHIVE NAME");
}

int import_digest_check(const struct import *import, const char *what, const void *data, size_t bytes,
			const char *digest, struct err *err)
{
	struct image_digest is;
	char text[IMAGE_DIGEST_TEXT];

	sha256(data, bytes, is.bytes);
	image_digest_format(&is, text);
	if (strcmp(text, digest) == 0)
		return 0;
	return err_set(err, -EBADMSG, "cannot use %s in %s: its digest is %s, not %s!", what, import->bundle.path, text,
		       digest);
}

/* Whether a file is there at all; errors come when it is read. */
static bool has(struct import *import, const char *name)
{
	struct bundle_file file;
	struct err ignored;

	int r = bundle_file_open(&import->bundle, name, &file, &ignored);
	if (r == 0)
		bundle_file_close(&file);
	return r != -ENOENT;
}

int image_import(struct store *store, const char *path, const struct import_options *options, struct err *err)
{
	struct import import = {.store = store, .options = options};

	int r = bundle_open(&import.bundle, store, path, err);
	if (r < 0)
		return r;
	/* docker save writes both; its own list has the names. */
	if (has(&import, "manifest.json")) {
		r = import_docker(&import, err);
	} else if (has(&import, "index.json")) {
		r = import_oci(&import, err);
	} else {
		r = err_set(err, -EINVAL,
			    "cannot import %s: it is neither an OCI image layout nor what docker save writes!",
			    import.bundle.path);
		if (has(&import, "repositories"))
			err_hint(err,
				 "it seems to be from a docker older than 1.10: load and save it with a newer one");
	}
	bundle_close(&import.bundle);
	return r;
}
