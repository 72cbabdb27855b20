/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes: changes reach the host at once, the host's changes are seen after a second; read-only ones never
 * write. Locks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/kernel_fs_calls.h"

static int setup(void **state)
{
	(void)state;
	fs_machine_reset();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fs_machine_end();
	return 0;
}

static void later(void) { machine_now_ns += 2 * NS_PER_SECOND; }

static void writes_reach_the_host_at_once(void **state)
{
	char text[32] = "";

	(void)state;
	host_file("f", "0123456789");
	fs_machine_start(FS_VOLUME);
	int64_t fd = g_open("/vol/f", O_RDWR);
	assert_int_equal(g_pread(fd, text, 10, 0), 10);
	assert_int_equal(g_pwrite(fd, "AB", 2, 3), 2);
	assert_string_equal(host_content("f"), "012AB56789");
	assert_int_equal(g_pread(fd, text, 10, 0), 10);
	assert_string_equal(text, "012AB56789");
	assert_int_equal(g_pwrite(fd, "end", 3, 12), 3);
	assert_int_equal(g_pread(fd, text, 16, 8), 7);
	assert_memory_equal(text, "89\0\0end", 7);
	assert_int_equal(CALL(ftruncate, (uint64_t)fd, 4), 0);
	assert_string_equal(host_content("f"), "012A");
	g_close(fd);
	assert_int_equal(g_put("/vol/new", "made"), 4);
	assert_string_equal(host_content("new"), "made");
	fd = g_open("/vol/new", O_WRONLY | O_APPEND);
	host_file("new", "made longer");
	assert_int_equal(g_write(fd, "!", 1), 1);
	assert_string_equal(host_content("new"), "made longer!");
	g_close(fd);
}

static void the_host_may_make_a_name_first(void **state)
{
	(void)state;
	fs_machine_start(FS_VOLUME);
	assert_int_equal(g_access("/vol/f"), -ENOENT);
	assert_int_equal(g_access("/vol/g"), -ENOENT);
	assert_int_equal(g_access("/vol/d"), -ENOENT);
	host_file("f", "host");
	host_file("g", "host");
	host_file("d", "host");
	int64_t fd = g_open("/vol/f", O_RDWR | O_CREAT);
	assert_true(fd >= 0);
	assert_int_equal(g_pwrite(fd, "H", 1, 0), 1);
	g_close(fd);
	assert_string_equal(host_content("f"), "Host");
	assert_int_equal(g_open("/vol/g", O_RDWR | O_CREAT | O_EXCL), -EEXIST);
	assert_string_equal(g_content("/vol/g"), "host");
	assert_int_equal(g_mkdir("/vol/d"), -EEXIST);
	assert_int_equal(g_access("/vol/d"), 0);
}

static void names_reach_the_host_at_once(void **state)
{
	(void)state;
	fs_machine_start(FS_VOLUME);
	assert_int_equal(g_mkdir("/vol/d"), 0);
	assert_int_equal(g_put("/vol/d/a", "a"), 1);
	assert_int_equal(g_link("/vol/d/a", "/vol/d/b"), 0);
	assert_int_equal(g_rename("/vol/d/b", "/vol/c"), 0);
	assert_int_equal(g_symlink("c", "/vol/s"), 0);
	assert_string_equal(g_content("/vol/s"), "a");
	assert_string_equal(host_content("s"), "a");
	assert_int_equal(g_rename("/vol/c", "/tmp/c"), -EXDEV);
	assert_int_equal(g_unlink("/vol/c"), 0);
	assert_int_equal(g_access("/vol/c"), -ENOENT);
	assert_int_equal(g_rmdir("/vol/d"), -ENOTEMPTY);
	assert_int_equal(g_unlink("/vol/d/a"), 0);
	assert_int_equal(g_rmdir("/vol/d"), 0);
	char *tree = host_tree(host_directory);
	assert_non_null(strstr(tree, "s 120000"));
	assert_null(strchr(strchr(tree, '\n') + 1, '\n'));
	free(tree);
}

static void the_hosts_changes_are_seen_after_a_second(void **state)
{
	struct statx st;

	(void)state;
	host_file("f", "old text");
	host_mkdir("d");
	fs_machine_start(FS_VOLUME);
	assert_string_equal(g_content("/vol/f"), "old text");
	assert_int_equal(g_access("/vol/none"), -ENOENT);
	unsigned before = mock_exchanges;
	assert_string_equal(g_content("/vol/f"), "old text");
	assert_int_equal(g_access("/vol/none"), -ENOENT);
	assert_int_equal(mock_exchanges, before);
	host_file("f", "new text");
	host_file("none", "there");
	host_remove("d");
	later();
	assert_string_equal(g_content("/vol/none"), "there");
	assert_string_equal(g_content("/vol/f"), "new text");
	assert_int_equal(g_access("/vol/d"), -ENOENT);
	host_file("f", "longer than before");
	later();
	assert_int_equal(g_stat("/vol/f", &st), 0);
	assert_int_equal(st.stx_size, 18);
	assert_string_equal(g_content("/vol/f"), "longer than before");
	/* Another file of the same name is another file. */
	int64_t fd = g_open("/vol/f", O_RDONLY);
	host_remove("f");
	host_file("f", "second");
	later();
	char text[32] = "";
	assert_string_equal(g_content("/vol/f"), "second");
	assert_int_equal(g_pread(fd, text, sizeof(text), 0), 18);
	assert_string_equal(text, "longer than before");
	g_close(fd);
}

static void own_writes_keep_the_cache(void **state)
{
	char text[16];

	(void)state;
	host_file_bytes("f", 40000);
	fs_machine_start(FS_VOLUME);
	int64_t fd = g_open("/vol/f", O_RDWR);
	assert_int_equal(g_pread(fd, text, 16, 100), 16);
	unsigned before = mock_reads;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(g_pwrite(fd, "x", 1, 200 + i), 1);
		later();
		assert_int_equal(g_pread(fd, text, 16, 200), 16);
		assert_int_equal(text[i], 'x');
	}
	assert_int_equal(mock_reads, before);
	g_close(fd);
}

static void a_read_only_volume_refuses_changes(void **state)
{
	(void)state;
	host_file("f", "text");
	host_mkdir("d");
	char *before = host_tree(host_directory);
	fs_machine_start(FS_VOLUME_READ_ONLY);
	assert_string_equal(g_content("/vol/f"), "text");
	assert_int_equal(g_open("/vol/f", O_RDWR), -EROFS);
	assert_int_equal(g_open("/vol/new", O_CREAT | O_RDWR), -EROFS);
	assert_int_equal(g_open("/vol/f", O_RDONLY | O_TRUNC), -EROFS);
	assert_int_equal(g_unlink("/vol/f"), -EROFS);
	assert_int_equal(g_rmdir("/vol/d"), -EROFS);
	assert_int_equal(g_mkdir("/vol/e"), -EROFS);
	assert_int_equal(g_rename("/vol/f", "/vol/g"), -EROFS);
	assert_int_equal(g_link("/vol/f", "/vol/g"), -EROFS);
	assert_int_equal(CALL(chmod, P("/vol/f"), 0600), -EROFS);
	assert_int_equal(g_truncate("/vol/f", 0), -EROFS);
	assert_int_equal(CALL(access, P("/vol/f"), 2), -EROFS);
	char *after = host_tree(host_directory);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

/* ---- locks ---- */

static int64_t lock(int64_t fd, int command, short type, int64_t start, int64_t length)
{
	struct flock f = {.l_type = type, .l_start = start, .l_len = length};

	return CALL(fcntl, (uint64_t)fd, (uint64_t)command, P(&f));
}

static void record_locks_split_and_go_with_a_close(void **state)
{
	struct file_table *mine, *other;
	struct flock f = {.l_type = F_WRLCK, .l_start = 0, .l_len = 0};

	(void)state;
	host_file("f", "text");
	fs_machine_start(FS_OVERLAY);
	int64_t fd = g_open("/f", O_RDWR), second = g_open("/f", O_RDWR);
	mine = host_process.files;
	assert_int_equal(file_table_copy(&other, mine), 0);
	assert_int_equal(lock(fd, F_SETLK, F_WRLCK, 10, 20), 0);
	assert_int_equal(lock(second, F_SETLK, F_UNLCK, 15, 5), 0); /* the same process: no conflict, a hole */
	host_process.files = other;
	assert_int_equal(lock(fd, F_SETLK, F_WRLCK, 15, 5), 0);
	assert_int_equal(lock(fd, F_SETLK, F_RDLCK, 12, 1), -EAGAIN);
	assert_int_equal(lock(fd, F_SETLK, F_RDLCK, 20, 0), -EAGAIN);
	assert_int_equal(lock(fd, F_SETLKW, F_RDLCK, 20, 0), -ERESTARTSYS);
	assert_int_equal(CALL(fcntl, (uint64_t)fd, F_GETLK, P(&f)), 0);
	assert_true(f.l_type == F_WRLCK && f.l_pid == 1);
	host_process.files = mine;
	assert_int_equal(g_close(second), 0); /* any descriptor of the file: all locks of the process go */
	host_process.files = other;
	assert_int_equal(lock(fd, F_SETLK, F_WRLCK, 0, 0), 0);
	assert_int_equal(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0), -EAGAIN);
	host_process.files = mine;
	file_table_put(other);
	assert_int_equal(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0), 0);
	assert_int_equal(lock(fd, F_SETLK, 7, 0, 0), -EINVAL);
	g_close(fd);
}

static void flocks_belong_to_the_open_file(void **state)
{
	(void)state;
	host_file("f", "text");
	fs_machine_start(FS_OVERLAY);
	int64_t a = g_open("/f", O_RDWR), b = g_open("/f", O_RDONLY), c = CALL(dup, (uint64_t)a);
	assert_int_equal(CALL(flock, (uint64_t)a, 2), 0);
	assert_int_equal(CALL(flock, (uint64_t)b, 1 | 4), -EAGAIN);
	assert_int_equal(CALL(flock, (uint64_t)c, 1), 0); /* weaker now */
	assert_int_equal(CALL(flock, (uint64_t)b, 1 | 4), 0);
	assert_int_equal(CALL(flock, (uint64_t)a, 2 | 4), -EAGAIN);
	g_close(b);
	assert_int_equal(CALL(flock, (uint64_t)a, 2 | 4), 0);
	g_close(a);
	b = g_open("/f", O_RDONLY);
	assert_int_equal(CALL(flock, (uint64_t)b, 1 | 4), -EAGAIN); /* c is still open */
	g_close(c);
	assert_int_equal(CALL(flock, (uint64_t)b, 1 | 4), 0);
	assert_int_equal(CALL(flock, (uint64_t)b, 3), -EINVAL);
	g_close(b);
}

static void descriptors_are_lowest_first(void **state)
{
	(void)state;
	fs_machine_start(FS_OVERLAY);
	host_process.limits[RLIMIT_NOFILE].rlim_cur = 100;
	for (int64_t i = 3; i < 100; i++)
		assert_int_equal(g_open("/dev/null", O_RDONLY), i);
	assert_int_equal(g_open("/dev/null", O_RDONLY), -EMFILE);
	assert_int_equal(g_close(50), 0);
	assert_int_equal(g_close(7), 0);
	assert_int_equal(g_close(7), -EBADF);
	assert_int_equal(CALL(fcntl, 3, F_DUPFD, 20), 50);
	assert_int_equal(CALL(dup, 3), 7);
	assert_int_equal(CALL(dup2, 3, 3), 3);
	assert_int_equal(CALL(dup2, 3, 100), -EBADF);
	assert_int_equal(CALL(dup3, 3, 3, 0), -EINVAL);
	assert_int_equal(CALL(dup3, 3, 60, O_CLOEXEC), 60);
	assert_int_equal(CALL(fcntl, 60, F_GETFD), FD_CLOEXEC);
	assert_int_equal(CALL(close_range, 10, 90, 0), 0);
	assert_int_equal(g_open("/dev/null", O_RDONLY), 10);
	assert_int_equal(CALL(fcntl, 95, F_SETFD, FD_CLOEXEC), 0);
	file_table_close_on_exec(host_process.files);
	assert_int_equal(CALL(fcntl, 95, F_GETFD), -EBADF);
	assert_int_equal(CALL(fcntl, 96, F_GETFD), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(writes_reach_the_host_at_once),
	    TEST(names_reach_the_host_at_once),
	    TEST(the_host_may_make_a_name_first),
	    TEST(the_hosts_changes_are_seen_after_a_second),
	    TEST(own_writes_keep_the_cache),
	    TEST(a_read_only_volume_refuses_changes),
	    TEST(record_locks_split_and_go_with_a_close),
	    TEST(flocks_belong_to_the_open_file),
	    TEST(descriptors_are_lowest_first),
	};

	return kernel_fs_run(tests, countof(tests), NULL, 1);
}
