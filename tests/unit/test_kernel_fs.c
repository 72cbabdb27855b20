/* SPDX-License-Identifier: Apache-2.0 */
/* The tree and the overlay: what is changed stays in the guest, the host's directory is never written, and few
 * requests are made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/kernel_fs_calls.h"
#include "tests/unit/kernel_image.h"

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

/* Names in a directory, sorted, each followed by a space; without "." and "..". */
static const char *names(const char *path)
{
	static char text[16384];
	static uint8_t buffer[512];
	char *all[512];
	unsigned count = 0;
	int64_t fd = g_open(path, O_RDONLY | O_DIRECTORY), n;

	text[0] = '\0';
	if (fd < 0)
		return "(open)";
	while ((n = CALL(getdents64, (uint64_t)fd, P(buffer), sizeof(buffer))) > 0)
		for (int64_t at = 0; at < n; at += *(uint16_t *)(buffer + at + 16)) {
			const char *name = (const char *)buffer + at + 19;

			if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
				all[count++] = strcpy(malloc(256), name);
		}
	g_close(fd);
	for (unsigned i = 0; i < count; i++)
		for (unsigned k = i + 1; k < count; k++)
			if (strcmp(all[i], all[k]) > 0) {
				char *other = all[i];

				all[i] = all[k];
				all[k] = other;
			}
	for (unsigned i = 0; i < count; i++) {
		strcat(strcat(text, all[i]), " ");
		free(all[i]);
	}
	return n < 0 ? "(error)" : text;
}

static void an_unknown_path_costs_one_request(void **state)
{
	(void)state;
	host_mkdir("a");
	host_mkdir("a/b");
	host_mkdir("a/b/c");
	host_file("a/b/c/file", "text");
	fs_machine_start(FS_OVERLAY);
	assert_int_equal(mock_exchanges, 0);
	assert_int_equal(g_access("/a/b/c/file"), 0);
	assert_int_equal(mock_exchanges, 1);
	assert_int_equal(g_access("/a/b"), 0);
	assert_int_equal(g_access("/a/b/c/../c/file"), 0);
	assert_int_equal(mock_exchanges, 1);
	assert_int_equal(g_access("/a/b/no/such/thing"), -ENOENT);
	assert_int_equal(mock_exchanges, 2);
	assert_int_equal(g_access("/a/b/no/other"), -ENOENT);
	assert_int_equal(g_access("/a/b/c/file/x"), -ENOTDIR);
	assert_int_equal(mock_exchanges, 2);
	assert_string_equal(g_content("/a/b/c/file"), "text");
	assert_string_equal(g_content("/a/b/c/file"), "text");
	assert_int_equal(mock_exchanges, 3);
	assert_int_equal(mock_reads, 1);
}

static void it_works_without_walk(void **state)
{
	(void)state;
	host_mkdir("a");
	host_file("a/file", "text");
	mock_no_walk = true;
	fs_machine_start(FS_OVERLAY);
	assert_string_equal(g_content("/a/file"), "text");
	assert_int_equal(g_access("/a/none"), -ENOENT);
	mock_no_walk = false;
}

static void a_listed_directory_answers_for_missing_names(void **state)
{
	unsigned before;

	(void)state;
	host_mkdir("d");
	for (unsigned i = 0; i < 40; i++) {
		char name[32];

		ksnprintf(name, sizeof(name), "d/name%02u", i);
		host_file(name, "x");
	}
	fs_machine_start(FS_OVERLAY);
	assert_int_equal(strlen(names("/d")), 40 * 7);
	before = mock_exchanges;
	assert_int_equal(g_access("/d/other"), -ENOENT);
	assert_int_equal(g_access("/d/name4"), -ENOENT);
	assert_int_equal(mock_exchanges, before);
	assert_int_equal(g_access("/d/name13"), 0);
	assert_int_equal(mock_exchanges, before + 1);
}

static void changes_stay_in_the_guest(void **state)
{
	(void)state;
	host_mkdir("d");
	host_file("d/kept", "kept");
	host_file("d/changed", "0123456789");
	host_file("d/gone", "gone");
	char *before = host_tree(host_directory);
	fs_machine_start(FS_OVERLAY);
	int64_t fd = g_open("/d/changed", O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(g_pwrite(fd, "AB", 2, 4), 2);
	assert_int_equal(g_close(fd), 0);
	assert_string_equal(g_content("/d/changed"), "0123AB6789");
	assert_int_equal(g_unlink("/d/gone"), 0);
	assert_int_equal(g_access("/d/gone"), -ENOENT);
	assert_int_equal(g_put("/d/new", "new"), 3);
	assert_string_equal(names("/d"), "changed kept new ");
	assert_int_equal(g_put("/d/gone", "back"), 4);
	assert_string_equal(names("/d"), "changed gone kept new ");
	assert_int_equal(g_unlink("/d/gone"), 0);
	assert_int_equal(g_access("/d/gone"), -ENOENT);
	dentry_shrink(0); /* what is remembered only for speed may go at any time */
	assert_int_equal(g_access("/d/gone"), -ENOENT);
	assert_string_equal(g_content("/d/changed"), "0123AB6789");
	assert_string_equal(names("/d"), "changed kept new ");
	char *after = host_tree(host_directory);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

static void a_shortened_file_does_not_get_its_old_data_back(void **state)
{
	uint8_t data[20000];

	(void)state;
	host_file_bytes("f", 20000);
	fs_machine_start(FS_OVERLAY);
	assert_int_equal(g_truncate("/f", 5000), 0);
	assert_int_equal(g_truncate("/f", 20000), 0);
	int64_t fd = g_open("/f", O_RDWR);
	assert_int_equal(g_pread(fd, data, sizeof(data), 0), 20000);
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(data[i], i < 5000 ? (uint8_t)(i * 7 + (i >> 12)) : 0);
	assert_int_equal(g_pwrite(fd, "x", 1, 30000), 1);
	assert_int_equal(g_pread(fd, data, 20000, 20000), 10001);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(data[i], 0);
	g_close(fd);
}

static void a_renamed_directory_keeps_its_lower_content(void **state)
{
	struct statx before, after;

	(void)state;
	host_mkdir("d");
	host_mkdir("d/sub");
	host_file("d/sub/f", "deep");
	host_file("d/g", "g");
	fs_machine_start(FS_OVERLAY);
	assert_int_equal(g_stat("/d/sub", &before), 0);
	assert_int_equal(g_rename("/d/sub", "/moved"), 0);
	assert_int_equal(g_access("/d/sub"), -ENOENT);
	assert_string_equal(g_content("/moved/f"), "deep");
	assert_int_equal(g_stat("/moved", &after), 0);
	assert_true(before.stx_ino == after.stx_ino);
	assert_string_equal(names("/d"), "g ");
	assert_string_equal(names("/moved"), "f ");
	/* A new directory of the old name is empty. */
	assert_int_equal(g_mkdir("/d/sub"), 0);
	assert_string_equal(names("/d/sub"), "");
	assert_int_equal(g_access("/d/sub/f"), -ENOENT);
	assert_int_equal(g_rename("/moved", "/moved/below"), -EINVAL);
	assert_int_equal(g_rename("/d", "/moved"), -ENOTEMPTY);
	assert_int_equal(g_unlink("/moved/f"), 0);
	assert_int_equal(g_rename("/d", "/moved"), 0);
	assert_string_equal(names("/moved"), "g sub ");
}

static void hard_links_of_the_host_are_one_file(void **state)
{
	struct statx a, b;

	(void)state;
	host_file("one", "text");
	host_link("one", "two");
	fs_machine_start(FS_OVERLAY);
	int64_t fd = g_open("/one", O_RDWR);
	assert_int_equal(g_pwrite(fd, "T", 1, 0), 1);
	g_close(fd);
	dentry_shrink(0);
	assert_string_equal(g_content("/two"), "Text");
	assert_int_equal(g_stat("/one", &a), 0);
	assert_int_equal(g_stat("/two", &b), 0);
	assert_true(a.stx_ino == b.stx_ino && a.stx_nlink == 2);
	assert_int_equal(g_link("/two", "/three"), 0);
	assert_int_equal(g_unlink("/one"), 0);
	assert_int_equal(g_unlink("/two"), 0);
	dentry_shrink(0);
	assert_string_equal(g_content("/three"), "Text");
	assert_int_equal(g_stat("/three", &a), 0);
	assert_int_equal(a.stx_nlink, 1);
}

static void an_open_file_outlives_its_name(void **state)
{
	char text[8] = "";
	struct statx st;

	(void)state;
	host_file("f", "text");
	fs_machine_start(FS_OVERLAY);
	int64_t fd = g_open("/f", O_RDWR);
	assert_int_equal(g_unlink("/f"), 0);
	assert_int_equal(g_pread(fd, text, 8, 0), 4);
	assert_string_equal(text, "text");
	assert_int_equal(CALL(statx, (uint64_t)fd, P(""), AT_EMPTY_PATH, STATX_BASIC_STATS, P(&st)), 0);
	assert_int_equal(st.stx_nlink, 0);
	assert_int_equal(g_put("/f", "other"), 5);
	assert_int_equal(g_pread(fd, text, 8, 0), 4);
	g_close(fd);
	/* A removed directory takes nothing any more. */
	assert_int_equal(g_mkdir("/d"), 0);
	int64_t dir = g_open("/d", O_RDONLY);
	assert_int_equal(g_rmdir("/d"), 0);
	assert_int_equal(CALL(openat, (uint64_t)dir, P("x"), O_CREAT | O_RDWR, 0644), -ENOENT);
	g_close(dir);
}

static void links_are_followed_with_a_limit(void **state)
{
	(void)state;
	host_mkdir("real");
	host_file("real/f", "text");
	host_symlink("rel", "real");
	host_symlink("abs", "/real/f");
	host_symlink("loop1", "loop2");
	host_symlink("loop2", "loop1");
	host_symlink("up", "real/../real/f");
	host_symlink("dangling", "real/made");
	fs_machine_start(FS_OVERLAY);
	assert_string_equal(g_content("/rel/f"), "text");
	assert_string_equal(g_content("/abs"), "text");
	assert_string_equal(g_content("/up"), "text");
	assert_int_equal(g_open("/loop1", O_RDONLY), -ELOOP);
	assert_int_equal(g_open("/rel", O_RDONLY | O_NOFOLLOW), -ELOOP);
	assert_int_equal(g_open("/abs/", O_RDONLY), -ENOTDIR);
	assert_int_equal(g_open("/dangling", O_RDONLY), -ENOENT);
	assert_int_equal(g_put("/dangling", "new"), 3);
	assert_string_equal(g_content("/real/made"), "new");
	char text[32] = "";
	assert_int_equal(CALL(readlink, P("/abs"), P(text), sizeof(text)), 7);
	assert_string_equal(text, "/real/f");
	assert_int_equal(g_access("/../../real/f"), 0);
	assert_int_equal(g_unlink("/rel"), 0);
	assert_int_equal(g_access("/real/f"), 0);
}

static void open_flags_are_respected(void **state)
{
	(void)state;
	host_file("f", "text");
	host_mkdir("d");
	fs_machine_start(FS_OVERLAY);
	assert_int_equal(g_open("/f", O_CREAT | O_EXCL | O_RDWR), -EEXIST);
	assert_int_equal(g_open("/f", O_RDONLY | O_DIRECTORY), -ENOTDIR);
	assert_int_equal(g_open("/d", O_WRONLY), -EISDIR);
	assert_int_equal(g_open("/d/x/", O_CREAT | O_RDWR), -EISDIR);
	assert_int_equal(g_open("", O_RDONLY), -ENOENT);
	assert_int_equal(CALL(openat, (uint64_t)AT_FDCWD, 0, O_RDONLY, 0), -EFAULT);
	assert_int_equal(CALL(openat, 99, P("f"), O_RDONLY, 0), -EBADF);
	int64_t fd = g_open("/f", O_WRONLY | O_APPEND);
	assert_int_equal(g_write(fd, "ed", 2), 2);
	assert_int_equal(CALL(read, (uint64_t)fd, P("x"), 1), -EBADF);
	g_close(fd);
	assert_string_equal(g_content("/f"), "texted");
	fd = g_open("/f", O_RDWR | O_TRUNC);
	assert_string_equal(g_content("/f"), "");
	g_close(fd);
	fd = g_open("/d", O_TMPFILE | O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(g_write(fd, "tmp", 3), 3);
	assert_string_equal(names("/d"), "");
	char self[32];
	ksnprintf(self, sizeof(self), "/proc/self/fd/%d", (int)fd);
	assert_int_equal(
	    CALL(linkat, (uint64_t)AT_FDCWD, P(self), (uint64_t)AT_FDCWD, P("/d/named"), AT_SYMLINK_FOLLOW), 0);
	g_close(fd);
	assert_string_equal(g_content("/d/named"), "tmp");
}

static void others_need_rights(void **state)
{
	(void)state;
	host_file("f", "text");
	host_mkdir("d");
	fs_machine_start(FS_OVERLAY);
	assert_int_equal(CALL(chmod, P("/f"), 0640), 0);
	assert_int_equal(CALL(chmod, P("/d"), 0711), 0);
	host_process.credentials =
	    (struct credentials){.uid = 1000, .euid = 1000, .fsuid = 1000, .gid = 1000, .egid = 1000, .fsgid = 1000};
	assert_int_equal(g_open("/f", O_RDONLY), -EACCES);
	assert_int_equal(g_open("/d", O_RDONLY), -EACCES);
	assert_int_equal(g_open("/d/x", O_RDONLY), -ENOENT);
	assert_int_equal(g_open("/d/x", O_CREAT | O_RDWR), -EACCES);
	assert_int_equal(g_unlink("/f"), -EACCES);
	assert_int_equal(CALL(chmod, P("/f"), 0666), -EPERM);
	assert_int_equal(g_put("/tmp/mine", "x"), 1); /* made with mode 1777 where the host has none */
	host_process.credentials.fsuid = host_process.credentials.uid = 1001;
	assert_int_equal(g_unlink("/tmp/mine"), -EPERM); /* sticky */
	host_process.credentials.group_count = 1;
	host_process.credentials.groups[0] = 0;
	assert_true(g_open("/f", O_RDONLY) >= 0);
	assert_int_equal(g_open("/f", O_WRONLY), -EACCES);
}

static void proc_and_dev_are_there(void **state)
{
	char text[256] = "";

	(void)state;
	host_file("f", "text");
	fs_machine_start(FS_OVERLAY);
	int64_t fd = g_open("/f", O_RDONLY);
	char path[40];
	ksnprintf(path, sizeof(path), "/proc/self/fd/%d", (int)fd);
	assert_int_equal(CALL(readlink, P(path), P(text), sizeof(text)), 2);
	assert_string_equal(text, "/f");
	assert_string_equal(g_content(path), "text");
	assert_int_equal(g_unlink("/f"), 0);
	memset(text, 0, sizeof(text));
	CALL(readlink, P(path), P(text), sizeof(text));
	assert_string_equal(text, "/f (deleted)");
	assert_string_equal(g_content("/proc/sys/kernel/ostype"), "Linux\n");
	assert_string_equal(g_content("/sys/devices/system/cpu/online"), "0\n");
	assert_non_null(strstr(g_content("/proc/self/status"), "Pid:\t1\n"));
	assert_non_null(strstr(g_content("/proc/mounts"), "overlay"));
	assert_int_equal(g_access("/proc/17"), -ENOENT);
	assert_int_equal(g_unlink("/proc/self"), -EPERM);
	assert_int_equal(g_put("/dev/full", "x"), -ENOSPC);
	assert_int_equal(g_put("/dev/null", "x"), 1);
	assert_int_equal(g_put("/dev/shm/x", "shm"), 3);
	assert_string_equal(g_content("/dev/shm/x"), "shm");
	int64_t zero = g_open("/dev/zero", O_RDONLY);
	memset(text, 1, sizeof(text));
	assert_int_equal(CALL(read, (uint64_t)zero, P(text), 10), 10);
	assert_true(text[9] == 0 && text[10] == 1);
}

static void a_failing_host_is_an_error_and_no_more(void **state)
{
	(void)state;
	host_mkdir("d");
	host_file("d/f", "text");
	fs_machine_start(FS_OVERLAY);
	mock_fuse_error = -EIO;
	assert_int_equal(g_access("/d/f"), -EIO);
	mock_fuse_error = -ENOMEM;
	assert_int_equal(g_access("/d/f"), -ENOMEM);
	assert_int_equal(g_access("/d/f"), 0);
	mock_fuse_error = -EIO;
	assert_string_equal(g_content("/d/f"), "(5)");
	assert_string_equal(g_content("/d/f"), "text");
	int64_t fd = g_open("/d", O_RDONLY);
	char buffer[512];
	mock_fuse_error = -EIO;
	assert_int_equal(CALL(getdents64, (uint64_t)fd, P(buffer), sizeof(buffer)), -EIO);
	assert_string_equal(names("/d"), "f ");
	g_close(fd);
}

/* ---- random changes, compared with the same ones on a copy of the host's directory ---- */

static uint64_t seed;
static unsigned pick(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* The guest's tree in the form of host_tree(). */
static void guest_tree(const char *path, char *to)
{
	static const char skip[] = "dev proc sys tmp run root home var ";
	char list[16384], *name = list;

	strcpy(list, names(path[0] == '\0' ? "/" : path));
	while (*name != '\0') {
		char *end = strchr(name, ' '), full[300];
		struct statx st;
		unsigned long sum = 0;

		*end = '\0';
		if (path[0] == '\0' && strstr(skip, name) != NULL && strlen(name) > 1) {
			name = end + 1;
			continue;
		}
		ksnprintf(full, sizeof(full), "%s/%s", path, name);
		assert_int_equal(g_stat(full, &st), 0);
		if ((st.stx_mode & S_IFMT) == S_IFREG) {
			static uint8_t data[70000];
			int64_t fd = g_open(full, O_RDONLY), n = g_pread(fd, data, sizeof(data), 0);

			g_close(fd);
			assert_int_equal(n, st.stx_size);
			for (int64_t i = 0; i < n; i++)
				sum = sum * 31 + data[i];
		}
		bool sized = (st.stx_mode & S_IFMT) != S_IFDIR;
		ksnprintf(to + strlen(to), 400, "%s %o %ld %u %lx\n", full + 1, st.stx_mode & S_IFMT,
			  sized ? (long)st.stx_size : 0, sized ? st.stx_nlink : 0, sum);
		if (!sized)
			guest_tree(full, to);
		name = end + 1;
	}
}

static int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static char *sorted_guest_tree(void)
{
	char *text = calloc(1, 1 << 20), *sorted = calloc(1, 1 << 20), *lines[4096], *rest = text;
	unsigned count = 0;

	guest_tree("", text);
	while (*rest != '\0') {
		char *end = strchr(rest, '\n');

		*end = '\0';
		lines[count++] = rest;
		rest = end + 1;
	}
	qsort(lines, count, sizeof(lines[0]), compare_lines);
	for (unsigned i = 0; i < count; i++)
		strcat(strcat(sorted, lines[i]), "\n");
	free(text);
	return sorted;
}

static const char *prefix = "";

static int64_t guest_operation(char op, const char *a, const char *b, uint64_t number)
{
	char first[300], second[300], byte = (char)number;
	int64_t fd, r;

	ksnprintf(first, sizeof(first), "%s/%s", prefix, a);
	ksnprintf(second, sizeof(second), "%s/%s", prefix, b);
	switch (op) {
	case 'c':
	case 'w':
		fd = g_open(first, op == 'c' ? O_CREAT | O_EXCL | O_RDWR : O_RDWR);
		if (fd < 0)
			return fd;
		r = op == 'c' ? 0 : g_pwrite(fd, &byte, 1, number);
		g_close(fd);
		return r == 1 ? 0 : r;
	case 't':
		return g_truncate(first, number);
	case 'u':
		return g_unlink(first);
	case 'r':
		return g_rmdir(first);
	case 'm':
		return g_mkdir(first);
	case 'n':
		return g_rename(first, second);
	case 'l':
		return g_link(first, second);
	default:
		return g_symlink(b, first);
	}
}

static void random_path(char *to)
{
	static const char *const parts[] = {"a", "b", "c", "d"};
	unsigned depth = 1 + pick(3);

	to[0] = '\0';
	for (unsigned i = 0; i < depth; i++)
		strcat(strcat(to, i > 0 ? "/" : ""), parts[pick(countof(parts))]);
}

/* A file of the host's directory, and of the image. */
static void lower_file(const char *path, uint64_t bytes)
{
	uint8_t *data = malloc(bytes);
	char full[100];

	host_file_bytes(path, bytes);
	for (uint64_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 12));
	ksnprintf(full, sizeof(full), "/%s", path);
	kernel_image_file(full, data, bytes, 0644);
	free(data);
}

static void start_over(enum fs_machine_kind kind)
{
	kernel_image_end();
	if (kind == FS_IMAGE) {
		nucleo_host_image = kernel_image_bytes;
		boot_info->image_bytes = kernel_image_erofs_bytes;
		host_verify_image = kernel_image_verify;
	}
	fs_machine_start(kind);
}

static void random_changes(uint64_t with_seed, unsigned steps, enum fs_machine_kind kind)
{
	static const char operations[] = "ccwwwttuurmmnnnnll";
	char *host, *guest;

	seed = with_seed;
	kernel_image_begin();
	host_mkdir("a");
	host_mkdir("a/b");
	host_mkdir("b");
	host_mkdir("b/c");
	lower_file("a/c", 9000);
	lower_file("a/b/a", 100);
	lower_file("a/b/d", 20000);
	lower_file("b/c/d", 5000);
	host_link("b/c/d", "b/d");
	kernel_image_link("/b/d", "/b/c/d");
	lower_file("d", 4096);
	host_copy_tree();
	host = host_tree(host_directory);
	start_over(kind);
	for (unsigned i = 0; i < steps; i++) {
		char a[64], b[64], op = operations[pick(sizeof(operations) - 1)];
		uint64_t number = pick(4) == 0 ? pick(30000) : pick(10000);

		random_path(a);
		random_path(b);
		int on_host = host_operation(op, a, b, number);
		int64_t in_guest = guest_operation(op, a, b, number);
		if (on_host != in_guest)
			fail_msg("seed %lu step %u: %c %s %s %lu: host %d, guest %ld", with_seed, i, op, a, b, number,
				 on_host, in_guest);
		if (pick(50) == 0)
			dentry_shrink(0);
		if (pick(30) == 0)
			cache_reclaim(1000);
		if (pick(40) == 0) {
			char *copy = host_tree(host_copy);

			guest = sorted_guest_tree();
			assert_string_equal(guest, copy);
			free(copy);
			free(guest);
		}
	}
	guest = host_tree(host_directory);
	assert_string_equal(host, guest); /* the host's own was not touched */
	free(host);
	free(guest);
}

static uint64_t first_seed = 1;

static void random_changes_match_the_hosts(void **state)
{
	(void)state;
	random_changes(first_seed, 800, FS_OVERLAY);
}

static void random_changes_over_an_image_do_too(void **state)
{
	(void)state;
	random_changes(first_seed, 800, FS_IMAGE);
}

static void random_changes_of_a_volume_reach_the_host(void **state)
{
	static const char operations[] = "ccwwwttuurmmnnnnll";

	(void)state;
	seed = first_seed;
	host_mkdir("a");
	host_mkdir("a/b");
	host_file_bytes("a/c", 9000);
	host_file_bytes("a/b/a", 100);
	host_link("a/c", "d");
	host_copy_tree();
	prefix = "/vol";
	fs_machine_start(FS_VOLUME);
	for (unsigned i = 0; i < 500; i++) {
		char a[64], b[64], op = operations[pick(sizeof(operations) - 1)];
		uint64_t number = pick(10000);

		random_path(a);
		random_path(b);
		int on_host = host_operation(op, a, b, number);
		int64_t in_guest = guest_operation(op, a, b, number);
		if (on_host != in_guest)
			fail_msg("seed %lu step %u: %c %s %s %lu: host %d, guest %ld", first_seed, i, op, a, b, number,
				 on_host, in_guest);
		if (pick(50) == 0)
			dentry_shrink(0);
		if (pick(10) == 0)
			machine_now_ns += 2 * NS_PER_SECOND;
	}
	char *wanted = host_tree(host_copy), *got = host_tree(host_directory);
	assert_string_equal(got, wanted);
	free(wanted);
	free(got);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(an_unknown_path_costs_one_request),
	    TEST(a_listed_directory_answers_for_missing_names),
	    TEST(changes_stay_in_the_guest),
	    TEST(a_shortened_file_does_not_get_its_old_data_back),
	    TEST(a_renamed_directory_keeps_its_lower_content),
	    TEST(hard_links_of_the_host_are_one_file),
	    TEST(an_open_file_outlives_its_name),
	    TEST(links_are_followed_with_a_limit),
	    TEST(open_flags_are_respected),
	    TEST(others_need_rights),
	    TEST(proc_and_dev_are_there),
	    TEST(a_failing_host_is_an_error_and_no_more),
	    TEST(random_changes_match_the_hosts),
	    TEST(random_changes_over_an_image_do_too),
	    TEST(random_changes_of_a_volume_reach_the_host),
	    TEST(it_works_without_walk),
	};

	/* The kernel's state is static: each test has a process of its own. */
	return kernel_fs_run(tests, countof(tests), &first_seed, 12);
}
