/* SPDX-License-Identifier: Apache-2.0 */
#include "image/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "image/stream.h"
#include "run/fd.h"

#define CHUNK_BYTES (1u << 20)
#define ZSTD_LEVEL 9

/* Where the encoded bytes go: hashed, counted, and written unless fd is -1. */
struct out {
	EVP_MD_CTX *hash;
	uint64_t bytes;
	int fd;
};

static int out_write(struct out *out, const void *data, size_t bytes, struct err *err)
{
	if (EVP_DigestUpdate(out->hash, data, bytes) != 1)
		return err_set(err, -ENOMEM, "cannot hash the image");
	out->bytes += bytes;
	int r = out->fd >= 0 ? fd_write_all(out->fd, data, bytes) : 0;
	return r < 0 ? err_set(err, r, "cannot write the compressed image") : 0;
}

/* Reads the image's bytes at `at`; all of them, or an error. */
static int image_read(const struct image_file *image, void *to, size_t bytes, uint64_t at, struct err *err)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = pread(image->fd, (char *)to + done, bytes - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, n < 0 ? -errno : -EIO, "cannot read the image file");
		done += (size_t)n;
	}
	return 0;
}

static int encode_plain(const struct image_file *image, struct out *out, uint8_t *chunk, struct err *err)
{
	int r = 0;

	for (uint64_t at = 0; r == 0 && at < image->bytes;) {
		size_t n = image->bytes - at < CHUNK_BYTES ? (size_t)(image->bytes - at) : CHUNK_BYTES;
		r = image_read(image, chunk, n, at, err);
		if (r == 0)
			r = out_write(out, chunk, n, err);
		at += n;
	}
	return r;
}

static int compress_chunk(ZSTD_CCtx *zstd, ZSTD_inBuffer *in, bool last, uint8_t *buffer, struct out *out,
			  struct err *err)
{
	size_t left;

	do {
		ZSTD_outBuffer to = {.dst = buffer, .size = CHUNK_BYTES};
		left = ZSTD_compressStream2(zstd, &to, in, last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return err_set(err, -ENOMEM, "cannot compress the image: %s!", ZSTD_getErrorName(left));
		int r = out_write(out, buffer, to.pos, err);
		if (r < 0)
			return r;
	} while (last ? left != 0 : in->pos < in->size);
	return 0;
}

static int encode_zstd(const struct image_file *image, struct out *out, uint8_t *chunk, struct err *err)
{
	uint8_t *buffer = malloc(CHUNK_BYTES);
	ZSTD_CCtx *zstd = ZSTD_createCCtx();
	int r = 0;

	if (buffer == NULL || zstd == NULL ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
	    ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(zstd, image->bytes)))
		r = err_set(err, -ENOMEM, "cannot compress the image");
	else /* A second thread where the library can; the output is the same with any number of them, but not with
		none. */
		(void)ZSTD_CCtx_setParameter(zstd, ZSTD_c_nbWorkers, 2);
	for (uint64_t at = 0; r == 0 && at < image->bytes;) {
		size_t n = image->bytes - at < CHUNK_BYTES ? (size_t)(image->bytes - at) : CHUNK_BYTES;
		ZSTD_inBuffer in = {.src = chunk, .size = n};
		r = image_read(image, chunk, n, at, err);
		at += n;
		if (r == 0)
			r = compress_chunk(zstd, &in, at == image->bytes, buffer, out, err);
	}
	ZSTD_freeCCtx(zstd);
	free(buffer);
	return r;
}

int wire_encode(struct image_file *image, bool compress, int fd, struct wire_blob *blob, struct err *err)
{
	struct out out = {.hash = EVP_MD_CTX_new(), .fd = compress ? fd : -1};
	uint8_t *chunk = malloc(CHUNK_BYTES);
	/* What is rotten here must not get a name elsewhere. */
	int r = image_file_verify(image, NULL, NULL, err);

	if (r == 0 && (chunk == NULL || out.hash == NULL || EVP_DigestInit_ex(out.hash, EVP_sha256(), NULL) != 1))
		r = err_set(err, -ENOMEM, "cannot read the image file");
	if (r == 0)
		r = compress ? encode_zstd(image, &out, chunk, err) : encode_plain(image, &out, chunk, err);
	if (r == 0 && EVP_DigestFinal_ex(out.hash, blob->digest.bytes, NULL) != 1)
		r = err_set(err, -ENOMEM, "cannot hash the image");
	blob->media_type = compress ? MEDIA_LAMPO_LAYER_ZSTD : MEDIA_LAMPO_LAYER;
	blob->bytes = out.bytes;
	EVP_MD_CTX_free(out.hash);
	free(chunk);
	return r;
}

static int copy(struct stream *stream, int fd, struct err *err)
{
	uint8_t *chunk = malloc(CHUNK_BYTES);
	int64_t n = 0;
	int r = chunk == NULL ? err_set(err, -ENOMEM, "cannot receive the image") : 0;

	while (r == 0 && (n = stream_read(stream, chunk, CHUNK_BYTES, err)) > 0) {
		r = fd_write_all(fd, chunk, (size_t)n);
		if (r < 0)
			err_set(err, r, "cannot write the image file");
	}
	free(chunk);
	return r < 0 ? r : (int)n;
}

int wire_decode(const struct layer_source *source, bool compressed, uint64_t bytes_max,
		const struct image_digest *expected, int fd, struct image_digest *digest, struct err *err)
{
	struct layer_limits limits = {.bytes = bytes_max, .ratio = LAYER_LIMITS_DEFAULT.ratio};
	struct image_file image;
	struct stream *stream;

	int r = stream_open(&stream, source, &limits, compressed ? STREAM_ZSTD : STREAM_PLAIN, err);
	if (r == 0)
		r = copy(stream, fd, err);
	if (r == 0) {
		stream_close(stream);
		stream = NULL;
		int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		r = own < 0 ? err_set(err, -errno, "cannot open the image file")
			    : image_file_open(&image, own, expected, err);
		if (r == 0) {
			r = image_file_verify(&image, NULL, NULL, err);
			*digest = image.digest;
			image_file_close(&image);
		}
	}
	if (stream != NULL)
		stream_close(stream);
	return r < 0 ? err_wrap(err, "%s", source->name) : 0;
}

char *wire_manifest(const struct wire_blob *blob, const struct image_digest *image,
		    const struct manifest_descriptor *subject)
{
	char blob_digest[IMAGE_DIGEST_TEXT], image_digest[IMAGE_DIGEST_TEXT];
	char *text = NULL;

	image_digest_format(&blob->digest, blob_digest);
	image_digest_format(image, image_digest);
	struct manifest_descriptor layer = {
	    .media_type = blob->media_type,
	    .digest = blob_digest,
	    .bytes = blob->bytes,
	    .annotations = json_pack("{s:s}", ANNOTATION_LAMPO_DIGEST, image_digest),
	};
	struct manifest manifest = {
	    .media_type = MEDIA_OCI_MANIFEST,
	    .artifact_type = MEDIA_LAMPO_IMAGE,
	    .config = {.media_type = MEDIA_OCI_EMPTY,
		       .digest = MANIFEST_EMPTY_DIGEST,
		       .bytes = sizeof(MANIFEST_EMPTY) - 1},
	    .layers = &layer,
	    .layer_count = 1,
	};
	if (subject != NULL)
		manifest.subject = *subject;
	if (layer.annotations != NULL)
		text = manifest_dump(&manifest);
	json_decref(layer.annotations);
	return text;
}
