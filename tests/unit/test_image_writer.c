/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: what other programs think of its images, that equal input gives equal bytes, and its limits. */
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
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "tests/unit/image_sample.h"

/* An image being made. */
struct making {
	struct image_writer *writer;
	struct tree *tree;
	struct image_digest digest;
	struct err err;
	int fd;
};

static void making_start_with(struct making *m, const struct image_limits *limits)
{
	m->fd = sample_file();
	m->tree = tree_new();
	assert_int_equal(image_writer_open(&m->writer, m->fd, limits, &m->err), 0);
}

static void making_start(struct making *m)
{
	const struct image_limits limits = IMAGE_LIMITS_DEFAULT;

	making_start_with(m, &limits);
}

static void making_abandon(struct making *m)
{
	image_writer_close(m->writer);
	tree_free(m->tree);
	close(m->fd);
}

static int making_finish(struct making *m)
{
	int r = image_writer_finish(m->writer, m->tree, SAMPLE_CONFIG, &m->digest, &m->err);

	image_writer_close(m->writer);
	tree_free(m->tree);
	m->writer = NULL;
	m->tree = NULL;
	return r;
}

static void expect_fsck_finds_nothing(int fd)
{
	int status = sample_fsck(fd);

	if (status < 0)
		print_message("fsck.erofs is not installed\n");
	else
		assert_int_equal(status, 0);
}

static void test_fsck_finds_nothing(void **state)
{
	struct image_digest digest;
	int fd = sample_image(&digest);
	struct making empty;
	(void)state;

	expect_fsck_finds_nothing(fd);
	close(fd);
	making_start(&empty);
	assert_int_equal(making_finish(&empty), 0);
	expect_fsck_finds_nothing(empty.fd);
	close(empty.fd);
}

/* The tree is dm-verity's. */
static void test_veritysetup_agrees(void **state)
{
	struct image_digest digest;
	struct image_footer footer;
	char command[512], root[2 * SHA256_BYTES + 1];
	int fd = sample_image(&digest);
	off_t end = lseek(fd, 0, SEEK_END);
	(void)state;

	if (access("/usr/sbin/veritysetup", X_OK) != 0) {
		close(fd);
		print_message("skipped: veritysetup is not installed\n");
		skip();
	}
	assert_int_equal(pread(fd, &footer, sizeof(footer), end - (off_t)sizeof(footer)), sizeof(footer));
	for (unsigned i = 0; i < SHA256_BYTES; i++)
		snprintf(root + 2 * i, 3, "%02x", footer.root[i]);
	for (unsigned good = 0; good < 2; good++) {
		root[0] = "0123456789abcdef"[good ? footer.root[0] >> 4 : ~footer.root[0] >> 4 & 15];
		snprintf(
		    command, sizeof(command),
		    "/usr/sbin/veritysetup verify --no-superblock --format=1 --hash=sha256 --salt=- "
		    "--data-block-size=4096 "
		    "--hash-block-size=4096 --data-blocks=%llu --hash-offset=%llu /proc/%d/fd/%d /proc/%d/fd/%d %s >&2",
		    (unsigned long long)footer.data_blocks, (unsigned long long)footer.data_blocks * VERITY_BLOCK,
		    getpid(), fd, getpid(), fd, root);
		int status = system(command);
		assert_true(WIFEXITED(status));
		if (good)
			assert_int_equal(WEXITSTATUS(status), 0);
		else
			assert_int_not_equal(WEXITSTATUS(status), 0);
	}
	close(fd);
}

static void test_equal_input_gives_equal_images(void **state)
{
	struct image_digest a, b;
	(void)state;

	close(sample_image(&a));
	close(sample_image(&b));
	assert_memory_equal(&a, &b, sizeof(a));
}

static void test_the_order_of_names_does_not_matter(void **state)
{
	struct making a, b;
	(void)state;

	making_start(&a);
	making_start(&b);
	for (unsigned i = 0; i < 50; i++) {
		char name[8];
		snprintf(name, sizeof(name), "d/%u", i);
		sample_add(a.tree, name, S_IFREG);
		snprintf(name, sizeof(name), "d/%u", 49 - i);
		sample_add(b.tree, name, S_IFREG);
	}
	assert_int_equal(making_finish(&a), 0);
	assert_int_equal(making_finish(&b), 0);
	assert_memory_equal(&a.digest, &b.digest, sizeof(a.digest));
	close(a.fd);
	close(b.fd);
}

/* Files that an upper layer replaces or removes leave no trace. */
static void test_replaced_contents_are_squeezed_out(void **state)
{
	static uint8_t data[3][400000];
	struct making plain, layered;
	struct tree_node *node;
	(void)state;

	for (unsigned i = 0; i < 3; i++)
		sample_fill(data[i], sizeof(data[i]), i + 10);
	making_start(&plain);
	sample_add_file(plain.tree, plain.writer, "a", data[0], 300000);
	sample_add_file(plain.tree, plain.writer, "b", data[1], 400000);
	sample_add_file(plain.tree, plain.writer, "c", data[2], 5000);
	assert_int_equal(making_finish(&plain), 0);

	making_start(&layered);
	sample_add_file(layered.tree, layered.writer, "a", data[0], 300000);
	struct tree_inode *b = sample_add_file(layered.tree, layered.writer, "b", data[2], 200000);
	sample_add_file(layered.tree, layered.writer, "gone", data[2], 100000);
	assert_int_equal(image_writer_start(layered.writer, &layered.err), 0);
	assert_int_equal(image_writer_write(layered.writer, data[1], 400000, &layered.err), 0);
	assert_int_equal(image_writer_end(layered.writer, &b->data, &layered.err), 0);
	sample_add_file(layered.tree, layered.writer, "c", data[2], 5000);
	assert_int_equal(tree_walk(layered.tree, "gone", false, &node), 0);
	tree_remove(layered.tree, node);
	assert_int_equal(making_finish(&layered), 0);

	assert_memory_equal(&plain.digest, &layered.digest, sizeof(plain.digest));
	expect_fsck_finds_nothing(layered.fd);
	assert_int_equal(lseek(plain.fd, 0, SEEK_END), lseek(layered.fd, 0, SEEK_END));
	close(plain.fd);
	close(layered.fd);
}

static void test_pieces_do_not_matter(void **state)
{
	static uint8_t data[700000];
	static const size_t steps[] = {1000000, 4096, 65536, 999, 65537};
	struct image_digest first;
	(void)state;

	sample_fill(data, sizeof(data), 5);
	memset(data + 131072, 0, 200000);
	for (unsigned i = 0; i < countof(steps); i++) {
		struct making m;
		making_start(&m);
		struct tree_inode *inode = sample_add(m.tree, "file", S_IFREG)->inode;
		assert_int_equal(image_writer_start(m.writer, &m.err), 0);
		for (size_t at = 0; at < sizeof(data); at += steps[i])
			assert_int_equal(
			    image_writer_write(m.writer, data + at, min_u64(steps[i], sizeof(data) - at), &m.err), 0);
		assert_int_equal(image_writer_end(m.writer, &inode->data, &m.err), 0);
		assert_int_equal(inode->data.extent_count, 3);
		assert_int_equal(inode->data.extents[1].block, 0);
		assert_int_equal(inode->data.extents[1].blocks, 3 * 16);
		assert_int_equal(making_finish(&m), 0);
		if (i == 0)
			first = m.digest;
		assert_memory_equal(&first, &m.digest, sizeof(first));
		close(m.fd);
	}
}

static uint64_t blocks_of(const struct tree_data *data)
{
	uint64_t blocks = 0;

	for (unsigned i = 0; i < data->extent_count; i++)
		blocks += data->extents[i].block ? data->extents[i].blocks : 0;
	return blocks;
}

static void test_what_becomes_a_hole(void **state)
{
	static const struct {
		uint64_t skip, zeros, skip2, blocks;
		bool hole;
	} cases[] = {
	    {0, 5000, 0, 2, false},       {0, 65535, 0, 16, false},    {0, 65536, 0, 0, true},
	    {65536, 0, 0, 0, true},       {65535, 0, 0, 16, false},    {65535, 1, 0, 0, true},
	    {200000, 100000, 1, 0, true}, {1ull << 40, 0, 0, 0, true},
	};
	static const uint8_t zeros[100000];
	(void)state;

	for (unsigned i = 0; i < countof(cases); i++) {
		struct making m;
		making_start(&m);
		struct tree_inode *inode = sample_add(m.tree, "file", S_IFREG)->inode;
		assert_int_equal(image_writer_start(m.writer, &m.err), 0);
		assert_int_equal(image_writer_skip(m.writer, cases[i].skip, &m.err), 0);
		assert_int_equal(image_writer_write(m.writer, zeros, cases[i].zeros, &m.err), 0);
		assert_int_equal(image_writer_skip(m.writer, cases[i].skip2, &m.err), 0);
		assert_int_equal(image_writer_end(m.writer, &inode->data, &m.err), 0);
		assert_int_equal(inode->data.bytes, cases[i].skip + cases[i].zeros + cases[i].skip2);
		assert_int_equal(blocks_of(&inode->data), cases[i].blocks);
		assert_int_equal(inode->data.extents[0].block == 0, cases[i].hole);
		assert_int_equal(making_finish(&m), 0);
		expect_fsck_finds_nothing(m.fd);
		/* A file of a TiB is a small image. */
		assert_true(lseek(m.fd, 0, SEEK_END) < 200000);
		close(m.fd);
	}
}

static void test_inline_data_is_limited(void **state)
{
	uint8_t data[2048];
	struct making m;
	char name[32];
	unsigned inlined = 0, i;
	(void)state;

	sample_fill(data, sizeof(data), 1);
	making_start(&m);
	for (i = 0; i < 32768 + 5; i++) {
		snprintf(name, sizeof(name), "%u/%u", i / 1000, i % 1000);
		inlined += sample_add_file(m.tree, m.writer, name, data, sizeof(data))->data.in_memory;
	}
	assert_int_equal(inlined, 32768);
	making_abandon(&m);
}

static void test_large_directory(void **state)
{
	struct making m;
	struct image_file image;
	struct erofs_inode inode;
	char name[64];
	(void)state;

	making_start(&m);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "dir/file-number-%u", i);
		sample_add(m.tree, name, S_IFREG | 0600)->inode->uid = i;
	}
	assert_int_equal(making_finish(&m), 0);
	expect_fsck_finds_nothing(m.fd);
	assert_int_equal(image_file_open(&image, m.fd, &m.digest, &m.err), 0);
	for (unsigned i = 0; i < 100000; i += 997) {
		snprintf(name, sizeof(name), "dir/file-number-%u", i);
		assert_int_equal(erofs_walk(&image.erofs, name, false, &inode), 0);
		assert_int_equal(inode.uid, i);
	}
	image_file_close(&image);
}

/* ---- limits and errors ---- */

static void test_a_file_larger_than_allowed_is_refused(void **state)
{
	const struct image_limits limits = {.image_bytes = 1u << 20, .file_bytes = 10000};
	static uint8_t data[10001];
	struct making m;
	(void)state;

	making_start_with(&m, &limits);
	assert_int_equal(image_writer_start(m.writer, &m.err), 0);
	assert_int_equal(image_writer_write(m.writer, data, 10001, &m.err), -EFBIG);
	assert_int_equal(image_writer_write(m.writer, data, 10000, &m.err), 0);
	assert_int_equal(image_writer_skip(m.writer, 1, &m.err), -EFBIG);
	assert_int_equal(image_writer_skip(m.writer, UINT64_MAX, &m.err), -EFBIG);
	making_abandon(&m);
}

static void test_an_image_larger_than_allowed_is_refused(void **state)
{
	const struct image_limits limits = {.image_bytes = 3u << 20, .file_bytes = 1u << 30};
	static uint8_t data[65536];
	struct making m;
	int r = 0;
	unsigned i;
	(void)state;

	sample_fill(data, sizeof(data), 1);
	making_start_with(&m, &limits);
	assert_int_equal(image_writer_start(m.writer, &m.err), 0);
	for (i = 0; r == 0 && i < 1000; i++)
		r = image_writer_write(m.writer, data, sizeof(data), &m.err);
	assert_int_equal(r, -EFBIG);
	assert_true(i < 70);
	making_abandon(&m);
	/* The list of a sparse file's chunks, and inodes, count as well. */
	making_start_with(&m, &limits);
	for (i = 0; i < 50000; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%u", i);
		sample_add(m.tree, name, S_IFREG);
	}
	assert_int_equal(making_finish(&m), -EFBIG);
	assert_true(lseek(m.fd, 0, SEEK_END) <= 1 << 20);
	close(m.fd);
}

static void test_a_full_disk_is_reported(void **state)
{
	const struct image_limits limits = IMAGE_LIMITS_DEFAULT;
	static uint8_t data[65536];
	struct image_writer *writer;
	struct image_digest digest;
	struct tree *tree = tree_new();
	struct err err;
	int full = open("/dev/full", O_RDWR | O_CLOEXEC), r = 0;
	(void)state;

	sample_fill(data, sizeof(data), 1);
	assert_int_equal(image_writer_open(&writer, full, &limits, &err), 0);
	assert_int_equal(image_writer_start(writer, &err), 0);
	for (unsigned i = 0; r == 0 && i < 1000; i++)
		r = image_writer_write(writer, data, sizeof(data), &err);
	assert_int_equal(r, -ENOSPC);
	assert_non_null(strstr(err.text, "cannot write the image file"));
	image_writer_close(writer);
	assert_int_equal(image_writer_open(&writer, full, &limits, &err), 0);
	assert_int_equal(image_writer_finish(writer, tree, SAMPLE_CONFIG, &digest, &err), -ENOSPC);
	image_writer_close(writer);
	tree_free(tree);
	close(full);
}

static void test_calls_out_of_order_are_refused(void **state)
{
	struct tree_data data = {0};
	struct making m;
	(void)state;

	making_start(&m);
	assert_int_equal(image_writer_write(m.writer, "x", 1, &m.err), -EINVAL);
	assert_int_equal(image_writer_skip(m.writer, 1, &m.err), -EINVAL);
	assert_int_equal(image_writer_end(m.writer, &data, &m.err), -EINVAL);
	assert_int_equal(image_writer_start(m.writer, &m.err), 0);
	assert_int_equal(image_writer_start(m.writer, &m.err), -EINVAL);
	assert_int_equal(image_writer_finish(m.writer, m.tree, "{}", &m.digest, &m.err), -EINVAL);
	making_abandon(&m);
}

static void finish_refused(struct making *m, int code, const char *text)
{
	assert_int_equal(making_finish(m), code);
	assert_non_null(strstr(m->err.text, text));
	close(m->fd);
}

static void test_inodes_that_the_format_has_not_are_refused(void **state)
{
	struct making m;
	(void)state;

	making_start(&m);
	sample_add(m.tree, "dev/large", S_IFCHR)->inode->rdev_major = 4096;
	finish_refused(&m, -EOVERFLOW, "/dev/large");
	making_start(&m);
	sample_add(m.tree, "dev/large", S_IFBLK)->inode->rdev_minor = 1 << 20;
	finish_refused(&m, -EOVERFLOW, "/dev/large");
	making_start(&m);
	sample_add(m.tree, "link", S_IFLNK);
	finish_refused(&m, -EINVAL, "/link");
	making_start(&m);
	sample_add(m.tree, "odd", 0644);
	finish_refused(&m, -EINVAL, "/odd");
	making_start(&m);
	tree_root(m.tree)->inode->mtime_ns = 1000000000;
	finish_refused(&m, -EINVAL, "'/'");
}

static void test_configurations_of_a_wrong_size_are_refused(void **state)
{
	struct making m;
	char *large = malloc(IMAGE_CONFIG_MAX + 2);
	(void)state;

	memset(large, ' ', IMAGE_CONFIG_MAX + 1);
	large[IMAGE_CONFIG_MAX + 1] = '\0';
	making_start(&m);
	assert_int_equal(image_writer_finish(m.writer, m.tree, "", &m.digest, &m.err), -EINVAL);
	assert_int_equal(image_writer_finish(m.writer, m.tree, large, &m.digest, &m.err), -EINVAL);
	large[IMAGE_CONFIG_MAX] = '\0';
	assert_int_equal(image_writer_finish(m.writer, m.tree, large, &m.digest, &m.err), 0);
	making_abandon(&m);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fsck_finds_nothing),
	    cmocka_unit_test(test_veritysetup_agrees),
	    cmocka_unit_test(test_equal_input_gives_equal_images),
	    cmocka_unit_test(test_the_order_of_names_does_not_matter),
	    cmocka_unit_test(test_replaced_contents_are_squeezed_out),
	    cmocka_unit_test(test_pieces_do_not_matter),
	    cmocka_unit_test(test_what_becomes_a_hole),
	    cmocka_unit_test(test_inline_data_is_limited),
	    cmocka_unit_test(test_large_directory),
	    cmocka_unit_test(test_a_file_larger_than_allowed_is_refused),
	    cmocka_unit_test(test_an_image_larger_than_allowed_is_refused),
	    cmocka_unit_test(test_a_full_disk_is_reported),
	    cmocka_unit_test(test_calls_out_of_order_are_refused),
	    cmocka_unit_test(test_inodes_that_the_format_has_not_are_refused),
	    cmocka_unit_test(test_configurations_of_a_wrong_size_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
