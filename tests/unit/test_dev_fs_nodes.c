/* SPDX-License-Identifier: Apache-2.0 */
/* The file-system device: requests on nodes that were not opened (LAMPO_FH_NODE). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/dev_fs_fixture.h"

static int node_read(struct mock_fuse *f, uint64_t node, uint64_t offset, uint32_t bytes)
{
	struct fuse_read_in in = {.fh = LAMPO_FH_NODE, .offset = offset, .size = bytes};
	return mock_fuse_call(f, FUSE_READ, node, &in, sizeof(in));
}

static int node_write(struct mock_fuse *f, uint64_t node, uint64_t offset, const char *text)
{
	char buffer[200];
	struct fuse_write_in in = {.fh = LAMPO_FH_NODE, .offset = offset, .size = (uint32_t)strlen(text)};
	memcpy(buffer, &in, sizeof(in));
	memcpy(buffer + sizeof(in), text, in.size);
	return mock_fuse_call(f, FUSE_WRITE, node, buffer, (uint32_t)sizeof(in) + in.size);
}

static void assert_reads(struct mock_fuse *f, uint64_t node, const char *text)
{
	assert_int_equal(node_read(f, node, 0, 100), 0);
	assert_int_equal(f->reply_bytes, strlen(text));
	assert_memory_equal(mock_payload(f), text, strlen(text));
}

static void nodes_serve_data_without_an_open(void **state)
{
	struct mock_fuse *f = *state;
	uint64_t file = mock_node(f, "file"), dir = mock_node(f, "dir"), link_node = mock_node(f, "link");
	assert_reads(f, file, "hello world");
	assert_int_equal(node_write(f, file, 0, "HELLO"), 0);
	assert_reads(f, file, "HELLO world");
	assert_int_equal(node_read(f, dir, 0, 10), -EISDIR);
	assert_int_equal(node_write(f, dir, 0, "x"), -EISDIR);
	assert_int_equal(node_read(f, link_node, 0, 10), -ELOOP);
	assert_int_equal(node_read(f, 200, 0, 10), -ESTALE);
	struct fuse_read_in list = {.fh = LAMPO_FH_NODE, .size = 4096};
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(mock_fuse_call(f, FUSE_READDIR, dir, &list, sizeof(list)), 0);
		assert_int_equal(f->reply_bytes, 32 + 32 + 32);
	}
	assert_int_equal(mock_fuse_call(f, FUSE_READDIR, file, &list, sizeof(list)), -ENOTDIR);
	struct fuse_fallocate_in allocate = {.fh = LAMPO_FH_NODE, .offset = 0, .length = 100};
	assert_int_equal(mock_fuse_call(f, FUSE_FALLOCATE, file, &allocate, sizeof(allocate)), 0);
	struct fuse_lseek_in seek = {.fh = LAMPO_FH_NODE, .offset = 0, .whence = SEEK_DATA};
	assert_int_equal(mock_fuse_call(f, FUSE_LSEEK, file, &seek, sizeof(seek)), 0);
	struct fuse_fsync_in sync_in = {.fh = LAMPO_FH_NODE};
	assert_int_equal(mock_fuse_call(f, FUSE_FSYNC, file, &sync_in, sizeof(sync_in)), 0);
	struct fuse_setattr_in set = {.valid = FATTR_SIZE, .size = 5};
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, file, &set, sizeof(set)), 0);
	assert_reads(f, file, "HELLO");
	/* These need a real handle. */
	struct fuse_release_in release = {.fh = LAMPO_FH_NODE};
	assert_int_equal(mock_fuse_call(f, FUSE_RELEASE, file, &release, sizeof(release)), -EBADF);
}

static void a_new_file_can_be_written_whatever_its_mode(void **state)
{
	struct mock_fuse *f = *state;
	struct fuse_mknod_in in = {.mode = S_IFREG | 0400};
	assert_int_equal(mock_fuse_names(f, LAMPO_FUSE_WALK, 1, NULL, 0, "dir", NULL), 0);
	assert_int_equal(mock_fuse_names(f, FUSE_MKNOD, 1, &in, sizeof(in), "made", NULL), 0);
	uint64_t node = ((struct fuse_entry_out *)mock_payload(f))->nodeid;
	/* Root may open it again anyway: look at what is kept. */
	assert_int_equal(rename(mock_path(f, "made"), mock_path(f, "elsewhere")), 0);
	assert_int_equal(node_write(f, node, 0, "text"), 0);
	assert_string_equal(mock_content(f, "elsewhere"), "text");
}

static void an_unlinked_node_lives_until_it_is_forgotten(void **state)
{
	struct mock_fuse *f = *state;
	char name[32];
	assert_int_equal(mock_fuse_names(f, LAMPO_FUSE_WALK, 1, NULL, 0, "file", NULL), 0);
	uint64_t file = mock_node(f, "file");
	assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, 1, NULL, 0, "file", NULL), 0);
	/* Although many others are used meanwhile. */
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "other-%u", i);
		mock_file(f, name, name, 0644);
		assert_reads(f, mock_node(f, name), name);
	}
	assert_reads(f, file, "hello world");
	assert_int_equal(node_write(f, file, 11, "!"), 0);
	assert_reads(f, file, "hello world!");
	struct fuse_setattr_in set = {.valid = FATTR_SIZE | FATTR_MODE, .size = 5, .mode = 0600};
	assert_int_equal(mock_fuse_call(f, FUSE_SETATTR, file, &set, sizeof(set)), 0);
	assert_reads(f, file, "hello");
	mock_forget(f, file, 1);
	assert_reads(f, file, "hello"); /* two lookups */
	mock_forget(f, file, 1);
	assert_int_equal(node_read(f, file, 0, 1), -ESTALE);

	/* One that is replaced by a rename. */
	uint64_t victim = mock_node(f, "other-7");
	struct fuse_rename_in in = {.newdir = 1};
	assert_int_equal(mock_fuse_names(f, FUSE_RENAME, 1, &in, sizeof(in), "other-8", "other-7"), 0);
	assert_reads(f, victim, "other-7");
	assert_string_equal(mock_content(f, "other-7"), "other-8");
}

static void kept_descriptors_are_bounded(void **state)
{
	struct mock_fuse *f = *state;
	char name[32];
	int lowest = dup(0);
	close(lowest);
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "n-%u", i);
		mock_file(f, name, name, 0644);
		uint64_t node = mock_node(f, name);
		assert_int_not_equal(node, 0);
		assert_reads(f, node, name);
		assert_int_equal(node_write(f, node, 0, "x"), 0);
		if (i % 2)
			assert_int_equal(mock_fuse_names(f, FUSE_UNLINK, 1, NULL, 0, name, NULL), 0);
		if (i % 3 == 0)
			mock_forget(f, node, 1);
		if (i >= 200)
			mock_forget(f, node, 1);
	}
	int now = dup(0);
	close(now);
	assert_true(now - lowest < 200 + 128 + 256 + 8);
}

int main(void)
{
	umask(0);
	const struct CMUnitTest tests[] = {
	    RW(nodes_serve_data_without_an_open),
	    RW(a_new_file_can_be_written_whatever_its_mode),
	    RW(an_unlinked_node_lives_until_it_is_forgotten),
	    RW(kept_descriptors_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
