/* SPDX-License-Identifier: Apache-2.0 */
/* Lampofiles: what is read as Docker reads it, what is refused, and that the refusal says where and what to do. */
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
#include "image/build_lampofile.h"

static struct err err;

static int parse(struct lampofile *file, const char *text)
{
	err = (struct err){0};
	return lampofile_parse(file, text, strlen(text), "File", &err);
}

static const struct lampofile_instruction *only_second(struct lampofile *file, const char *text)
{
	if (parse(file, text) != 0)
		fail_msg("'%s': %s", text, err.text);
	assert_int_equal(file->count, 2);
	return &file->instructions[1];
}

/* words: separated by '|' */
static void expect_words(const struct lampofile_instruction *in, const char *words)
{
	char joined[1024] = "";

	for (size_t i = 0; i < in->words.count; i++)
		snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s", i > 0 ? "|" : "",
			 in->words.items[i]);
	assert_string_equal(joined, words);
}

static void instructions_have_words(void **state)
{
	static const struct {
		const char *text, *words;
		enum lampofile_kind kind;
		bool json;
	} good[] = {
	    {"COPY a b /c/", "a|b|/c/", LAMPOFILE_COPY, false},
	    {"copy\ta   /c", "a|/c", LAMPOFILE_COPY, false},
	    {"COPY [\"a b\", \"/c\"]", "a b|/c", LAMPOFILE_COPY, true},
	    {"COPY [ab] /c", "[ab]|/c", LAMPOFILE_COPY, false},
	    {"COPY a\\\n   b\\\n/c", "a|b/c", LAMPOFILE_COPY, false},
	    {"COPY a \\\n# a comment\n\n   # another\n /c", "a|/c", LAMPOFILE_COPY, false},
	    {"COPY a \\   \n /c", "a|/c", LAMPOFILE_COPY, false},
	    {"ENV A=1 B=\"two words\" C='x y' D=a\\ b", "A|1|B|\"two words\"|C|'x y'|D|a\\ b", LAMPOFILE_ENV, false},
	    {"ENV A one two = three", "A|one two = three", LAMPOFILE_ENV, false},
	    {"ENV A=", "A|", LAMPOFILE_ENV, false},
	    {"ENV A=b=c", "A|b=c", LAMPOFILE_ENV, false},
	    {"LABEL \"a b\"=\"c d\" e=f", "\"a b\"|\"c d\"|e|f", LAMPOFILE_LABEL, false},
	    {"WORKDIR /a b", "/a b", LAMPOFILE_WORKDIR, false},
	    {"USER 1:2", "1:2", LAMPOFILE_USER, false},
	    {"EXPOSE 80 443/tcp", "80|443/tcp", LAMPOFILE_EXPOSE, false},
	    {"CMD [\"a\", \"b c\"]", "a|b c", LAMPOFILE_CMD, true},
	    {"CMD []", "", LAMPOFILE_CMD, true},
	    {"CMD echo \"$HOME\"", "echo \"$HOME\"", LAMPOFILE_CMD, false},
	    {"CMD ['a']", "['a']", LAMPOFILE_CMD, false},
	    {"CMD [\"a\", 1]", "[\"a\", 1]", LAMPOFILE_CMD, false},
	    {"CMD [\"a\"] x", "[\"a\"] x", LAMPOFILE_CMD, false},
	    {"ENTRYPOINT [\"/bin/\\u0041\"]", "/bin/A", LAMPOFILE_ENTRYPOINT, true},
	    {"ENTRYPOINT exec top -b", "exec top -b", LAMPOFILE_ENTRYPOINT, false},
	    {"CMD a # not a comment", "a # not a comment", LAMPOFILE_CMD, false},
	    {"CMD ends in two \\\\", "ends in two \\\\", LAMPOFILE_CMD, false},
	};

	(void)state;
	for (size_t i = 0; i < countof(good); i++) {
		struct lampofile file;
		char text[256];
		snprintf(text, sizeof(text), "FROM scratch\n%s\n", good[i].text);
		const struct lampofile_instruction *in = only_second(&file, text);
		assert_int_equal(in->kind, good[i].kind);
		assert_int_equal(in->json, good[i].json);
		assert_int_equal(in->line, 2);
		expect_words(in, good[i].words);
		lampofile_free(&file);
	}
}

static void flags_are_taken_apart(void **state)
{
	struct lampofile file;
	const struct lampofile_instruction *in = only_second(
	    &file, "FROM --platform=linux/amd64 a/b:1 AS Base-1\nCOPY --link --from=0 --chown=a:b --chmod=755 x y");

	(void)state;
	assert_string_equal(file.instructions[0].platform, "linux/amd64");
	assert_string_equal(file.instructions[0].as, "base-1");
	assert_string_equal(in->from, "0");
	assert_string_equal(in->chown, "a:b");
	assert_string_equal(in->chmod, "755");
	expect_words(in, "x|y");
	lampofile_free(&file);
}

static void lines_are_counted_through_comments_and_continuations(void **state)
{
	struct lampofile file;

	(void)state;
	assert_int_equal(
	    parse(&file, "\xef\xbb\xbf# syntax=x\r\n\r\n# c\r\nFROM scratch\r\nENV a=1 \\\r\n b=2\r\n\r\nCMD x"), 0);
	assert_int_equal(file.count, 3);
	assert_int_equal(file.instructions[0].line, 4);
	assert_int_equal(file.instructions[1].line, 5);
	expect_words(&file.instructions[1], "a|1|b|2");
	assert_int_equal(file.instructions[2].line, 8);
	lampofile_free(&file);
}

static void the_escape_directive_changes_the_escape(void **state)
{
	struct lampofile file;

	(void)state;
	const struct lampofile_instruction *in = only_second(&file, "# escape=`\nFROM scratch\nCOPY a\\ `\n b\\");
	assert_int_equal(file.escape, '`');
	expect_words(in, "a\\|b\\");
	lampofile_free(&file);
	/* After anything else it is a comment. */
	assert_int_equal(parse(&file, "# a comment\n# escape=`\nFROM scratch"), 0);
	assert_int_equal(file.escape, '\\');
	lampofile_free(&file);
	assert_int_equal(parse(&file, "FROM scratch\n# escape=`\nCMD a \\\n b"), 0);
	expect_words(&file.instructions[1], "a  b");
	lampofile_free(&file);
}

static void what_is_wrong_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *says;
		unsigned line;
	} bad[] = {
	    {"", "no instructions", 0},
	    {"\n# only this\n", "no instructions", 0},
	    {"COPY a b", "FROM", 1},
	    {"FROM", "no arguments", 1},
	    {"FROM a b", "FROM IMAGE AS NAME", 1},
	    {"FROM a AS", "FROM IMAGE AS NAME", 1},
	    {"FROM a IS b", "FROM IMAGE AS NAME", 1},
	    {"FROM a AS 1b", "name for a stage", 1},
	    {"FROM a AS b/c", "name for a stage", 1},
	    {"FROM --x=1 a", "no flag", 1},
	    {"FROM --platform a", "value", 1},
	    {"FROM --platform= a", "value", 1},
	    {"FROM a\nRUN make", "RUN is not supported", 2},
	    {"FROM a\n\nrun make", "RUN is not supported", 3},
	    {"FROM a\nADD x y", "ADD is not supported", 2},
	    {"ARG A=1\nFROM a", "ARG is not supported", 1},
	    {"FROM a\nVOLUME /x", "VOLUME is not supported", 2},
	    {"FROM a\nHEALTHCHECK NONE", "HEALTHCHECK is not supported", 2},
	    {"FROM a\nSHELL [\"x\"]", "SHELL is not supported", 2},
	    {"FROM a\nSTOPSIGNAL 9", "STOPSIGNAL is not supported", 2},
	    {"FROM a\nONBUILD COPY a b", "ONBUILD is not supported", 2},
	    {"FROM a\nMAINTAINER x", "MAINTAINER is not supported", 2},
	    {"FROM a\nCOPYY x y", "no instruction 'COPYY'", 2},
	    {"FROM a\n\"COPY\" x y", "no instruction", 2},
	    {"FROM a\nCOPY", "no arguments", 2},
	    {"FROM a\nCOPY x", "destination", 2},
	    {"FROM a\nCOPY [\"x\"]", "destination", 2},
	    {"FROM a\nCOPY [\"\", \"x\"]", "empty", 2},
	    {"FROM a\nCOPY --from=b x", "destination", 2},
	    {"FROM a\nCOPY --from x y", "value", 2},
	    {"FROM a\nCOPY --from=b --from=c x y", "once", 2},
	    {"FROM a\nCOPY --parents x y", "--parents is not supported", 2},
	    {"FROM a\nCOPY --exclude=*.md x y", "--exclude is not supported", 2},
	    {"FROM a\nCOPY --nosuch=1 x y", "no flag '--nosuch", 2},
	    {"FROM a\nCOPY <<EOF /x\nhello\nEOF\n", "here-documents", 2},
	    {"FROM a\nENV A", "NAME=VALUE", 2},
	    {"FROM a\nENV A=1 B", "NAME=VALUE", 2},
	    {"FROM a\nENV =1", "NAME=VALUE", 2},
	    {"FROM a\nLABEL a=1 =2", "NAME=VALUE", 2},
	    {"FROM a\nCMD", "no arguments", 2},
	    {"# escape=x\nFROM a", "escape", 1},
	    {"# escape=\\\\\nFROM a", "escape", 1},
	    {"# escape=`\n# escape=`\nFROM a", "escape", 2},
	};

	(void)state;
	for (size_t i = 0; i < countof(bad); i++) {
		struct lampofile file;
		char where[32];
		if (parse(&file, bad[i].text) >= 0)
			fail_msg("'%s' was taken", bad[i].text);
		snprintf(where, sizeof(where), "File:%u", bad[i].line);
		if (strstr(err.text, bad[i].says) == NULL ||
		    (bad[i].line > 0 && strncmp(err.text, where, strlen(where)) != 0))
			fail_msg("'%s': %s", bad[i].text, err.text);
		assert_null(file.instructions);
	}
}

static void run_says_what_to_do_instead(void **state)
{
	struct lampofile file;

	(void)state;
	assert_int_equal(parse(&file, "FROM a\nRUN apt-get install x"), -EINVAL);
	assert_non_null(strstr(err.hint, "COPY"));
	assert_non_null(strstr(err.hint, "--program"));
	assert_non_null(strstr(err.hint, "FROM, COPY, ENV, WORKDIR, USER, EXPOSE, ENTRYPOINT, CMD, LABEL"));
}

static void what_is_no_text_is_refused(void **state)
{
	static const char zero[] = "FROM a\0b";
	struct lampofile file;

	(void)state;
	assert_int_equal(lampofile_parse(&file, zero, sizeof(zero), "File", &err), -EINVAL);
	assert_int_equal(lampofile_parse(&file, NULL, 0, "File", &err), -EINVAL);
}

static void sizes_are_bounded(void **state)
{
	struct lampofile file;
	struct text text = {0};

	(void)state;
	text_add_string(&text, "FROM a\n");
	for (unsigned i = 0; i < LAMPOFILE_INSTRUCTIONS_MAX; i++)
		assert_int_equal(text_add_string(&text, "CMD a\n"), 0);
	assert_int_equal(parse(&file, text.data), -EINVAL);
	assert_non_null(strstr(err.text, "instructions"));
	text_free(&text);
	text_add_string(&text, "FROM a\nCOPY");
	for (unsigned i = 0; i <= LAMPOFILE_WORDS_MAX; i++)
		assert_int_equal(text_add_string(&text, " a"), 0);
	assert_int_equal(parse(&file, text.data), -EINVAL);
	assert_non_null(strstr(err.text, "words"));
	text_free(&text);
	char *large = malloc(LAMPOFILE_BYTES_MAX + 1);
	memset(large, 'a', LAMPOFILE_BYTES_MAX + 1);
	assert_int_equal(lampofile_parse(&file, large, LAMPOFILE_BYTES_MAX + 1, "File", &err), -EFBIG);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(instructions_have_words),
	    cmocka_unit_test(flags_are_taken_apart),
	    cmocka_unit_test(lines_are_counted_through_comments_and_continuations),
	    cmocka_unit_test(the_escape_directive_changes_the_escape),
	    cmocka_unit_test(what_is_wrong_is_refused_with_its_line),
	    cmocka_unit_test(run_says_what_to_do_instead),
	    cmocka_unit_test(what_is_no_text_is_refused),
	    cmocka_unit_test(sizes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
