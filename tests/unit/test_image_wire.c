/* SPDX-License-Identifier: Apache-2.0 */
/* Images on the wire: what arrives is what was sent, byte by byte, or refused. */
#include "image/wire.h"
#include "tests/unit/image_layer_fixture.h"

/* A small image with a file that does not compress and one that does; open in f. */
static void image_make(struct fixture *f)
{
	struct tar t = {0};
	uint8_t noise[9000];
	uint32_t seed = 7;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
	fixture_open(f);
	struct tar_header h = tar_header("noise", '0', sizeof(noise));
	tar_put_header(&t, &h);
	tar_put_data(&t, noise, sizeof(noise));
	tar_add(&t, "dir/text", '0', "text text text text text text");
	tar_end(&t);
	assert_int_equal(fixture_apply(f, &t), 0);
	fixture_finish(f);
}

/* The wire form; malloc'd. */
static uint8_t *encode(struct fixture *f, bool compress, struct wire_blob *blob)
{
	int fd = memfd_create("wire", MFD_CLOEXEC);

	assert_int_equal(wire_encode(&f->image, compress, fd, blob, &f->err), 0);
	uint8_t *bytes = malloc(blob->bytes + 64);
	assert_int_equal(pread(compress ? fd : f->image.fd, bytes, blob->bytes + 64, 0), blob->bytes);
	close(fd);
	return bytes;
}

static int decode(const uint8_t *bytes, size_t size, bool compressed, const char *blob_digest, uint64_t bytes_max,
		  const struct image_digest *expected, struct image_digest *digest, struct err *err)
{
	struct memory_source memory = {.data = bytes, .bytes = size, .step = 1000};
	struct layer_source source = {
	    .read = memory_read, .context = &memory, .name = "the image", .digest = blob_digest};
	int fd = memfd_create("draft", MFD_CLOEXEC);
	int r = wire_decode(&source, compressed, bytes_max, expected, fd, digest, err);

	close(fd);
	return r;
}

static void both_forms_come_back(void **state)
{
	struct fixture f;
	struct wire_blob blob, again;
	struct image_digest digest;
	char text[IMAGE_DIGEST_TEXT];
	(void)state;

	image_make(&f);
	for (unsigned compress = 0; compress < 2; compress++) {
		uint8_t *bytes = encode(&f, compress, &blob), *second = encode(&f, compress, &again);
		assert_int_equal(blob.bytes, again.bytes);
		assert_memory_equal(bytes, second, blob.bytes);
		digest_text(bytes, blob.bytes, text);
		assert_string_equal(blob.media_type, compress ? MEDIA_LAMPO_LAYER_ZSTD : MEDIA_LAMPO_LAYER);
		assert_int_equal(decode(bytes, blob.bytes, compress, text, 1 << 20, &f.image.digest, &digest, &f.err),
				 0);
		assert_memory_equal(&digest, &f.image.digest, sizeof(digest));
		assert_int_equal(decode(bytes, blob.bytes, compress, NULL, 1 << 20, NULL, &digest, &f.err), 0);
		/* Not the image or the blob that was asked for. */
		digest.bytes[0] ^= 1;
		assert_true(decode(bytes, blob.bytes, compress, NULL, 1 << 20, &digest, &digest, &f.err) < 0);
		text[20] = text[20] == '0' ? '1' : '0';
		assert_int_equal(decode(bytes, blob.bytes, compress, text, 1 << 20, NULL, &digest, &f.err), -EBADMSG);
		/* Larger than allowed; the wrong form. */
		assert_int_equal(decode(bytes, blob.bytes, compress, NULL, 8192, NULL, &digest, &f.err), -EFBIG);
		assert_true(decode(bytes, blob.bytes, !compress, NULL, 1 << 20, NULL, &digest, &f.err) < 0);
		free(bytes);
		free(second);
	}
	fixture_close(&f);
}

/* Every tenth byte in turn, without a blob's digest to help: the image's own tree and footer notice. */
static void every_flipped_bit_is_noticed(void **state)
{
	struct fixture f;
	struct wire_blob blob;
	struct image_digest digest;
	(void)state;

	image_make(&f);
	for (unsigned compress = 0; compress < 2; compress++) {
		uint8_t *bytes = encode(&f, compress, &blob);
		for (size_t at = 0; at < blob.bytes; at += 10) {
			bytes[at] ^= (uint8_t)(1 << at / 10 % 8);
			int r = decode(bytes, blob.bytes, compress, NULL, 1 << 20, &f.image.digest, &digest, &f.err);
			/* zstd has bits that mean nothing: then the same image must have come. */
			if (r == 0 && !compress)
				fail_msg("byte %zu: not noticed", at);
			assert_true(r == 0 || f.err.text[0] != '\0');
			bytes[at] ^= (uint8_t)(1 << at / 10 % 8);
		}
		free(bytes);
	}
	fixture_close(&f);
}

static void truncated_images_are_refused(void **state)
{
	struct fixture f;
	struct wire_blob blob;
	struct image_digest digest;
	(void)state;

	image_make(&f);
	for (unsigned compress = 0; compress < 2; compress++) {
		uint8_t *bytes = encode(&f, compress, &blob);
		for (size_t n = 0; n < blob.bytes; n += 997)
			assert_true(decode(bytes, n, compress, NULL, 1 << 20, NULL, &digest, &f.err) < 0);
		memset(bytes + blob.bytes, 0, 64);
		assert_true(decode(bytes, blob.bytes + 64, compress, NULL, 1 << 20, NULL, &digest, &f.err) < 0);
		free(bytes);
	}
	fixture_close(&f);
}

static void a_rotten_image_is_not_sent(void **state)
{
	struct fixture f;
	struct wire_blob blob;
	struct image_file rotten;
	uint8_t byte;
	(void)state;

	image_make(&f);
	assert_int_equal(pread(f.fd, &byte, 1, 5000), 1);
	byte ^= 1;
	assert_int_equal(pwrite(f.fd, &byte, 1, 5000), 1);
	assert_int_equal(image_file_open(&rotten, dup(f.fd), NULL, &f.err), 0);
	assert_true(wire_encode(&rotten, false, -1, &blob, &f.err) < 0);
	image_file_close(&rotten);
	fixture_close(&f);
}

static void the_manifest_says_which_image(void **state)
{
	struct fixture f;
	struct wire_blob blob;
	struct manifest m;
	const struct manifest_descriptor *layer;
	char text[IMAGE_DIGEST_TEXT];
	struct manifest_descriptor subject = {
	    .media_type = MEDIA_OCI_MANIFEST, .digest = MANIFEST_EMPTY_DIGEST, .bytes = 2};
	(void)state;

	image_make(&f);
	free(encode(&f, true, &blob));
	char *json = wire_manifest(&blob, &f.image.digest, &subject);
	assert_non_null(json);
	assert_int_equal(manifest_parse(&m, json, strlen(json), MEDIA_OCI_MANIFEST, "it", &f.err), 0);
	assert_true(manifest_is_lampo(&m, &layer));
	image_digest_format(&f.image.digest, text);
	assert_string_equal(manifest_annotation(layer, ANNOTATION_LAMPO_DIGEST), text);
	assert_string_equal(m.subject.digest, MANIFEST_EMPTY_DIGEST);
	assert_int_equal(layer->bytes, blob.bytes);
	manifest_free(&m);
	free(json);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_forms_come_back),          cmocka_unit_test(every_flipped_bit_is_noticed),
	    cmocka_unit_test(truncated_images_are_refused),  cmocka_unit_test(a_rotten_image_is_not_sent),
	    cmocka_unit_test(the_manifest_says_which_image),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
