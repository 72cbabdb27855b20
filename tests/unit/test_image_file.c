/* SPDX-License-Identifier: Apache-2.0 */
/* Image files: digests, footers, and that no changed byte goes unnoticed. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "tests/unit/erofs_exercise.h"
#include "tests/unit/image_sample.h"

static void test_digests_as_text(void **state)
{
	struct image_digest digest, again;
	char text[IMAGE_DIGEST_TEXT];
	(void)state;

	for (unsigned i = 0; i < SHA256_BYTES; i++)
		digest.bytes[i] = (uint8_t)(i * 9);
	image_digest_format(&digest, text);
	assert_string_equal(text, "sha256:0009121b242d363f48515a636c757e879099a2abb4bdc6cfd8e1eaf3fc050e17");
	assert_int_equal(image_digest_parse(&again, text), 0);
	assert_memory_equal(&digest, &again, sizeof(digest));
	assert_int_equal(image_digest_parse(&again, ""), -EINVAL);
	assert_int_equal(image_digest_parse(&again, text + 7), -EINVAL);
	text[70] = 'F';
	assert_int_equal(image_digest_parse(&again, text), -EINVAL);
	text[70] = 'g';
	assert_int_equal(image_digest_parse(&again, text), -EINVAL);
	text[70] = '\0';
	assert_int_equal(image_digest_parse(&again, text), -EINVAL);
	assert_int_equal(
	    image_digest_parse(&again, "sha512:0009121b242d363f48515a636c757e879099a2abb4bdc6cfd8e1eaf3fc050e17"),
	    -EINVAL);
	assert_int_equal(
	    image_digest_parse(&again, "sha256:0009121b242d363f48515a636c757e879099a2abb4bdc6cfd8e1eaf3fc050e1700"),
	    -EINVAL);
}

static void test_a_good_image_opens(void **state)
{
	struct image_digest digest, other = {{1}};
	struct image_file image;
	struct err err;
	char *json;
	int fd = sample_image(&digest);
	(void)state;

	assert_int_equal(image_file_open(&image, dup(fd), &other, &err), -EUCLEAN);
	assert_non_null(strstr(err.text, "sha256:"));
	assert_int_equal(image_file_open(&image, fd, &digest, &err), 0);
	assert_memory_equal(&image.digest, &digest, sizeof(digest));
	assert_int_equal(image_file_config(&image, &json, &err), 0);
	assert_string_equal(json, SAMPLE_CONFIG);
	free(json);
	assert_int_equal(image_file_verify(&image, NULL, NULL, &err), 0);
	image_file_close(&image);
}

static void progress(void *context, uint64_t done, uint64_t total)
{
	uint64_t *last = context;

	assert_true(done > *last && done <= total);
	*last = done;
}

static void test_verifying_tells_its_progress(void **state)
{
	struct image_digest digest;
	struct image_file image;
	uint64_t last = 0;
	struct err err;
	(void)state;

	assert_int_equal(image_file_open(&image, sample_image(&digest), NULL, &err), 0);
	assert_int_equal(image_file_verify(&image, progress, &last, &err), 0);
	assert_int_equal(last, image.footer.data_blocks * VERITY_BLOCK);
	image_file_close(&image);
}

/* A few blocks. */
static int small_image(struct image_digest *digest)
{
	const struct image_limits limits = IMAGE_LIMITS_DEFAULT;
	struct tree *tree = tree_new();
	struct image_writer *writer;
	struct err err;
	uint8_t data[5000];
	int fd = sample_file();

	sample_fill(data, sizeof(data), 1);
	assert_int_equal(image_writer_open(&writer, fd, &limits, &err), 0);
	assert_int_equal(tree_set_xattr(sample_add_file(tree, writer, "etc/small", data, 100), "user.x", data, 50), 0);
	sample_add_file(tree, writer, "usr/bin/program", data, sizeof(data));
	assert_int_equal(tree_set_target(sample_add(tree, "bin", S_IFLNK | 0777)->inode, "usr/bin", 7), 0);
	assert_int_equal(image_writer_finish(writer, tree, SAMPLE_CONFIG, digest, &err), 0);
	image_writer_close(writer);
	tree_free(tree);
	return fd;
}

/* The reader survives, with its protection and without. */
static void expect_no_harm(const struct image_file *image)
{
	struct erofs fs;

	assert_true(erofs_exercise(&image->erofs, 20) >= 0);
	if (erofs_open(&fs, image->map, image->footer.erofs_bytes, NULL, NULL) == 0)
		assert_true(erofs_exercise(&fs, 20) >= 0);
}

/* Whatever byte changes, somebody notices. */
static void test_every_changed_byte_is_noticed(void **state)
{
	struct image_digest digest;
	int fd = small_image(&digest);
	off_t bytes = lseek(fd, 0, SEEK_END);
	(void)state;

	for (off_t at = 0; at < bytes; at++) {
		struct image_file image;
		struct err err;
		uint8_t byte, changed;
		char *json;

		assert_int_equal(pread(fd, &byte, 1, at), 1);
		changed = byte ^ (uint8_t)(1 << at % 8);
		assert_int_equal(pwrite(fd, &changed, 1, at), 1);
		/* Without the digest, what is in the footer may be anything that fits: then the tree or the digest are
		 * others. */
		int r = image_file_open(&image, dup(fd), NULL, &err);
		if (r == 0) {
			bool other = memcmp(&image.digest, &digest, sizeof(digest)) != 0;
			assert_true(other || image_file_verify(&image, NULL, NULL, &err) == -EIO);
			expect_no_harm(&image);
			if (!other && image_file_config(&image, &json, &err) == 0) {
				assert_string_equal(json, SAMPLE_CONFIG);
				free(json);
			}
			image_file_close(&image);
		} else {
			assert_true(r == -EUCLEAN || r == -EIO);
		}
		/* With it, opening or verifying fails. */
		r = image_file_open(&image, dup(fd), &digest, &err);
		if (r == 0) {
			assert_int_equal(image_file_verify(&image, NULL, NULL, &err), -EIO);
			assert_non_null(strstr(err.text, "damaged"));
			image_file_close(&image);
		}
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
}

static void test_truncated_and_longer_files_are_refused(void **state)
{
	struct image_digest digest;
	int fd = small_image(&digest);
	off_t bytes = lseek(fd, 0, SEEK_END);
	struct image_file image;
	struct err err;
	(void)state;

	assert_int_equal(ftruncate(fd, bytes + 4096), 0);
	assert_int_equal(image_file_open(&image, dup(fd), NULL, &err), -EUCLEAN);
	for (off_t size = bytes - 1; size >= 0; size -= size % 4096 == 0 ? 1 : 819) {
		size = size < 0 ? 0 : size;
		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(image_file_open(&image, dup(fd), NULL, &err), -EUCLEAN);
	}
	close(fd);
}

static void test_footers_that_are_refused(void **state)
{
	struct image_digest digest;
	int fd = small_image(&digest);
	uint64_t bytes = (uint64_t)lseek(fd, 0, SEEK_END);
	struct image_footer footer, good;
	struct err err;
	(void)state;

	assert_int_equal(pread(fd, &good, sizeof(good), (off_t)(bytes - sizeof(good))), sizeof(good));
	close(fd);
	assert_int_equal(image_footer_check(&good, bytes, &digest, &err), 0);
	assert_int_equal(image_footer_check(&good, bytes + 4096, &digest, &err), -EUCLEAN);
	assert_int_equal(image_footer_check(&good, UINT64_MAX - 4095, &digest, &err), -EUCLEAN);
#define REFUSED(change)                                                                                                \
	do {                                                                                                           \
		footer = good;                                                                                         \
		footer.change;                                                                                         \
		assert_int_equal(image_footer_check(&footer, bytes, &digest, &err), -EUCLEAN);                         \
	} while (0)
	REFUSED(magic ^= 1);
	REFUSED(version = 2);
	REFUSED(footer_bytes = 8192);
	REFUSED(erofs_bytes = 0);
	REFUSED(erofs_bytes += 1);
	REFUSED(erofs_bytes = UINT64_MAX & ~4095ull);
	REFUSED(config_bytes = 0);
	REFUSED(config_bytes = IMAGE_CONFIG_MAX + 1);
	REFUSED(config_bytes = UINT64_MAX);
	REFUSED(data_blocks += 1);
	REFUSED(data_blocks = UINT64_MAX);
	REFUSED(tree_blocks += 1);
	REFUSED(tree_blocks = 0);
	REFUSED(reserved[0] = 1);
	REFUSED(reserved[sizeof(good.reserved) - 1] = 1);
}

static void test_other_files_are_no_images(void **state)
{
	struct image_file image;
	struct err err;
	(void)state;

	assert_int_equal(image_file_open(&image, open("/dev/zero", O_RDONLY | O_CLOEXEC), NULL, &err), -EUCLEAN);
	assert_int_equal(image_file_open(&image, open("/", O_RDONLY | O_CLOEXEC), NULL, &err), -EUCLEAN);
	int fd = sample_file();
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(image_file_open(&image, fd, NULL, &err), -EUCLEAN);
	assert_non_null(strstr(err.text, "no Lampo image"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_digests_as_text),
	    cmocka_unit_test(test_a_good_image_opens),
	    cmocka_unit_test(test_verifying_tells_its_progress),
	    cmocka_unit_test(test_every_changed_byte_is_noticed),
	    cmocka_unit_test(test_truncated_and_longer_files_are_refused),
	    cmocka_unit_test(test_footers_that_are_refused),
	    cmocka_unit_test(test_other_files_are_no_images),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
