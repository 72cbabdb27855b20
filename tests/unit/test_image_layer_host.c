/* SPDX-License-Identifier: Apache-2.0 */
/* The host's files in an image: all of them, as they are, and only those. */
#include <fcntl.h>
#include <sys/xattr.h>

#include "tests/unit/image_layer_fixture.h"

static char top[64];

static int make_top(void **state)
{
	(void)state;
	strcpy(top, "/tmp/lampo-host-XXXXXX");
	return mkdtemp(top) == NULL ? -1 : 0;
}

static int remove_top(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

static const char *in_top(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static void file_make(const char *name, const void *data, size_t bytes)
{
	int fd = open(in_top(name), O_CREAT | O_RDWR | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), bytes);
	close(fd);
}

static int add(struct fixture *f, const char *path, const char *target)
{
	int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = layer_add_host(f->tree, f->writer, fd, path, target, -1, -1, &f->err);

	close(fd);
	return r;
}

static void everything_is_taken_as_it_is(void **state)
{
	struct fixture f;
	struct stat st;
	static uint8_t large[300000];
	(void)state;

	memset(large, 'L', sizeof(large));
	assert_int_equal(mkdir(in_top("d"), 01750), 0);
	assert_int_equal(mkdir(in_top("d/sub"), 0700), 0);
	file_make("d/file", "text", 4);
	file_make("d/sub/large", large, sizeof(large));
	file_make("d/empty", "", 0);
	assert_int_equal(symlink("/etc/passwd", in_top("d/out")), 0);
	assert_int_equal(mkfifo(in_top("d/fifo"), 0600), 0);
	char first[512];
	strcpy(first, in_top("d/file"));
	assert_int_equal(link(first, in_top("d/sub/hard")), 0);
	bool xattrs = setxattr(first, "user.note", "a\0b", 3, 0) == 0;
	/* A hole of a megabyte, then data, then a hole. */
	int fd = open(in_top("d/sparse"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(pwrite(fd, "data", 4, 1 << 20), 4);
	assert_int_equal(ftruncate(fd, 3 << 20), 0);
	close(fd);
	fixture_open(&f);
	int r = add(&f, "d", "/deep/target");
	if (r != 0)
		fail_msg("%s", f.err.text);
	assert_int_equal(lstat(first, &st), 0);
	const struct tree_inode *i = find(&f, "deep/target/file")->inode;
	assert_int_equal(i->mode, st.st_mode);
	assert_int_equal(i->mtime, st.st_mtim.tv_sec);
	assert_int_equal(i->mtime_ns, st.st_mtim.tv_nsec);
	assert_int_equal(i->uid, st.st_uid);
	assert_ptr_equal(find(&f, "deep/target/sub/hard")->inode, i);
	if (xattrs) {
		assert_string_equal(i->xattrs->name, "user.note");
		assert_int_equal(i->xattrs->value_bytes, 3);
	}
	assert_int_equal(find(&f, "deep/target")->inode->mode, S_IFDIR | 01750);
	assert_string_equal(find(&f, "deep/target/out")->inode->target, "/etc/passwd");
	assert_true(S_ISFIFO(find(&f, "deep/target/fifo")->inode->mode));
	fixture_finish(&f);
	assert_text(&f, "/deep/target/file", "text");
	assert_text(&f, "/deep/target/empty", "");
	assert_contents(&f, "/deep/target/sub/large", large, sizeof(large));
	uint8_t *sparse = calloc(1, 3 << 20);
	memcpy(sparse + (1 << 20), "data", 4);
	assert_contents(&f, "/deep/target/sparse", sparse, 3 << 20);
	free(sparse);
	fixture_close(&f);
}

static void what_is_there_is_merged_or_replaced(void **state)
{
	struct fixture f;
	struct tar t = {0};
	(void)state;

	assert_int_equal(mkdir(in_top("m"), 0755), 0);
	assert_int_equal(mkdir(in_top("m/dir"), 0755), 0);
	file_make("m/dir/new", "new", 3);
	file_make("m/file", "new", 3);
	fixture_open(&f);
	tar_add(&t, "usr/m/dir/old", '0', "old");
	tar_add(&t, "usr/m/file", '5', NULL);
	tar_add(&t, "usr/m/file/x", '0', "old");
	tar_add(&t, "link", '2', "/usr");
	tar_end(&t);
	assert_int_equal(fixture_apply(&f, &t), 0);
	assert_int_equal(add(&f, "m", "link/m"), 0); /* the tree's link is followed, inside it */
	assert_int_equal(add(&f, "m/file", "link"), 0);
	fixture_finish(&f);
	assert_text(&f, "/usr/m/dir/old", "old");
	assert_text(&f, "/usr/m/dir/new", "new");
	assert_text(&f, "/usr/m/file", "new");
	assert_text(&f, "/link", "new"); /* the last component is replaced */
	fixture_close(&f);
}

static void links_of_the_host_are_not_followed(void **state)
{
	struct fixture f;
	(void)state;

	assert_int_equal(symlink("/etc", in_top("etc")), 0);
	fixture_open(&f);
	assert_true(add(&f, "etc/passwd", "/passwd") < 0);
	assert_true(add(&f, "../etc/passwd", "/passwd") < 0);
	assert_true(add(&f, "/etc/passwd", "/passwd") < 0);
	assert_int_equal(add(&f, "missing", "/passwd"), -ENOENT);
	assert_non_null(strstr(f.err.text, "missing"));
	assert_int_equal(add(&f, "etc", "/etc"), 0);
	assert_true(S_ISLNK(find(&f, "etc")->inode->mode));
	assert_int_equal(add(&f, "etc", "../x"), -EINVAL);
	assert_int_equal(add(&f, "etc", "/"), -EISDIR);
	fixture_close(&f);
}

static void deep_directories_end_somewhere(void **state)
{
	struct fixture f;
	(void)state;

	int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; i < 600; i++) {
		assert_int_equal(mkdirat(fd, "deep", 0700), 0);
		int next = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	close(fd);
	fixture_open(&f);
	int r = add(&f, "deep", "/deep");
	assert_true(r == -ELOOP || r == -EMFILE);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everything_is_taken_as_it_is),
	    cmocka_unit_test(what_is_there_is_merged_or_replaced),
	    cmocka_unit_test(links_of_the_host_are_not_followed),
	    cmocka_unit_test(deep_directories_end_somewhere),
	};
	return cmocka_run_group_tests(tests, make_top, remove_top);
}
