/* SPDX-License-Identifier: Apache-2.0 */
#include "image/export.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/export_layer.h"
#include "image/json.h"
#include "image/wire.h"
#include "run/fd.h"

#define CHUNK_BYTES (256u << 10)
#define PATH_BYTES (IMAGE_DIGEST_TEXT + 16)
#define LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"

struct out {
	struct store *store;
	struct image_file *image;
	const struct export_options *options;
	struct archive *archive;
	int fd;
	int code; /* of a write that failed */
	bool discard;
	struct err *err;
};

/* ---- the archive ---- */

static la_ssize_t on_write(struct archive *archive, void *context, const void *data, size_t bytes)
{
	struct out *out = context;

	if (out->discard)
		return (la_ssize_t)bytes;
	out->code = fd_write_all(out->fd, data, bytes);
	if (out->code == 0)
		return (la_ssize_t)bytes;
	archive_set_error(archive, -out->code, "cannot write");
	return -1;
}

static int archive_failed(struct out *out)
{
	if (out->code < 0)
		return err_set(out->err, out->code, "cannot write the archive");
	return err_set(out->err, -EINVAL, "cannot write the archive: %s!", archive_error_string(out->archive));
}

/* The same each time: no owner, no time. */
static int member_start(struct out *out, const char *name, mode_t mode, uint64_t bytes)
{
	struct archive_entry *entry = archive_entry_new();

	if (entry == NULL)
		return err_set(out->err, -ENOMEM, "cannot write the archive");
	archive_entry_set_pathname(entry, name);
	archive_entry_set_mode(entry, mode);
	archive_entry_set_size(entry, (int64_t)bytes);
	archive_entry_set_mtime(entry, 0, 0);
	int r = archive_write_header(out->archive, entry);
	archive_entry_free(entry);
	return r == ARCHIVE_OK ? 0 : archive_failed(out);
}

static int member_data(struct out *out, const void *data, size_t bytes)
{
	for (const char *at = data; bytes > 0;) {
		la_ssize_t n = archive_write_data(out->archive, at, bytes);
		if (n <= 0)
			return archive_failed(out);
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int member_text(struct out *out, const char *name, const char *text)
{
	int r = member_start(out, name, S_IFREG | 0644, strlen(text));

	return r < 0 ? r : member_data(out, text, strlen(text));
}

/* All of a file, which has so many bytes. */
static int member_file(struct out *out, const char *name, int fd, uint64_t bytes)
{
	uint8_t *chunk = malloc(CHUNK_BYTES);
	int r = chunk == NULL ? err_set(out->err, -ENOMEM, "cannot write the archive")
			      : member_start(out, name, S_IFREG | 0644, bytes);

	for (uint64_t at = 0; r == 0 && at < bytes;) {
		size_t want = bytes - at < CHUNK_BYTES ? (size_t)(bytes - at) : CHUNK_BYTES;
		ssize_t n = pread(fd, chunk, want, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r = err_set(out->err, n < 0 ? -errno : -EIO, "cannot read what is to be exported");
			break;
		}
		r = member_data(out, chunk, (size_t)n);
		at += (uint64_t)n;
		progress_set(out->options->progress, 1, "archive", "writing", at, bytes);
	}
	free(chunk);
	return r;
}

static void blob_path(const struct image_digest *digest, char path[PATH_BYTES])
{
	char text[IMAGE_DIGEST_TEXT];

	image_digest_format(digest, text);
	snprintf(path, PATH_BYTES, "blobs/sha256/%s", text + strlen("sha256:"));
}

static int blob_text(struct out *out, const char *text, struct image_digest *digest)
{
	char path[PATH_BYTES];

	sha256(text, strlen(text), digest->bytes);
	blob_path(digest, path);
	return member_text(out, path, text);
}

/* ---- what all OCI layouts have ---- */

static int no_memory(struct out *out) { return err_set(out->err, -ENOMEM, "cannot write the archive"); }

static int layout_start(struct out *out)
{
	int r = member_text(out, "oci-layout", LAYOUT);

	if (r == 0)
		r = member_start(out, "blobs/", S_IFDIR | 0755, 0);
	if (r == 0)
		r = member_start(out, "blobs/sha256/", S_IFDIR | 0755, 0);
	return r;
}

/* The manifest's blob and the index that names it. */
static int layout_end(struct out *out, const char *manifest_text, const char *artifact_type)
{
	struct image_digest digest;
	char digest_text[IMAGE_DIGEST_TEXT];
	bool image = artifact_type == NULL;

	int r = blob_text(out, manifest_text, &digest);
	if (r < 0)
		return r;
	image_digest_format(&digest, digest_text);
	struct manifest_descriptor entry = {.media_type = MEDIA_OCI_MANIFEST,
					    .artifact_type = artifact_type,
					    .digest = digest_text,
					    .bytes = strlen(manifest_text),
					    .os = image ? "linux" : NULL,
					    .architecture = image ? "amd64" : NULL};
	struct manifest index = {.index = true, .media_type = MEDIA_OCI_INDEX, .layers = &entry, .layer_count = 1};
	if (out->options->name[0] != '\0')
		entry.annotations = json_pack("{s:s}", ANNOTATION_REF_NAME, out->options->name);
	char *text = manifest_dump(&index);
	json_decref(entry.annotations);
	r = text == NULL ? no_memory(out) : member_text(out, "index.json", text);
	free(text);
	return r;
}

/* ---- the three forms ---- */

static int export_own(struct out *out)
{
	bool compress = out->options->compress;
	struct store_draft spool;
	struct wire_blob blob;
	char path[PATH_BYTES];
	int fd = out->image->fd;
	int r = 0;

	if (compress) {
		if ((r = store_draft_open(out->store, &spool, out->err)) < 0)
			return r;
		fd = spool.fd;
	}
	progress_set(out->options->progress, 0, "image", compress ? "compressing" : "verifying", 0, 0);
	r = wire_encode(out->image, compress, fd, &blob, out->err);
	progress_set(out->options->progress, 0, "image", "done", 0, 0);
	if (r == 0)
		r = layout_start(out);
	if (r == 0) {
		blob_path(&blob.digest, path);
		r = member_file(out, path, fd, blob.bytes);
	}
	if (r == 0) {
		struct image_digest empty;
		r = blob_text(out, MANIFEST_EMPTY, &empty);
	}
	char *manifest = r == 0 ? wire_manifest(&blob, &out->image->digest, NULL) : NULL;
	if (r == 0)
		r = manifest == NULL ? no_memory(out) : layout_end(out, manifest, MEDIA_LAMPO_IMAGE);
	free(manifest);
	if (compress)
		store_draft_discard(out->store, &spool);
	return r;
}

static int oci_put(struct out *out, const struct export_layer *layer, int layer_fd, const char *config)
{
	struct image_digest digest;
	char path[PATH_BYTES];

	int r = layout_start(out);
	blob_path(&layer->digest, path);
	if (r == 0)
		r = member_file(out, path, layer_fd, layer->bytes);
	if (r == 0)
		r = blob_text(out, config, &digest);
	if (r < 0)
		return r;
	char *text = export_manifest(layer, config);
	r = text == NULL ? no_memory(out) : layout_end(out, text, NULL);
	free(text);
	return r;
}

static int docker_put(struct out *out, const struct export_layer *layer, int layer_fd, const char *config)
{
	char digest[IMAGE_DIGEST_TEXT], config_path[PATH_BYTES], layer_path[PATH_BYTES + 16];
	struct image_digest config_digest;
	const char *name = out->options->name;

	sha256(config, strlen(config), config_digest.bytes);
	image_digest_format(&config_digest, digest);
	snprintf(config_path, sizeof(config_path), "%s.json", digest + strlen("sha256:"));
	image_digest_format(&layer->diff_id, digest);
	snprintf(layer_path, sizeof(layer_path), "%s/layer.tar", digest + strlen("sha256:"));
	json_t *list = json_pack("[{s:s,s:o,s:[s]}]", "Config", config_path, "RepoTags",
				 name[0] != '\0' ? json_pack("[s]", name) : json_null(), "Layers", layer_path);
	char *text = list != NULL ? image_json_dump(list) : NULL;
	json_decref(list);
	int r = text == NULL ? no_memory(out) : member_text(out, config_path, config);
	if (r == 0) {
		snprintf(layer_path, sizeof(layer_path), "%s/", digest + strlen("sha256:"));
		r = member_start(out, layer_path, S_IFDIR | 0755, 0);
		strcat(layer_path, "layer.tar");
	}
	if (r == 0)
		r = member_file(out, layer_path, layer_fd, layer->bytes);
	if (r == 0)
		r = member_text(out, "manifest.json", text);
	free(text);
	return r;
}

static int export_ordinary(struct out *out)
{
	const struct export_options *options = out->options;
	struct store_draft spool;
	struct export_layer layer;
	char *config = NULL;

	int r = store_draft_open(out->store, &spool, out->err);
	if (r < 0)
		return r;
	r = export_layer(out->image, spool.fd, options->compress, &layer, options->progress, out->err);
	progress_set(options->progress, 0, "layer", "done", 0, 0);
	if (r == 0)
		r = export_config(out->image, &layer, &config, out->err);
	if (r == 0)
		r = options->format == EXPORT_OCI ? oci_put(out, &layer, spool.fd, config)
						  : docker_put(out, &layer, spool.fd, config);
	free(config);
	store_draft_discard(out->store, &spool);
	return r;
}

int image_export(struct store *store, struct image_file *image, const struct export_options *options, int fd,
		 struct err *err)
{
	struct out out = {.store = store, .image = image, .options = options, .fd = fd, .err = err};
	int r;

	if (options->format == EXPORT_DOCKER && options->compress)
		return err_set(err, -EINVAL, "docker's archives have no compressed layers!");
	out.archive = archive_write_new();
	if (out.archive == NULL)
		return no_memory(&out);
	archive_write_set_format_pax_restricted(out.archive); /* ustar, as long as nothing has more than 8 GiB */
	archive_write_set_bytes_per_block(out.archive, 64u << 10);
	archive_write_set_bytes_in_last_block(out.archive, 1);
	if (archive_write_open(out.archive, &out, NULL, on_write, NULL) != ARCHIVE_OK)
		r = archive_failed(&out);
	else
		r = options->format == EXPORT_LAMPO ? export_own(&out) : export_ordinary(&out);
	if (r == 0 && archive_write_close(out.archive) != ARCHIVE_OK)
		r = archive_failed(&out);
	out.discard = r < 0; /* the end of what has failed */
	archive_write_free(out.archive);
	progress_set(options->progress, 1, "archive", "done", 0, 0);
	return r;
}
