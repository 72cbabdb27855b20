/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, numbers, signals, volumes and guest paths: what is taken, what is refused, nothing in between. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "cli/parse.h"

static struct err err;

static void sizes_are_powers_of_1024(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
	    {"0", 0},
	    {"1", 1},
	    {"1b", 1},
	    {"1B", 1},
	    {"1K", 1024},
	    {"1k", 1024},
	    {"1KB", 1024},
	    {"1KiB", 1024},
	    {"512M", 512ull << 20},
	    {"512m", 512ull << 20},
	    {"1G", 1ull << 30},
	    {"2GiB", 2ull << 30},
	    {"1T", 1ull << 40},
	    {"18446744073709551615", UINT64_MAX},
	    {"16777215T", 16777215ull << 40},
	    {"00000000000000000000000001K", 1024},
	};

	(void)state;
	for (size_t i = 0; i < countof(good); i++) {
		uint64_t bytes = 12345;
		assert_int_equal(parse_size(good[i].text, &bytes, &err), 0);
		assert_int_equal(bytes, good[i].bytes);
	}
}

static void sizes_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    " ",
	    "K",
	    "M1",
	    "-1",
	    "+1",
	    " 1",
	    "1 ",
	    "1 M",
	    "1.5G",
	    "1,5G",
	    "0x10",
	    "1X",
	    "1KK",
	    "1KiBB",
	    "1iB",
	    "1Ki",
	    "1bb",
	    "18446744073709551616",
	    "16777216T",
	    "99999999999999999999999999",
	    "1\n",
	    "1e3",
	};
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < countof(bad); i++)
		if (parse_size(bad[i], &bytes, &err) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	assert_non_null(strstr(err.hint, "512M"));
}

static void memory_has_limits(void **state)
{
	uint64_t bytes;

	(void)state;
	assert_int_equal(parse_memory("16M", &bytes, &err), 0);
	assert_int_equal(parse_memory("192G", &bytes, &err), 0);
	assert_int_equal(parse_memory("16777215", &bytes, &err), -EINVAL);
	assert_non_null(strstr(err.hint, "16M"));
	assert_int_equal(parse_memory("193G", &bytes, &err), -EINVAL);
	assert_non_null(strstr(err.hint, "192G"));
}

static void numbers_have_limits(void **state)
{
	static const char *const bad[] = {"", "0", "33", "x", "1x", "-1", "+1", " 1", "18446744073709551617"};
	uint64_t n;

	(void)state;
	assert_int_equal(parse_number("n", "1", 1, 32, &n, &err), 0);
	assert_int_equal(parse_number("n", "32", 1, 32, &n, &err), 0);
	assert_int_equal(n, 32);
	for (size_t i = 0; i < countof(bad); i++)
		assert_int_equal(parse_number("n", bad[i], 1, 32, &n, &err), -EINVAL);
}

static void signals_by_name_and_number(void **state)
{
	static const char *const bad[] = {"", "SIG", "NOSUCH", "0", "65", "-9", "9x", "TERMX"};
	int n;

	(void)state;
	assert_int_equal(parse_signal("TERM", &n, &err), 0);
	assert_int_equal(n, SIGTERM);
	assert_int_equal(parse_signal("sigusr1", &n, &err), 0);
	assert_int_equal(n, SIGUSR1);
	assert_int_equal(parse_signal("9", &n, &err), 0);
	assert_int_equal(n, 9);
	assert_int_equal(parse_signal("64", &n, &err), 0);
	for (size_t i = 0; i < countof(bad); i++)
		assert_int_equal(parse_signal(bad[i], &n, &err), -EINVAL);
}

static void volumes_are_read_only_unless_said(void **state)
{
	static const struct {
		const char *text, *host, *guest;
		bool read_only;
	} good[] = {
	    {"/a:/b", "/a", "/b", true},       {"/a:/b:ro", "/a", "/b", true},
	    {"./a:/b:rw", "./a", "/b", false}, {"a b:/c d:rw", "a b", "/c d", false},
	    {"/a:/b/:rw", "/a", "/b", false},  {"/a://b//./c/", "/a", "/b/c", true},
	    {"..:/up", "..", "/up", true},
	};

	(void)state;
	for (size_t i = 0; i < countof(good); i++) {
		struct parsed_volume volume;
		assert_int_equal(parse_volume(good[i].text, &volume, &err), 0);
		assert_string_equal(volume.host, good[i].host);
		assert_string_equal(volume.guest, good[i].guest);
		assert_int_equal(volume.read_only, good[i].read_only);
		free(volume.host);
	}
}

static void volumes_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {
	    "",         ":",         "a",   "a:",   ":/b",  "a:b",   "a:/b:",   "a:/b:RW",   "a:/b:r",
	    "a:/b:rw:", "a:/b:rw:x", "a:/", "a:/.", "a://", "a:/..", "a:/b/..", "a:/b/../c", "a:./b",
	};
	struct parsed_volume volume;

	(void)state;
	for (size_t i = 0; i < countof(bad); i++)
		if (parse_volume(bad[i], &volume, &err) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
}

static void guest_paths_are_made_plain(void **state)
{
	static const struct {
		const char *text, *plain;
	} good[] = {
	    {"/", "/"},       {"//", "/"},
	    {"/.", "/"},      {"/a", "/a"},
	    {"/a/", "/a"},    {"//a///b/./c/.", "/a/b/c"},
	    {"/...", "/..."}, {"/..a/.b", "/..a/.b"},
	};

	(void)state;
	for (size_t i = 0; i < countof(good); i++) {
		char *path = strdup(good[i].text);
		assert_int_equal(parse_guest_path(path, &err), 0);
		assert_string_equal(path, good[i].plain);
		free(path);
	}
	char relative[] = "a/b", empty[] = "", up[] = "/a/../b";
	assert_int_equal(parse_guest_path(relative, &err), -EINVAL);
	assert_int_equal(parse_guest_path(empty, &err), -EINVAL);
	assert_int_equal(parse_guest_path(up, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sizes_are_powers_of_1024),
	    cmocka_unit_test(sizes_that_are_none_are_refused),
	    cmocka_unit_test(memory_has_limits),
	    cmocka_unit_test(numbers_have_limits),
	    cmocka_unit_test(signals_by_name_and_number),
	    cmocka_unit_test(volumes_are_read_only_unless_said),
	    cmocka_unit_test(volumes_that_are_none_are_refused),
	    cmocka_unit_test(guest_paths_are_made_plain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
