/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: what they lead to, what counts as this machine, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "image/url.h"

static struct err err;

static void relative_ones_are_resolved(void **state)
{
	static const struct {
		const char *base, *location, *result, *host, *port;
	} good[] = {
	    {NULL, "https://h.x/a", "https://h.x/a", "h.x", "443"},
	    {NULL, "HTTP://H.X:80/a", "http://H.X:80/a", "h.x", "80"},
	    {NULL, "http://[::1]:5000/", "http://[::1]:5000/", "[::1]", "5000"},
	    {"https://h.x/v2/a/blobs/uploads/", "/v2/b?c=d", "https://h.x/v2/b?c=d", "h.x", "443"},
	    {"https://h.x/v2/a", "b", "https://h.x/v2/b", "h.x", "443"},
	    {"https://h.x/v2/a", "//h.y/b", "https://h.y/b", "h.y", "443"},
	    {"https://h.x/v2/a?x=y", "?z", "https://h.x/v2/a?z", "h.x", "443"},
	    {"https://h.x/v2/a", "http://h.y/b#fragment", "http://h.y/b", "h.y", "80"},
	};

	(void)state;
	for (size_t i = 0; i < countof(good); i++) {
		struct url base, url;
		if (good[i].base)
			assert_int_equal(url_resolve(&base, NULL, good[i].base, &err), 0);
		if (url_resolve(&url, good[i].base ? &base : NULL, good[i].location, &err) != 0)
			fail_msg("'%s' was refused", good[i].location);
		assert_string_equal(url.text, good[i].result);
		assert_string_equal(url.host, good[i].host);
		assert_string_equal(url.port, good[i].port);
	}
}

static void what_is_no_http_address_is_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "h.x",
	    "/a",
	    "ftp://h.x/",
	    "file:///etc/passwd",
	    "gopher://h.x/",
	    "http:",
	    "http://",
	    "http://u@h.x/",
	    "http://u:p@h.x/",
	    "http://h.x:99999/",
	    "http://h.x:a/",
	    "https://h.x/a b",
	    "https://h.x/\r\nX: y",
	    "http://[::1/",
	    "javascript:alert(1)",
	    "http://h.x/\x7f",
	};
	struct url url;

	(void)state;
	for (size_t i = 0; i < countof(bad); i++)
		if (url_resolve(&url, NULL, bad[i], &err) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
	char *longest = malloc(URL_MAX + 1);
	memset(longest, 'a', URL_MAX);
	memcpy(longest, "http://h/", 9);
	longest[URL_MAX] = '\0';
	assert_int_equal(url_resolve(&url, NULL, longest, &err), -EINVAL);
	longest[URL_MAX - 1] = '\0';
	assert_int_equal(url_resolve(&url, NULL, longest, &err), 0);
	free(longest);
}

static void this_machine_is_known_by_its_names(void **state)
{
	static const struct {
		const char *text;
		bool loopback, local;
	} cases[] = {
	    {"http://localhost/", true, true},
	    {"http://LOCALHOST:1/", true, true},
	    {"http://127.0.0.1/", true, true},
	    {"http://127.8.9.1/", true, true},
	    {"http://[::1]/", true, true},
	    {"http://[::ffff:127.0.0.1]/", true, true},
	    {"http://0x7f000001/", true, true},
	    {"http://127.1/", true, true},
	    {"http://2130706433/", true, true},
	    {"http://0.0.0.0/", false, true},
	    {"http://169.254.169.254/", false, true},
	    {"http://[fe80::1]/", false, true},
	    {"http://[::]/", false, true},
	    {"http://128.0.0.1/", false, false},
	    {"http://localhost.x/", false, false},
	    {"http://127.0.0.1.x/", false, false},
	    {"http://10.0.0.1/", false, false},
	    {"http://[2001:db8::1]/", false, false},
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++) {
		struct url url;
		assert_int_equal(url_resolve(&url, NULL, cases[i].text, &err), 0);
		if (url_is_loopback(&url) != cases[i].loopback || url_is_local(&url) != cases[i].local)
			fail_msg("%s", cases[i].text);
	}
}

static void origins_are_scheme_host_and_port(void **state)
{
	struct url a, b;

	(void)state;
	url_resolve(&a, NULL, "https://h.x/a", &err);
	url_resolve(&b, NULL, "https://H.x:443/b?c", &err);
	assert_true(url_same_origin(&a, &b));
	url_resolve(&b, NULL, "http://h.x:443/", &err);
	assert_false(url_same_origin(&a, &b));
	url_resolve(&b, NULL, "https://h.x:444/", &err);
	assert_false(url_same_origin(&a, &b));
	url_resolve(&b, NULL, "https://h.x.y/", &err);
	assert_false(url_same_origin(&a, &b));
}

static void signatures_are_not_shown(void **state)
{
	char text[64];

	(void)state;
	url_show("https://h.x/a?signature=secret", text, sizeof(text));
	assert_string_equal(text, "https://h.x/a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(relative_ones_are_resolved),         cmocka_unit_test(what_is_no_http_address_is_refused),
	    cmocka_unit_test(this_machine_is_known_by_its_names), cmocka_unit_test(origins_are_scheme_host_and_port),
	    cmocka_unit_test(signatures_are_not_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
