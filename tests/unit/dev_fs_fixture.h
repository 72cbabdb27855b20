/* SPDX-License-Identifier: Apache-2.0 */
/* The directory and the export with which the tests of the file-system device start. */
#ifndef LAMPO_TESTS_UNIT_DEV_FS_FIXTURE_H
#define LAMPO_TESTS_UNIT_DEV_FS_FIXTURE_H

#include "tests/unit/mock_fuse.h"

static inline int setup_export(void **state, bool read_only)
{
	struct mock_fuse *f = calloc(1, sizeof(*f));
	mock_fuse_directory(f);
	mock_mkdir(f, "dir", 0755);
	mock_mkdir(f, "dir/sub", 0755);
	mock_file(f, "file", "hello world", 0644);
	mock_file(f, "dir/sub/deep", "deep text", 0644);
	mock_symlink(f, "link", "dir/sub");
	mock_symlink(f, "absolute", "/etc/passwd");
	assert_int_equal(mock_fuse_start(f, (struct fs_export){.read_only = read_only}), 0);
	*state = f;
	return 0;
}
static inline int setup_ro(void **state) { return setup_export(state, true); }
static inline int setup_rw(void **state) { return setup_export(state, false); }

static inline int teardown(void **state)
{
	mock_fuse_fini(*state);
	free(*state);
	return 0;
}

#define RO(name) cmocka_unit_test_setup_teardown(name, setup_ro, teardown)
#define RW(name) cmocka_unit_test_setup_teardown(name, setup_rw, teardown)

#endif
