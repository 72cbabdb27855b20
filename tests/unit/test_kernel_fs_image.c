/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay over an image: the tree is as it was written, what is changed stays in memory, and damage is an error but
 * never a wrong byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/mm/image.h"
#include "tests/unit/kernel_fs_calls.h"
#include "tests/unit/kernel_image.h"

#define BIG_BYTES (40 * PAGE_SIZE + 1234)
#define MANY 3000u

static uint8_t big[BIG_BYTES];
static char page[PAGE_SIZE];

static void make_image(void)
{
	char name[64];

	for (uint64_t i = 0; i < BIG_BYTES; i++)
		big[i] = (uint8_t)(i * 7 + (i >> 12) * 31 + 1);
	memset(page, 'p', sizeof(page));
	kernel_image_begin();
	kernel_image_dir("/", 0751, 3, 4);
	kernel_image_dir("/etc", 0700, 5, 6);
	kernel_image_file("/etc/motd", "hello\n", 6, 0644);
	kernel_image_file("/etc/empty", "", 0, 0600);
	kernel_image_file("/usr/lib/big", big, BIG_BYTES, 0755);
	kernel_image_file("/usr/lib/whole", big, 4 * PAGE_SIZE, 0755);
	kernel_image_link("/usr/again", "/usr/lib/big");
	kernel_image_sparse("/usr/sparse", page, 8 * PAGE_SIZE, 1 << 20);
	kernel_image_symlink("/lib", "usr/lib");
	kernel_image_symlink("/usr/loop", "loop");
	kernel_image_node("/usr/null", S_IFCHR | 0666, 1, 3);
	kernel_image_node("/usr/strange", S_IFBLK | 0600, 259, 70000);
	kernel_image_node("/usr/fifo", S_IFIFO | 0600, 0, 0);
	kernel_image_xattr("/usr/lib/big", "user.one", "1");
	kernel_image_xattr("/usr/lib/big", "security.two", "second");
	kernel_image_xattr("/usr/lib/big", "system.posix_acl_access", "acl");
	kernel_image_time("/etc/motd", 1234567890, 987654321);
	kernel_image_time("/etc/empty", INT64_MAX, 1);
	for (unsigned i = 0; i < MANY; i++) {
		ksnprintf(name, sizeof(name), "/many/a-rather-long-name-%u", i * 7919 % MANY);
		kernel_image_file(name, name, strlen(name), 0644);
	}
	kernel_image_end();
}

static int boot(void)
{
	nucleo_host_image = kernel_image_bytes;
	boot_info->image_bytes = kernel_image_erofs_bytes;
	host_verify_image = kernel_image_verify;
	return fs_machine_try(FS_IMAGE);
}

static int setup_image(void **state)
{
	(void)state;
	fs_machine_reset();
	make_image();
	return 0;
}

static int setup(void **state) { return setup_image(state) || boot(); }

static int teardown(void **state)
{
	(void)state;
	fs_machine_end();
	return 0;
}

static struct statx stat_of(const char *path)
{
	struct statx st;

	assert_int_equal(g_stat(path, &st), 0);
	return st;
}

static void expect_big(const char *path)
{
	static uint8_t data[BIG_BYTES + 10];
	int64_t fd = g_open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(g_pread(fd, data, sizeof(data), 0), BIG_BYTES);
	assert_memory_equal(data, big, BIG_BYTES);
	assert_int_equal(g_pread(fd, data, 5000, 4000), 5000);
	assert_memory_equal(data, big + 4000, 5000);
	g_close(fd);
}

/* ---- as it was written ---- */

static void files_are_as_they_were_written(void **state)
{
	struct statx st = stat_of("/etc/motd");

	(void)state;
	assert_string_equal(g_content("/etc/motd"), "hello\n");
	assert_string_equal(g_content("/etc/empty"), "");
	assert_true(st.stx_mode == (S_IFREG | 0644) && st.stx_size == 6);
	assert_true(st.stx_mtime.tv_sec == 1234567890 && st.stx_mtime.tv_nsec == 987654321);
	assert_true(stat_of("/etc/empty").stx_mtime.tv_sec > 9000000000); /* as far as it goes */
	expect_big("/usr/lib/big");
	expect_big("/lib/big");
	st = stat_of("/etc");
	assert_true(st.stx_mode == (S_IFDIR | 0700) && st.stx_uid == 5 && st.stx_gid == 6);
	st = stat_of("/");
	assert_true(st.stx_mode == (S_IFDIR | 0751) && st.stx_uid == 3 && st.stx_gid == 4);
	assert_int_equal(g_access("/etc/none"), -ENOENT);
	assert_int_equal(g_access("/etc/motd/x"), -ENOTDIR);
}

static void names_of_one_inode_are_one_file(void **state)
{
	struct statx a = stat_of("/usr/lib/big"), b = stat_of("/usr/again");

	(void)state;
	assert_true(a.stx_ino == b.stx_ino && a.stx_nlink == 2 && b.stx_nlink == 2);
	assert_int_equal(g_pwrite(g_open("/usr/again", O_RDWR), "X", 1, 0), 1);
	assert_int_equal(g_content("/usr/lib/big")[0], 'X');
	assert_int_equal(g_unlink("/usr/again"), 0);
	assert_int_equal(stat_of("/usr/lib/big").stx_nlink, 1);
	dentry_shrink(0);
	assert_true(stat_of("/usr/lib/big").stx_ino == a.stx_ino);
	assert_int_equal(g_content("/usr/lib/big")[0], 'X');
}

static void links_and_devices_are_there(void **state)
{
	char text[100];
	struct statx st = stat_of("/usr/strange");

	(void)state;
	assert_int_equal(CALL(readlink, P("/lib"), P(text), sizeof(text)), 7);
	assert_memory_equal(text, "usr/lib", 7);
	assert_int_equal(stat_of("/lib").stx_size, 7);
	assert_int_equal(g_access("/usr/loop"), -ELOOP);
	assert_true(st.stx_mode == (S_IFBLK | 0600) && st.stx_rdev_major == 259 && st.stx_rdev_minor == 70000);
	st = stat_of("/usr/null");
	assert_true(st.stx_mode == (S_IFCHR | 0666) && st.stx_rdev_major == 1 && st.stx_rdev_minor == 3);
	assert_int_equal(stat_of("/usr/fifo").stx_mode, S_IFIFO | 0600);
}

static void holes_read_as_zeros(void **state)
{
	static char data[3 * PAGE_SIZE];
	int64_t fd = g_open("/usr/sparse", O_RDONLY);

	(void)state;
	assert_int_equal(stat_of("/usr/sparse").stx_size, 1 << 20);
	assert_int_equal(g_pread(fd, data, sizeof(data), 7 * PAGE_SIZE), sizeof(data));
	for (uint64_t i = 0; i < sizeof(data); i++)
		assert_int_equal(data[i], i / PAGE_SIZE == 1 ? 'p' : 0);
	g_close(fd);
}

/* What getdents64 gives; -errno. */
static int64_t count_names(const char *path, bool compare)
{
	static uint8_t buffer[1000];
	int64_t fd = g_open(path, O_RDONLY | O_DIRECTORY), n, count = 0;

	if (fd < 0)
		return fd;
	while ((n = CALL(getdents64, (uint64_t)fd, P(buffer), sizeof(buffer))) > 0)
		for (int64_t at = 0; at < n; at += *(uint16_t *)(buffer + at + 16), count++) {
			const char *name = (const char *)buffer + at + 19;
			char full[400];

			if (!compare || name[0] == '.')
				continue;
			ksnprintf(full, sizeof(full), "%s/%s", path, name);
			struct statx st = stat_of(full);
			assert_int_equal(st.stx_ino, *(uint64_t *)(buffer + at));
			assert_int_equal((st.stx_mode & S_IFMT) >> 12, buffer[at + 18]);
		}
	g_close(fd);
	return n < 0 ? n : count;
}

static void large_directories_are_complete(void **state)
{
	char name[64];

	(void)state;
	assert_int_equal(count_names("/many", true), MANY + 2);
	for (unsigned i = 0; i < MANY; i += 17) {
		ksnprintf(name, sizeof(name), "/many/a-rather-long-name-%u", i);
		assert_string_equal(g_content(name), name);
	}
	assert_int_equal(g_access("/many/a-rather-long-name-x"), -ENOENT);
	/* With what is made in memory: dev proc sys tmp run root home var. */
	assert_int_equal(count_names("/", false), 2 + 4 + 8);
	assert_int_equal(stat_of("/tmp").stx_mode, S_IFDIR | 01777);
}

static void lookups_need_no_list(void **state)
{
	unsigned before = host_counts.verifies;

	(void)state;
	assert_int_equal(g_access("/many/a-rather-long-name-1500"), 0);
	assert_true(host_counts.verifies - before < 12);
	assert_int_equal(mock_exchanges, 0);
}

static int64_t get_xattr(const char *path, const char *name, char *value)
{
	int64_t n = CALL(getxattr, P(path), P(name), P(value), 100);

	if (n >= 0)
		value[n] = '\0';
	return n;
}

static void attributes_can_be_read_and_changed(void **state)
{
	char value[101], list[300];
	int64_t n = CALL(listxattr, P("/usr/lib/big"), P(list), sizeof(list));

	(void)state;
	assert_int_equal(n, sizeof("user.one") + sizeof("security.two") + sizeof("system.posix_acl_access"));
	assert_int_equal(get_xattr("/usr/lib/big", "security.two", value), 6);
	assert_string_equal(value, "second");
	assert_int_equal(get_xattr("/usr/lib/big", "system.posix_acl_access", value), 3);
	assert_int_equal(get_xattr("/usr/lib/big", "user.none", value), -ENODATA);
	assert_int_equal(CALL(setxattr, P("/usr/lib/big"), P("user.one"), P("uno"), 3, 0), 0);
	assert_int_equal(CALL(removexattr, P("/usr/lib/big"), P("security.two")), 0);
	dentry_shrink(0);
	assert_int_equal(get_xattr("/usr/again", "user.one", value), 3);
	assert_string_equal(value, "uno");
	assert_int_equal(get_xattr("/usr/again", "security.two", value), -ENODATA);
	assert_int_equal(CALL(listxattr, P("/etc/motd"), P(list), sizeof(list)), 0);
}

/* ---- changed ---- */

static void changes_stay_in_memory(void **state)
{
	static uint8_t data[BIG_BYTES], copy[1 << 23];
	int64_t fd;

	(void)state;
	assert_true(kernel_image_file_bytes <= sizeof(copy));
	memcpy(copy, kernel_image_bytes, kernel_image_file_bytes);
	fd = g_open("/usr/lib/big", O_RDWR);
	assert_int_equal(g_pwrite(fd, "middle", 6, 5 * PAGE_SIZE - 3), 6);
	assert_int_equal(g_pwrite(fd, "end", 3, BIG_BYTES - 3), 3);
	memcpy(big + 5 * PAGE_SIZE - 3, "middle", 6);
	memcpy(big + BIG_BYTES - 3, "end", 3);
	expect_big("/usr/lib/big");
	g_close(fd);
	dentry_shrink(0); /* it must not be forgotten */
	expect_big("/usr/lib/big");
	assert_int_equal(g_truncate("/usr/lib/big", 2 * PAGE_SIZE + 1), 0);
	assert_int_equal(g_truncate("/usr/lib/big", 4 * PAGE_SIZE), 0);
	fd = g_open("/usr/lib/big", O_RDONLY);
	assert_int_equal(g_pread(fd, data, sizeof(data), 0), 4 * PAGE_SIZE);
	for (uint64_t i = 0; i < 4 * PAGE_SIZE; i++)
		assert_int_equal(data[i], i <= 2 * PAGE_SIZE ? big[i] : 0);
	g_close(fd);
	assert_int_equal(g_unlink("/etc/motd"), 0);
	assert_int_equal(g_put("/etc/motd", "new"), 3);
	assert_string_equal(g_content("/etc/motd"), "new");
	assert_int_equal(g_rename("/many", "/etc/many"), 0);
	assert_int_equal(g_access("/many"), -ENOENT);
	assert_string_equal(g_content("/etc/many/a-rather-long-name-3"), "/many/a-rather-long-name-3");
	assert_int_equal(CALL(fallocate, (uint64_t)g_open("/usr/lib/whole", O_RDWR), 3, PAGE_SIZE, 100), 0);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(g_content("/usr/lib/whole")[PAGE_SIZE + i], i < 100 ? 0 : (char)big[PAGE_SIZE + i]);
	assert_memory_equal(copy, kernel_image_bytes, kernel_image_file_bytes);
}

static void what_is_read_costs_no_memory(void **state)
{
	struct page_statistics before, after;

	(void)state;
	g_content("/usr/lib/whole");
	page_statistics(&before);
	for (unsigned i = 0; i < 100; i++)
		g_content("/usr/lib/whole");
	page_statistics(&after);
	assert_int_equal(after.cached, 0);
	assert_int_equal(after.free, before.free);
}

/* ---- damaged ---- */

/* Reads everything. What can be read must be right; the number of errors is returned. */
static unsigned look_at_all(void)
{
	static const char *const paths[] = {"/etc/motd",
					    "/etc/empty",
					    "/usr/lib/big",
					    "/usr/lib/whole",
					    "/usr/again",
					    "/lib/big",
					    "/many/a-rather-long-name-77",
					    "/many/a-rather-long-name-2999"};
	static uint8_t data[BIG_BYTES];
	unsigned errors = 0;
	char value[101];

	for (unsigned i = 0; i < countof(paths); i++) {
		int64_t fd = g_open(paths[i], O_RDONLY), n,
			size = i == 0   ? 6
			       : i == 1 ? 0
			       : i == 3 ? 4 * PAGE_SIZE
					: BIG_BYTES;
		const uint8_t *right = i == 0 ? (const uint8_t *)"hello\n" : i < 6 ? big : (const uint8_t *)paths[i];

		if (i >= 6)
			size = (int64_t)strlen(paths[i]);
		n = fd < 0 ? fd : g_pread(fd, data, sizeof(data), 0);
		assert_true(n >= 0 || n == -EIO || n == -EUCLEAN);
		if (n > 0)
			assert_memory_equal(data, right, n);
		errors += n != size;
		if (fd >= 0)
			g_close(fd);
	}
	errors += get_xattr("/usr/lib/big", "security.two", value) != 6;
	errors += count_names("/many", false) != MANY + 2;
	errors += count_names("/etc", false) != 4;
	return errors;
}

#define NOTICED 40 /* exit statuses that a failing assertion does not give */
#define SOUND 41

static int look_in_child(void)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		_exit(boot() != 0 || look_at_all() > 0 ? NOTICED : SOUND);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status & 0x7f, 0);
	return status >> 8;
}

static void every_damaged_block_is_noticed(void **state)
{
	uint64_t blocks = kernel_image_file_bytes / PAGE_SIZE - 1, noticed = 0;

	(void)state;
	assert_int_equal(look_in_child(), SOUND);
	for (uint64_t block = 0; block < blocks; block++) {
		uint8_t *byte = kernel_image_bytes + block * PAGE_SIZE + block * 2654435761u % PAGE_SIZE;
		int result;

		*byte ^= 1u << block % 8;
		result = look_in_child();
		*byte ^= 1u << block % 8;
		assert_true(result == NOTICED || result == SOUND);
		noticed += result == NOTICED;
	}
	/* Some are not looked at: those of most small files, and the configuration's. */
	assert_true(noticed > 60 && noticed < blocks);
}

static void a_damaged_page_is_an_error_each_time(void **state)
{
	static uint8_t data[BIG_BYTES];
	uint8_t *at = NULL;
	int64_t fd;

	(void)state;
	for (uint64_t i = 0; i < kernel_image_erofs_bytes && at == NULL; i += PAGE_SIZE)
		if (memcmp(kernel_image_bytes + i, big + 20 * PAGE_SIZE, PAGE_SIZE) == 0)
			at = kernel_image_bytes + i;
	assert_non_null(at);
	at[17] ^= 4;
	fd = g_open("/usr/lib/big", O_RDWR);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(g_pread(fd, data, sizeof(data), 0), 20 * PAGE_SIZE);
		assert_int_equal(g_pread(fd, data, 1, 20 * PAGE_SIZE + 100), -EIO);
		assert_int_equal(g_pread(fd, data, PAGE_SIZE, 21 * PAGE_SIZE), PAGE_SIZE);
		assert_memory_equal(data, big + 21 * PAGE_SIZE, PAGE_SIZE);
		assert_int_equal(g_pwrite(fd, "x", 1, 20 * PAGE_SIZE + 100), -EIO);
	}
	g_close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(files_are_as_they_were_written),
	    TEST(names_of_one_inode_are_one_file),
	    TEST(links_and_devices_are_there),
	    TEST(holes_read_as_zeros),
	    TEST(large_directories_are_complete),
	    TEST(lookups_need_no_list),
	    TEST(attributes_can_be_read_and_changed),
	    TEST(changes_stay_in_memory),
	    TEST(what_is_read_costs_no_memory),
	    cmocka_unit_test_setup_teardown(every_damaged_block_is_noticed, setup_image, teardown),
	    TEST(a_damaged_page_is_an_error_each_time),
	};

	/* The kernel's state is static: each test has a process of its own. */
	return kernel_fs_run(tests, countof(tests), NULL, 1);
}
