/* SPDX-License-Identifier: Apache-2.0 */
/* Quotes and variables in words, patterns of names, and .dockerignore: as Docker has them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "image/build_glob.h"
#include "image/build_words.h"
#include "image/text.h"

static struct err err;
static char *const env[] = {"A=old", "A=one", "EMPTY=", "B=two words", "Q=\"$A\"", "_x1=u", NULL};

static void words_are_replaced(void **state)
{
	static const char *const good[][2] = {
	    {"", ""},
	    {"plain", "plain"},
	    {"$A", "one"},
	    {"${A}", "one"},
	    {"x$A/y", "xone/y"},
	    {"x${A}y", "xoney"},
	    {"$Ab", ""},
	    {"$_x1.", "u."},
	    {"$B", "two words"},
	    {"\"$B\"", "two words"},
	    {"'$B'", "$B"},
	    {"\\$A", "$A"},
	    {"\"\\$A\"", "$A"},
	    {"\\\\$A", "\\one"},
	    {"a\\b", "ab"},
	    {"\"a\\b\"", "a\\b"},
	    {"\"a\\\"b\"", "a\"b"},
	    {"'a\\'b", "a\\b"},
	    {"a\\", "a"},
	    {"$", "$"},
	    {"$$", "$$"},
	    {"$-", "$-"},
	    {"$1", ""},
	    {"$NONE", ""},
	    {"${NONE}", ""},
	    {"${NONE:-d}", "d"},
	    {"${NONE-d}", "d"},
	    {"${EMPTY:-d}", "d"},
	    {"${EMPTY-d}", ""},
	    {"${A:-d}", "one"},
	    {"${A:+d}", "d"},
	    {"${EMPTY:+d}", ""},
	    {"${EMPTY+d}", "d"},
	    {"${NONE:+d}", ""},
	    {"${A:?no}", "one"},
	    {"${NONE:-${A}}", "one"},
	    {"${NONE:-'$A}'}", "$A}"},
	    {"${NONE:-\"a}\"}", "a}"},
	    {"a\"b\"'c'", "abc"},
	    {"$Q", "\"$A\""}, /* what was put in is not looked at again */
	};

	(void)state;
	for (size_t i = 0; i < countof(good); i++) {
		char *word;
		if (build_word_expand(good[i][0], '\\', env, &word, &err) != 0)
			fail_msg("'%s': %s", good[i][0], err.text);
		if (strcmp(word, good[i][1]) != 0)
			fail_msg("'%s' is '%s' instead of '%s'", good[i][0], word, good[i][1]);
		free(word);
	}
}

static void the_escape_can_be_another(void **state)
{
	char *word;

	(void)state;
	assert_int_equal(build_word_expand("C:\\dir`$A`", '`', env, &word, &err), 0);
	assert_string_equal(word, "C:\\dir$A");
	free(word);
	assert_int_equal(build_word_expand("$A", '\\', NULL, &word, &err), 0);
	assert_string_equal(word, "");
	free(word);
}

static void malformed_words_are_refused(void **state)
{
	static const char *const bad[] = {
	    "'a",         "\"a",      "${A",    "${",       "${}",      "${:-x}", "${A:",      "${A:-x",
	    "${A:=x}",    "${A=x}",   "${A#x}", "${A%x}",   "${A/x/y}", "${A:x}", "${NONE:?}", "${NONE:?say why}",
	    "${EMPTY:?}", "${NONE?}", "\"${A",  "${A:-'x}", "${-}",     "${A!}",
	};

	(void)state;
	for (size_t i = 0; i < countof(bad); i++) {
		char *word = (char *)"x";
		err = (struct err){0};
		if (build_word_expand(bad[i], '\\', env, &word, &err) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
		assert_null(word);
		assert_int_not_equal(err.text[0], '\0');
	}
	assert_int_equal(build_word_expand("${NONE:?say why}", '\\', env, &(char *){NULL}, &err), -EINVAL);
	assert_non_null(strstr(err.text, "say why"));
}

static void growth_and_depth_are_bounded(void **state)
{
	char large[70000], *word, *many[2] = {large, NULL};
	struct text deep = {0};

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	memcpy(large, "L=", 2);
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(build_word_expand("$L", '\\', many, &word, &err), 0);
	free(word);
	assert_int_equal(build_word_expand("$L$L", '\\', many, &word, &err), -E2BIG);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(text_add_string(&deep, "${N:-"), 0);
	assert_int_equal(build_word_expand(deep.data, '\\', env, &word, &err), -EINVAL);
	text_free(&deep);
}

static void patterns_match_as_in_go(void **state)
{
	static const struct {
		const char *pattern, *name;
		int match;
	} cases[] = {
	    {"abc", "abc", 1},
	    {"*", "abc", 1},
	    {"*c", "abc", 1},
	    {"a*", "a", 1},
	    {"a*", "abc", 1},
	    {"a*", "ab/c", 0},
	    {"a*/b", "abc/b", 1},
	    {"a*/b", "a/c/b", 0},
	    {"a*b*c*d*e*/f", "axbxcxdxe/f", 1},
	    {"a*b*c*d*e*/f", "axbxcxdxexxx/fff", 0},
	    {"a*b?c*x", "abxbbxdbxebxczzx", 1},
	    {"a*b?c*x", "abxbbxdbxebxczzy", 0},
	    {"ab[c]", "abc", 1},
	    {"ab[b-d]", "abc", 1},
	    {"ab[e-g]", "abc", 0},
	    {"ab[^c]", "abc", 0},
	    {"ab[^b-d]", "abc", 0},
	    {"ab[^e-g]", "abc", 1},
	    {"a\\*b", "a*b", 1},
	    {"a\\*b", "ab", 0},
	    {"a?b", "a\u263ab", 1},
	    {"a[^a]b", "a\u263ab", 1},
	    {"a???b", "a\u263ab", 0},
	    {"[a-\u03b6]*", "\u03b1", 1},
	    {"*[a-\u03b6]", "A", 0},
	    {"a?b", "a/b", 0},
	    {"a*b", "a/b", 0},
	    {"[\\]a]", "]", 1},
	    {"[\\-]", "-", 1},
	    {"[x\\-]", "x", 1},
	    {"[x\\-]", "z", 0},
	    {"*x", "xxx", 1},
	    {"", "", 1},
	    {"", "a", 0},
	    {"[^a]", "/", 0},
	    {"*", "", 1},
	    {"?", "", 0},
	    /* malformed */
	    {"[]a]", "]", -EINVAL},
	    {"[-]", "-", -EINVAL},
	    {"[x-]", "x", -EINVAL},
	    {"[-x]", "x", -EINVAL},
	    {"\\", "a", -EINVAL},
	    {"[a-b-c]", "a", -EINVAL},
	    {"[", "a", -EINVAL},
	    {"[^", "a", -EINVAL},
	    {"[^bc", "a", -EINVAL},
	    {"a[", "ab", -EINVAL},
	    {"[a-]", "a", -EINVAL},
	    {"x[", "a", -EINVAL},
	    {"a\\", "b", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++)
		if (build_glob_match(cases[i].pattern, cases[i].name, false) != cases[i].match)
			fail_msg("'%s' '%s': not %d", cases[i].pattern, cases[i].name, cases[i].match);
}

static void double_stars_cross_directories(void **state)
{
	static const struct {
		const char *pattern, *name;
		int match;
	} cases[] = {
	    {"**", "a/b", 1},         {"**/x", "x", 1},      {"**/x", "a/x", 1},       {"**/x", "a/b/x", 1},
	    {"**/x", "ax", 0},        {"a/**", "a/b/c", 1},  {"a/**", "a", 0},         {"a/**/b", "a/b", 1},
	    {"a/**/b", "a/x/y/b", 1}, {"a/**/b", "a/xb", 0}, {"**/*.go", "a/b.go", 1}, {"*/**/c", "a/c", 1},
	    {"a**b", "a/x/b", 1},     {"*", "a/b", 0},       {"**/", "a", 0},
	};

	(void)state;
	for (size_t i = 0; i < countof(cases); i++)
		if (build_glob_match(cases[i].pattern, cases[i].name, true) != cases[i].match)
			fail_msg("'%s' '%s': not %d", cases[i].pattern, cases[i].name, cases[i].match);
}

static void patterns_that_would_take_for_ever_end(void **state)
{
	char pattern[200], name[4000];

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(pattern); i += 2)
		memcpy(pattern + i, "*a", 2);
	pattern[sizeof(pattern) - 2] = 'b';
	pattern[sizeof(pattern) - 1] = '\0';
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_not_equal(build_glob_match(pattern, name, false), 1);
	memset(pattern, '[', sizeof(pattern) - 1);
	assert_int_equal(build_glob_match(pattern, name, false), -EINVAL);
}

static void ignore_rules_apply_in_order(void **state)
{
	static const char rules[] = "# a comment\n"
				    "*.log\n"
				    "/build/\n"
				    "node_modules\n"
				    "  docs/*.md  \r\n"
				    "!docs/README.md\n"
				    "./a/../tmp//x\n"
				    "**/*.o\n"
				    "!keep/**/*.o\n"
				    "\n";
	static const struct {
		const char *path;
		bool ignored;
	} cases[] = {
	    {"x.log", true},        {"a/x.log", false},        {"build", true},
	    {"build/a/b", true},    {"a/build", false},        {"node_modules/x/y.js", true},
	    {"docs/a.md", true},    {"docs/README.md", false}, {"docs/b/a.md", false},
	    {"tmp/x", true},        {"tmp/y", false},          {"a.o", true},
	    {"a/b/c.o", true},      {"keep/a.o", false},       {"keep/a/b.o", false},
	    {"# a comment", false},
	};
	struct build_ignore ignore;

	(void)state;
	assert_int_equal(build_ignore_parse(&ignore, rules, strlen(rules), "ignore", &err), 0);
	assert_true(ignore.has_keep);
	for (size_t i = 0; i < countof(cases); i++)
		if (build_ignore_match(&ignore, cases[i].path) != cases[i].ignored)
			fail_msg("'%s'", cases[i].path);
	build_ignore_free(&ignore);
	assert_int_equal(build_ignore_parse(&ignore, "", 0, "ignore", &err), 0);
	assert_false(build_ignore_match(&ignore, "a"));
	build_ignore_free(&ignore);
}

static void malformed_ignore_rules_are_refused_with_their_line(void **state)
{
	static const char *const bad[] = {"a\n[\n", "a\n!\n", "a\n! \t\n", "a\nb\\\n", "a\n[z-]\n"};
	struct build_ignore ignore;

	(void)state;
	for (size_t i = 0; i < countof(bad); i++) {
		assert_int_equal(build_ignore_parse(&ignore, bad[i], strlen(bad[i]), "ignore", &err), -EINVAL);
		assert_int_equal(strncmp(err.text, "ignore:2: ", 10), 0);
		assert_null(ignore.rules);
	}
	assert_int_equal(build_ignore_parse(&ignore, "a\0b", 3, "ignore", &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_are_replaced),
	    cmocka_unit_test(the_escape_can_be_another),
	    cmocka_unit_test(malformed_words_are_refused),
	    cmocka_unit_test(growth_and_depth_are_bounded),
	    cmocka_unit_test(patterns_match_as_in_go),
	    cmocka_unit_test(double_stars_cross_directories),
	    cmocka_unit_test(patterns_that_would_take_for_ever_end),
	    cmocka_unit_test(ignore_rules_apply_in_order),
	    cmocka_unit_test(malformed_ignore_rules_are_refused_with_their_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
