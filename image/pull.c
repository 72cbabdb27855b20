/* SPDX-License-Identifier: Apache-2.0 */
#include "image/pull.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/convert.h"
#include "image/wire.h"

#define INDEX_DEPTH_MAX 3u     /* indexes in indexes */
#define ATTACHED_PAGES_MAX 8u  /* of the list of what is attached */
#define ATTACHED_TRIED_MAX 16u /* manifests of one page */

struct pull {
	struct store *store;
	const struct reference *reference;
	const struct pull_options *options;
	struct registry *registry;
	struct progress *progress;
	char name[REFERENCE_MAX]; /* in the store; "": none */
	struct store_origin origin;
	struct image_digest *digest;
	enum pull_result *result;
};

/* A manifest as it came, and what it says. */
struct pulled {
	struct registry_document document;
	struct manifest manifest;
};

static void pulled_free(struct pulled *pulled)
{
	manifest_free(&pulled->manifest);
	registry_document_free(&pulled->document);
}

static int get_one(struct pull *pull, const char *name, const char *type, struct pulled *pulled, struct err *err)
{
	char what[REFERENCE_MAX + 160];

	memset(pulled, 0, sizeof(*pulled));
	int code = registry_manifest_get(pull->registry, name, &pulled->document, err);
	if (code < 0)
		return code;
	snprintf(what, sizeof(what), "the manifest %s of %s", name, registry_name(pull->registry));
	/* Some registries know no better than text/plain; then the document itself has to say what it is. */
	const char *came = pulled->document.media_type;
	if (type == NULL && manifest_media_type_known(came))
		type = came;
	code = manifest_parse(&pulled->manifest, pulled->document.text, pulled->document.bytes, type, what, err);
	if (code < 0)
		pulled_free(pulled);
	return code;
}

/* The manifest of the image for this machine, through the indexes before it. */
static int resolve(struct pull *pull, struct pulled *pulled, struct err *err)
{
	const struct reference *reference = pull->reference;
	const struct manifest_descriptor *entry;

	int code = get_one(pull, reference->digest[0] != '\0' ? reference->digest : reference->tag, NULL, pulled, err);
	for (unsigned depth = 0; code == 0 && pulled->manifest.index; depth++) {
		struct pulled inner = {0};
		if (depth == INDEX_DEPTH_MAX)
			code = err_set(err, -ELOOP, "%s has indexes in indexes, deeper than %u!",
				       registry_name(pull->registry), INDEX_DEPTH_MAX);
		if (code == 0)
			code = manifest_select(&pulled->manifest, &entry, registry_name(pull->registry), err);
		if (code == 0)
			code = get_one(pull, entry->digest, entry->media_type, &inner, err);
		if (code == 0 && inner.document.bytes != entry->bytes) {
			code = err_set(err, -EBADMSG, "the manifest %s has %zu bytes instead of %llu!", entry->digest,
				       inner.document.bytes, (unsigned long long)entry->bytes);
			pulled_free(&inner);
		}
		pulled_free(pulled);
		*pulled = inner;
	}
	return code;
}

/* Gives the image that is there the name. */
static int use(struct pull *pull, const struct image_digest *digest, struct err *err)
{
	*pull->digest = *digest;
	*pull->result = PULL_UP_TO_DATE;
	return pull->name[0] == '\0' ? 0 : store_tag(pull->store, digest, pull->name, &pull->origin, err);
}

static void verify_progress(void *context, uint64_t done, uint64_t total)
{
	progress_set(context, 0, "image", "verifying", done, total);
}

/* Every block is right. A damaged image is moved out of the way, and comes anew. */
static bool is_whole(struct pull *pull, const struct image_digest *digest)
{
	struct err ignored;

	return store_has(pull->store, digest) &&
	       store_verify(pull->store, digest, verify_progress, pull->progress, &ignored) == 0;
}

/* Whether a name came from the repository that is being pulled from: what was attached elsewhere is another matter. */
static bool same_repository(const struct pull *pull, const struct store_origin *origin)
{
	struct reference other;
	struct err ignored;

	return reference_parse(&other, origin->reference, &ignored) == 0 &&
	       strcmp(other.registry, pull->reference->registry) == 0 &&
	       strcmp(other.repository, pull->reference->repository) == 0;
}

/* 1: the image that was made of this manifest is there, and whole. */
static int find_made(struct pull *pull, const char *manifest, struct image_digest *digest, struct err *err)
{
	struct store_entry *entries = NULL;
	size_t count;
	bool found = false;

	int code = store_list(pull->store, &entries, &count, err);
	if (code < 0)
		return code;
	for (size_t i = 0; i < count && !found; i++) {
		if (strcmp(entries[i].origin.manifest_digest, manifest) != 0 ||
		    !same_repository(pull, &entries[i].origin))
			continue;
		*digest = entries[i].digest;
		found = is_whole(pull, digest);
	}
	free(entries);
	return found;
}

struct file_source {
	int fd;
	uint64_t at;
};

static int64_t file_read(void *context, void *to, size_t bytes, struct err *err)
{
	struct file_source *source = context;
	ssize_t n;

	do
		n = pread(source->fd, to, bytes, (off_t)source->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, -errno, "cannot read a blob that was fetched");
	source->at += (uint64_t)n;
	return n;
}

/* Blobs that were complete and gave no image are of no use to the next pull, unless it was this machine that failed. */
static bool blobs_done(int code)
{
	return code != -ENOSPC && code != -EDQUOT && code != -ENOMEM && code != -EIO && code != -EMFILE &&
	       code != -ENFILE;
}

static int commit(struct pull *pull, struct store_draft *draft, const struct image_digest *digest, int code,
		  struct err *err)
{
	if (code < 0) {
		store_draft_discard(pull->store, draft);
		return code;
	}
	*pull->digest = *digest;
	return store_draft_commit(pull->store, draft, digest, pull->name[0] != '\0' ? pull->name : NULL, &pull->origin,
				  err);
}

/* An image in Lampo's own form. */
static int fetch(struct pull *pull, const struct manifest_descriptor *layer, struct err *err)
{
	static const struct image_limits limits = IMAGE_LIMITS_DEFAULT;
	const char *annotation = manifest_annotation(layer, ANNOTATION_LAMPO_DIGEST);
	struct image_digest expected, digest;
	struct pull_blobs blobs;
	struct store_draft draft;
	char name[32];

	if (image_digest_parse(&expected, annotation) < 0)
		return err_set(err, -EINVAL, "%s does not say which image it has!", registry_name(pull->registry));
	if (is_whole(pull, &expected))
		return use(pull, &expected, err);
	int code = pull_blobs_get(&blobs, pull->store, pull->registry, &layer, 1, pull->progress, err);
	if (code == 0)
		code = store_draft_open(pull->store, &draft, err);
	if (code != 0) {
		pull_blobs_close(&blobs, false);
		return code;
	}
	snprintf(name, sizeof(name), "layer %.12s", layer->digest + strlen("sha256:"));
	struct file_source file = {.fd = pull_blobs_fd(&blobs, layer->digest)};
	struct layer_source source = {.read = file_read, .context = &file, .name = name};
	bool compressed = manifest_layer_kind(layer->media_type) == MANIFEST_LAYER_IMAGE_ZSTD;
	progress_set(pull->progress, 0, name, "unpacking", 0, 0);
	code = wire_decode(&source, compressed, limits.image_bytes, &expected, draft.fd, &digest, err);
	code = commit(pull, &draft, &digest, code, err);
	pull_blobs_close(&blobs, blobs_done(code));
	*pull->result = PULL_FETCHED;
	return code;
}

/* The image of Lampo among what one page of the list names. -ENOENT: there is none, or none that is of use. */
static int find_in_page(struct pull *pull, const char *subject, const struct registry_document *page,
			struct pulled *attached, struct err *err)
{
	const struct manifest_descriptor *layer;
	struct manifest index;
	unsigned tried = 0;
	bool found = false;

	int code =
	    manifest_parse(&index, page->text, page->bytes, MEDIA_OCI_INDEX, "the list of what is attached", err);
	for (size_t i = 0; code == 0 && !found && i < index.layer_count; i++) {
		const struct manifest_descriptor *entry = &index.layers[i];
		/* A registry need not filter. */
		if (strcmp(entry->artifact_type, MEDIA_LAMPO_IMAGE) != 0 || ++tried > ATTACHED_TRIED_MAX ||
		    get_one(pull, entry->digest, entry->media_type, attached, err) < 0)
			continue;
		found = manifest_is_lampo(&attached->manifest, &layer) &&
			strcmp(attached->manifest.subject.digest, subject) == 0;
		if (!found)
			pulled_free(attached);
	}
	manifest_free(&index);
	return code < 0 ? code : found ? 0 : -ENOENT;
}

/* The image of Lampo that is attached to a manifest. As find_in_page(). */
static int find_attached(struct pull *pull, const char *subject, struct pulled *attached, struct err *err)
{
	char next[REGISTRY_PAGE_MAX] = "";
	int code = -ENOENT;

	for (unsigned i = 0; i < ATTACHED_PAGES_MAX && code == -ENOENT && (i == 0 || next[0] != '\0'); i++) {
		struct registry_document page;
		code = registry_referrers_get(pull->registry, subject, MEDIA_LAMPO_IMAGE, next, &page, err);
		if (code < 0)
			break;
		code = find_in_page(pull, subject, &page, attached, err);
		registry_document_free(&page);
	}
	return code;
}

/* Reads the configuration from its file. *text: malloc'd. */
static int read_config(int fd, size_t bytes, char **text, struct err *err)
{
	struct file_source file = {.fd = fd};
	int64_t n = 0;

	*text = malloc(bytes + 1);
	if (!*text)
		return err_set(err, -ENOMEM, "cannot read the image's configuration");
	while (file.at < bytes && (n = file_read(&file, *text + file.at, bytes - file.at, err)) > 0)
		;
	(*text)[file.at] = '\0';
	return n < 0 ? (int)n : 0;
}

static int convert_blobs(struct pull *pull, const struct manifest *manifest, const struct pull_blobs *blobs, int fd,
			 struct image_digest *digest, struct err *err)
{
	size_t count = manifest->layer_count;
	struct layer_source *sources = calloc(count + 1, sizeof(*sources));
	struct file_source *files = calloc(count + 1, sizeof(*files));
	char(*names)[32] = calloc(count + 1, sizeof(*names)), *config = NULL;
	int code = 0;

	if (!sources || !files || !names)
		code = err_set(err, -ENOMEM, "cannot unpack %zu layers", count);
	for (size_t i = 0; code == 0 && i < count; i++) {
		const char *blob = manifest->layers[i].digest;
		snprintf(names[i], sizeof(names[i]), "layer %.12s", blob + strlen("sha256:"));
		files[i].fd = pull_blobs_fd(blobs, blob);
		sources[i] = (struct layer_source){.read = file_read, .context = &files[i], .name = names[i]};
	}
	if (code == 0)
		code = read_config(pull_blobs_fd(blobs, manifest->config.digest), manifest->config.bytes, &config, err);
	if (code == 0)
		code = image_convert(config, manifest->config.bytes, sources, count, fd, digest, pull->progress, err);
	free(config);
	free(names);
	free(files);
	free(sources);
	return code;
}

/* Says no to what is no image that can be run here, before anything is fetched. */
static int check_convertible(const struct manifest *manifest, struct err *err)
{
	const char *type = manifest->config.media_type;

	if (strcmp(type, MEDIA_OCI_CONFIG) != 0 && strcmp(type, MEDIA_DOCKER_CONFIG) != 0)
		return err_set(err, -ENOTSUP, "this is no image, but an artifact with the configuration %.100s!", type);
	if (manifest->config.bytes > IMAGE_CONFIG_MAX)
		return err_set(err, -EFBIG, "the image's configuration has %llu bytes, more than %u!",
			       (unsigned long long)manifest->config.bytes, IMAGE_CONFIG_MAX);
	for (size_t i = 0; i < manifest->layer_count; i++)
		if (manifest_layer_kind(manifest->layers[i].media_type) != MANIFEST_LAYER_TAR)
			return err_set(err, -ENOTSUP, "layer %zu has the media type %.100s, which is unknown!", i + 1,
				       manifest->layers[i].media_type);
	return 0;
}

static int convert(struct pull *pull, const struct manifest *manifest, struct err *err)
{
	const struct manifest_descriptor **wanted =
	    calloc(manifest->layer_count + 1, sizeof(struct manifest_descriptor *));
	struct pull_blobs blobs = {0};
	struct image_digest digest;
	struct store_draft draft;

	int code = wanted ? check_convertible(manifest, err) : err_set(err, -ENOMEM, "cannot fetch the layers");
	if (code == 0) {
		for (size_t i = 0; i < manifest->layer_count; i++)
			wanted[i] = &manifest->layers[i];
		wanted[manifest->layer_count] = &manifest->config;
		code = pull_blobs_get(&blobs, pull->store, pull->registry, wanted, manifest->layer_count + 1,
				      pull->progress, err);
	}
	if (code == 0)
		code = store_draft_open(pull->store, &draft, err);
	bool done = code == 0;
	if (code == 0) {
		code = convert_blobs(pull, manifest, &blobs, draft.fd, &digest, err);
		code = commit(pull, &draft, &digest, code, err);
		done = blobs_done(code);
	}
	pull_blobs_close(&blobs, done);
	free(wanted);
	*pull->result = PULL_CONVERTED;
	return code;
}

/* An image of others: made before, attached, or to be converted. */
static int pull_original(struct pull *pull, const struct pulled *pulled, struct err *err)
{
	const struct manifest_descriptor *layer;
	struct image_digest made;
	struct pulled attached;
	struct err ignored = {0};

	snprintf(pull->origin.manifest_digest, sizeof(pull->origin.manifest_digest), "%s", pulled->document.digest);
	snprintf(pull->origin.manifest_type, sizeof(pull->origin.manifest_type), "%s", pulled->manifest.media_type);
	pull->origin.manifest_bytes = pulled->document.bytes;
	int code = find_made(pull, pulled->document.digest, &made, err);
	if (code < 0)
		return code;
	if (code == 1)
		return use(pull, &made, err);
	/* Without it all goes its longer way. */
	if (!pull->options->convert && find_attached(pull, pulled->document.digest, &attached, &ignored) == 0) {
		manifest_is_lampo(&attached.manifest, &layer);
		code = fetch(pull, layer, err);
		pulled_free(&attached);
		if (code == -EBADMSG || code == -EUCLEAN || code == -EINVAL || code == -EIO)
			err_hint(err, "this is the image that is attached to the original; with --convert the original "
				      "itself is taken");
		return code;
	}
	return convert(pull, &pulled->manifest, err);
}

int image_pull(struct store *store, const struct reference *reference, const struct pull_options *options,
	       struct progress *progress, struct image_digest *digest, enum pull_result *result, struct err *err)
{
	const struct manifest_descriptor *layer;
	struct pull *pull = calloc(1, sizeof(*pull));
	struct pulled pulled;

	if (!pull)
		return err_set(err, -ENOMEM, "cannot pull %s", reference->repository);
	pull->store = store;
	pull->reference = reference;
	pull->options = options;
	pull->progress = progress;
	pull->digest = digest;
	pull->result = result;
	reference_format(reference, pull->name);
	snprintf(pull->origin.reference, sizeof(pull->origin.reference), "%s", pull->name);
	int code = registry_open(&pull->registry, reference, &options->registry, err);
	if (code == 0)
		code = resolve(pull, &pulled, err);
	if (code == 0) {
		code = manifest_is_lampo(&pulled.manifest, &layer) ? fetch(pull, layer, err)
								   : pull_original(pull, &pulled, err);
		pulled_free(&pulled);
	}
	registry_close(pull->registry);
	free(pull);
	return code;
}
