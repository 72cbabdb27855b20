/* SPDX-License-Identifier: Apache-2.0 */
#include "image/push.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/export_layer.h"
#include "image/json.h"
#include "image/manifest.h"
#include "image/wire.h"

struct push {
	struct store *store;
	const struct store_entry *entry;
	const struct reference *reference;
	const struct push_options *options;
	struct registry *registry;
	struct progress *progress;
	struct manifest_descriptor subject; /* digest NULL: none */
	bool same_name;                     /* the reference is where it was pulled from */
	char *manifest;                     /* digest, the caller's */
	enum push_result *result;
};

/* Fills in the original that the registry has of the image, if it is there still. */
static int find_subject(struct push *push, struct err *err)
{
	const struct store_origin *origin = &push->entry->origin;
	struct registry_document document;
	struct reference from;
	struct err ignored;

	if (origin->manifest_digest[0] == '\0' || reference_parse(&from, origin->reference, &ignored) < 0 ||
	    strcmp(from.registry, push->reference->registry) != 0 ||
	    strcmp(from.repository, push->reference->repository) != 0)
		return 0;
	int code = registry_manifest_get(push->registry, origin->manifest_digest, &document, err);
	if (code < 0)
		return code == -ENOENT ? 0 : code;
	push->subject.media_type = origin->manifest_type;
	push->subject.digest = origin->manifest_digest;
	push->subject.bytes = document.bytes;
	push->same_name = strcmp(from.tag, push->reference->tag) == 0;
	registry_document_free(&document);
	return 0;
}

/* The descriptor of the manifest, as the index under the tag has it for registries without the referrers API. */
static int add_referrer(struct push *push, size_t manifest_bytes, struct err *err)
{
	json_t *value = json_pack("{s:s, s:s, s:I, s:s}", "mediaType", MEDIA_OCI_MANIFEST, "digest", push->manifest,
				  "size", (json_int_t)manifest_bytes, "artifactType", MEDIA_LAMPO_IMAGE);
	char *entry = value ? image_json_dump(value) : NULL;
	int code = entry ? registry_referrers_add(push->registry, push->subject.digest, entry, err)
			 : err_set(err, -ENOMEM, "cannot attach the image");

	free(entry);
	json_decref(value);
	return code;
}

static int put_manifest(struct push *push, const char *text, struct err *err)
{
	struct image_digest digest;
	size_t bytes = strlen(text);
	bool attach = push->subject.digest != NULL, known;
	/* A tag that names the original goes on doing so. */
	bool by_tag = push->reference->tag[0] != '\0' && !(attach && push->same_name);

	sha256(text, bytes, digest.bytes);
	image_digest_format(&digest, push->manifest);
	int code = registry_manifest_put(push->registry, by_tag ? push->reference->tag : push->manifest, text, bytes,
					 MEDIA_OCI_MANIFEST, &known, err);
	if (code == 0 && attach && !known)
		code = add_referrer(push, bytes, err);
	*push->result = by_tag ? PUSH_TAGGED : PUSH_ATTACHED;
	return code;
}

static int put_own_form(struct push *push, struct image_file *image, int draft_fd, struct err *err)
{
	bool compress = push->options->format == PUSH_ZSTD;
	char digest[IMAGE_DIGEST_TEXT];
	struct wire_blob blob;

	int code = find_subject(push, err);
	if (code < 0)
		return code;
	progress_set(push->progress, 0, "image", compress ? "compressing" : "reading", 0, 0);
	code = wire_encode(image, compress, draft_fd, &blob, err);
	if (code < 0)
		return code;
	image_digest_format(&blob.digest, digest);
	code = registry_blob_put(push->registry, digest, compress ? draft_fd : image->fd, NULL, blob.bytes, 0,
				 push->progress, err);
	if (code == 0)
		code = registry_blob_put(push->registry, MANIFEST_EMPTY_DIGEST, -1, MANIFEST_EMPTY,
					 strlen(MANIFEST_EMPTY), 1, NULL, err);
	if (code < 0)
		return code;
	char *text = wire_manifest(&blob, &push->entry->digest, push->subject.digest ? &push->subject : NULL);
	code = text ? put_manifest(push, text, err) : err_set(err, -ENOMEM, "cannot make the manifest");
	free(text);
	return code;
}

/* An ordinary image of one layer. */
static int put_oci(struct push *push, struct image_file *image, int draft_fd, struct err *err)
{
	char layer_digest[IMAGE_DIGEST_TEXT], config_digest[IMAGE_DIGEST_TEXT], *config = NULL, *text = NULL;
	struct export_layer layer;
	struct image_digest digest;

	int code = export_layer(image, draft_fd, true, &layer, push->progress, err);
	if (code == 0)
		code = export_config(image, &layer, &config, err);
	if (code != 0)
		return code;
	image_digest_format(&layer.digest, layer_digest);
	sha256(config, strlen(config), digest.bytes);
	image_digest_format(&digest, config_digest);
	code = registry_blob_put(push->registry, layer_digest, draft_fd, NULL, layer.bytes, 0, push->progress, err);
	if (code == 0)
		code = registry_blob_put(push->registry, config_digest, -1, config, strlen(config), 1, NULL, err);
	if (code == 0)
		text = export_manifest(&layer, config);
	if (code == 0)
		code = text ? put_manifest(push, text, err) : err_set(err, -ENOMEM, "cannot make the manifest");
	free(text);
	free(config);
	return code;
}

static void verify_progress(void *context, uint64_t done, uint64_t total)
{
	progress_set(context, 0, "image", "verifying", done, total);
}

static int push_image(struct push *push, struct err *err)
{
	struct store_draft draft;
	struct image_file image;

	int code = store_verify(push->store, &push->entry->digest, verify_progress, push->progress, err);
	if (code == 0)
		code = store_image_open(push->store, &push->entry->digest, &image, err);
	if (code < 0)
		return code;
	code = store_draft_open(push->store, &draft, err);
	if (code == 0) {
		code = push->options->format == PUSH_OCI ? put_oci(push, &image, draft.fd, err)
							 : put_own_form(push, &image, draft.fd, err);
		store_draft_discard(push->store, &draft);
	}
	image_file_close(&image);
	return code;
}

int image_push(struct store *store, const struct store_entry *entry, const struct reference *reference,
	       const struct push_options *options, struct progress *progress, char manifest[IMAGE_DIGEST_TEXT],
	       enum push_result *result, struct err *err)
{
	struct push push = {.store = store,
			    .entry = entry,
			    .reference = reference,
			    .options = options,
			    .progress = progress,
			    .manifest = manifest,
			    .result = result};

	if (reference->digest[0] != '\0') {
		err_set(err, -EINVAL, "an image cannot be pushed under a digest!");
		return err_hint(err, "give a name with a tag; the digest comes of itself");
	}
	int code = registry_open(&push.registry, reference, &options->registry, err);
	if (code < 0)
		return code;
	code = push_image(&push, err);
	registry_close(push.registry);
	return code;
}
