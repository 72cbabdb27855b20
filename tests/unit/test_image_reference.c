/* SPDX-License-Identifier: Apache-2.0 */
/* Names of images: what is taken and how it is understood, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "image/reference.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX

static struct err err;

static void names_are_taken_apart(void **state)
{
	static const struct {
		const char *text, *registry, *repository, *tag, *digest, *formatted;
	} good[] = {
	    {"app", "", "app", "latest", "", "app:latest"},
	    {"app:1.2", "", "app", "1.2", "", "app:1.2"},
	    {"app:5000", "", "app", "5000", "", "app:5000"},
	    {"team/app", "", "team/app", "latest", "", "team/app:latest"},
	    {"a/b/c/d:X_y-z.1", "", "a/b/c/d", "X_y-z.1", "", "a/b/c/d:X_y-z.1"},
	    {"localhost/app", "localhost", "app", "latest", "", "localhost/app:latest"},
	    {"LocalHost/app", "localhost", "app", "latest", "", "localhost/app:latest"},
	    {"localhost:5000/app", "localhost:5000", "app", "latest", "", "localhost:5000/app:latest"},
	    {"host:1/app:2", "host:1", "app", "2", "", "host:1/app:2"},
	    {"R.Example/x/y:z", "r.example", "x/y", "z", "", "r.example/x/y:z"},
	    {"127.0.0.1:65535/a", "127.0.0.1:65535", "a", "latest", "", "127.0.0.1:65535/a:latest"},
	    {"[::1]:5000/a:t", "[::1]:5000", "a", "t", "", "[::1]:5000/a:t"},
	    {"[FE80::1]/a:t", "[fe80::1]", "a", "t", "", "[fe80::1]/a:t"},
	    {"app@" DIGEST, "", "app", "", DIGEST, ""},
	    {"app:1@" DIGEST, "", "app", "1", DIGEST, "app:1"},
	    {"h.x/app:1@" DIGEST, "h.x", "app", "1", DIGEST, "h.x/app:1"},
	    {"a.b_c__d-e---f/0", "a.b_c__d-e---f", "0", NULL, NULL, NULL}, /* a host cannot have '_' */
	    {"x/a.b_c__d-e---f", "", "x/a.b_c__d-e---f", "latest", "", "x/a.b_c__d-e---f:latest"},
	    {"h.x/sha256:1", "h.x", "sha256", "1", "", "h.x/sha256:1"},
	    {"localhost", "", "localhost", "latest", "", "localhost:latest"},
	};

	(void)state;
	for (size_t i = 0; i < countof(good); i++) {
		struct reference r;
		char text[REFERENCE_MAX];
		int code = reference_parse(&r, good[i].text, &err);
		if (!good[i].tag) {
			assert_int_equal(code, -EINVAL);
			continue;
		}
		if (code != 0)
			fail_msg("'%s' was refused: %s", good[i].text, err.text);
		assert_string_equal(r.registry, good[i].registry);
		assert_string_equal(r.repository, good[i].repository);
		assert_string_equal(r.tag, good[i].tag);
		assert_string_equal(r.digest, good[i].digest);
		reference_format(&r, text);
		assert_string_equal(text, good[i].formatted);
	}
}

static void what_is_formatted_means_the_same_again(void **state)
{
	static const char *const texts[] = {"app", "a/b:c", "localhost:5000/x", "h.x:1/a/b/c:tag", "[::1]:80/q"};

	(void)state;
	for (size_t i = 0; i < countof(texts); i++) {
		struct reference once, twice;
		char text[REFERENCE_MAX];
		assert_int_equal(reference_parse(&once, texts[i], &err), 0);
		reference_format(&once, text);
		assert_int_equal(reference_parse(&twice, text, &err), 0);
		assert_memory_equal(&once, &twice, sizeof(once));
	}
}

static void names_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    ":",
	    "@",
	    "/",
	    ":tag",
	    "/app",
	    "app/",
	    "a//b",
	    "app:",
	    "app:@" DIGEST,
	    "app:-x",
	    "app:.x",
	    "app:a b",
	    "app:a/b",
	    "App",
	    "app/Team",
	    "_app",
	    "-app",
	    ".app",
	    "app-",
	    "app_",
	    "app.",
	    "a..b",
	    "a___b",
	    "a._b",
	    "a b",
	    "a\nb",
	    "a\tb",
	    "..",
	    ".",
	    "../x",
	    "a/../b",
	    "./x",
	    "a/./b",
	    "localhost:/a",
	    "localhost:0/a",
	    "localhost:65536/a",
	    "localhost:99999/a",
	    "localhost:123456/a",
	    "localhost:5o/a",
	    "localhost:-1/a",
	    "-h.x/a",
	    "h-.x/a",
	    "h..x/a",
	    ".h/a",
	    "h./a",
	    "u@h.x/a",
	    "u:p@h.x/a",
	    "http://h.x/a",
	    "h.x:80:80/a",
	    "[::1/a",
	    "[]/a",
	    "[::g]/a",
	    "[::1]5000/a",
	    "[::1]:/a",
	    "h_x.y/a",
	    "app@",
	    "app@sha256",
	    "app@sha256:",
	    "app@sha256:12",
	    "app@" DIGEST "0",
	    "app@sha512:" HEX HEX,
	    "app@SHA256:" HEX,
	    "app@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
	    "app@" DIGEST "@" DIGEST,
	    "sha256:1",
	    DIGEST,
	    HEX,
	    HEX ":1",
	    "sha256@" DIGEST,
	    "app?x",
	    "app#x",
	    "a%2fb",
	    "h.x/a:b?c",
	    "h.x/\xc3\xa4",
	};
	struct reference r;

	(void)state;
	for (size_t i = 0; i < countof(bad); i++)
		if (reference_parse(&r, bad[i], &err) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
}

/* `count` times 'a', then the rest. */
static int parse_long(const char *before, size_t count, const char *after, struct reference *reference)
{
	static char text[4096];

	size_t length = (size_t)snprintf(text, sizeof(text), "%s", before);
	memset(text + length, 'a', count);
	snprintf(text + length + count, sizeof(text) - length - count, "%s", after);
	return reference_parse(reference, text, &err);
}

static void lengths_have_limits(void **state)
{
	struct reference r;
	char text[REFERENCE_MAX];

	(void)state;
	assert_int_equal(parse_long("x:", 128, "", &r), 0);
	assert_int_equal(parse_long("x:", 129, "", &r), -EINVAL);
	assert_int_equal(parse_long("", 255, ":1", &r), 0);
	assert_int_equal(parse_long("", 256, ":1", &r), -EINVAL);
	assert_int_equal(parse_long("h.", 253, "/x", &r), 0);
	assert_int_equal(parse_long("h.", 254, "/x", &r), -EINVAL);
	assert_int_equal(parse_long("", 3000, "", &r), -EINVAL);
	/* All parts at their longest are too long together. */
	static char host[300] = "h.";
	memset(host + 2, 'b', 250);
	host[252] = '/';
	assert_int_equal(parse_long(host, 240, "", &r), 0);
	reference_format(&r, text);
	assert_int_equal(strlen(text), 253 + 240 + strlen(":latest"));
	assert_int_equal(parse_long(host, 255, "", &r), -EINVAL);
	assert_true(strlen(err.text) < sizeof(err.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_taken_apart),
	    cmocka_unit_test(what_is_formatted_means_the_same_again),
	    cmocka_unit_test(names_that_are_none_are_refused),
	    cmocka_unit_test(lengths_have_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
