/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands is sound, and the parser does with it what every program does. */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "cli/command.h"
#include "cli/environment.h"
#include "cli/table.h"

static struct err err;

static void the_table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command *c = &commands[i];
		assert_non_null(c->name);
		assert_ptr_equal(command_find(c->name), c);
		assert_true(c->summary[0] != '\0' && c->summary[strlen(c->summary) - 1] != '.');
		assert_int_equal(c->text[strlen(c->text) - 1], '.');
		assert_non_null(c->arguments);
		for (size_t j = 0; j < c->option_count; j++) {
			const struct command_option *o = &c->options[j];
			assert_true(strlen(o->help) > 0 && strchr(".)", o->help[strlen(o->help) - 1]) != NULL);
			assert_true(strcmp(o->name, "help") != 0);
			for (size_t k = 0; k < j; k++) {
				assert_string_not_equal(o->name, c->options[k].name);
				assert_true(o->letter == 0 || o->letter != c->options[k].letter);
			}
		}
	}
	assert_null(command_find("nosuch"));
	assert_null(command_find(""));
}

/* Parses a line of words. */
static int parse(struct arguments *arguments, const char *line)
{
	static char copy[256];
	static char *argv[32];
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	return arguments_parse(arguments, command_find(argv[0]), argc, argv, &err);
}

static void all_forms_of_options(void **state)
{
	static const char *const lines[] = {
	    "run --memory 64M -d -i true x",
	    "run --memory=64M --detach --interactive true x",
	    "run -m 64M -di true x",
	    "run -m64M -id true x",
	    "run -dim64M true x",
	    "run -dim 64M -- true x",
	    "run -m 1G -m 64M -d -d -i true x",
	};

	(void)state;
	for (size_t i = 0; i < countof(lines); i++) {
		struct arguments a;
		assert_int_equal(parse(&a, lines[i]), 0);
		assert_string_equal(arguments_value(&a, "memory"), "64M");
		assert_true(arguments_have(&a, "detach"));
		assert_true(arguments_have(&a, "interactive"));
		assert_false(arguments_have(&a, "tty"));
		assert_null(arguments_value(&a, "name"));
		assert_int_equal(a.rest_count, 2);
		assert_string_equal(a.rest[0], "true");
		assert_string_equal(a.rest[1], "x");
		assert_null(a.rest[2]);
		arguments_fini(&a);
	}
}

static void what_follows_the_program_is_its_own(void **state)
{
	struct arguments a;

	(void)state;
	assert_int_equal(parse(&a, "run -d ls -l --memory -- -x"), 0);
	assert_int_equal(a.value_count, 1);
	assert_int_equal(a.rest_count, 5);
	assert_string_equal(a.rest[3], "--");
	arguments_fini(&a);
	assert_int_equal(parse(&a, "run -- --memory"), 0);
	assert_int_equal(a.rest_count, 1);
	arguments_fini(&a);
	assert_int_equal(parse(&a, "run -"), 0);
	assert_string_equal(a.rest[0], "-");
	arguments_fini(&a);
}

static void dashes_count_only_before_the_first_argument(void **state)
{
	static const struct {
		const char *line;
		bool dashes;
	} lines[] = {{"run -- x", true}, {"run -d -- x --", true}, {"run x -- y", false}, {"run -d x", false}};
	struct arguments a;

	(void)state;
	for (size_t i = 0; i < countof(lines); i++) {
		assert_int_equal(parse(&a, lines[i].line), 0);
		assert_int_equal(a.dashes, lines[i].dashes);
		arguments_fini(&a);
	}
}

static void commands_of_two_words_are_matched(void **state)
{
	char run[] = "run", image[] = "image", inspect[] = "inspect", both[] = "image inspect", nosuch[] = "nosuch";
	int used;

	(void)state;
	assert_string_equal(command_match(2, (char *[]){run, image}, &used, &err)->name, "run");
	assert_int_equal(used, 1);
	assert_string_equal(command_match(3, (char *[]){image, inspect, run}, &used, &err)->name, "image inspect");
	assert_int_equal(used, 2);
	assert_null(command_match(1, (char *[]){both}, &used, &err));
	assert_null(command_match(1, (char *[]){image}, &used, &err));
	assert_null(command_match(2, (char *[]){image, nosuch}, &used, &err));
	assert_null(command_match(1, (char *[]){inspect}, &used, &err));
	assert_true(command_is_group("image"));
	assert_false(command_is_group("imag"));
	assert_false(command_is_group("images"));
	assert_false(command_is_group("image inspect"));
}

static void options_may_follow_arguments_elsewhere(void **state)
{
	struct arguments a;

	(void)state;
	assert_int_equal(parse(&a, "kill one -s TERM two -- -three"), 0);
	assert_int_equal(a.rest_count, 3);
	assert_string_equal(a.rest[2], "-three");
	assert_string_equal(arguments_value(&a, "signal"), "TERM");
	arguments_fini(&a);
}

static void wrong_use_is_refused(void **state)
{
	static const char *const bad[] = {
	    "run",          "run --",       "run -d", "run --nosuch true",   "run --mem 1G true", "run -z true",
	    "run -dz true", "run --memory", "run -m", "run --detach=1 true", "run --=x true",     "ps x",
	    "logs",         "logs a b",     "wait",   "help a b c",          "kill -s",           "rm -x a",
	};

	(void)state;
	for (size_t i = 0; i < countof(bad); i++) {
		struct arguments a;
		if (parse(&a, bad[i]) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
		assert_non_null(strstr(err.hint, "lampo help"));
		assert_null(a.values);
	}
}

static bool has(const struct environment *e, const char *string)
{
	for (size_t i = 0; i < e->count; i++)
		if (strcmp(e->strings[i], string) == 0)
			return true;
	return false;
}

static void environment_is_a_choice(void **state)
{
	struct arguments a;
	struct environment e;

	(void)state;
	clearenv();
	setenv("HOME", "/home/me", 1);
	setenv("LC_TIME", "C", 1);
	setenv("SECRET", "s", 1);
	setenv("GIVEN", "g", 1);
	setenv("HOMER", "h", 1);
	assert_int_equal(parse(&a, "run -e A=1 -e A=2 -e GIVEN -e MISSING -e EMPTY= -e HOME=/x true"), 0);
	assert_int_equal(environment_init(&e, &a, true, &err), 0);
	assert_true(has(&e, "A=2") && has(&e, "GIVEN=g") && has(&e, "EMPTY=") && has(&e, "HOME=/x") &&
		    has(&e, "LC_TIME=C"));
	assert_true(has(&e, "TERM=xterm"));
	assert_int_equal(e.count, 7); /* and PATH */
	assert_null(e.strings[7]);
	environment_fini(&e);
	arguments_fini(&a);
	assert_int_equal(parse(&a, "run -e =x true"), 0);
	assert_int_equal(environment_init(&e, &a, false, &err), -EINVAL);
	environment_fini(&e);
	arguments_fini(&a);
}

static void an_image_has_its_own_environment(void **state)
{
	char *image[] = {(char *)"A=1", (char *)"PATH=/bin", (char *)"broken", (char *)"=x", (char *)"A=2", NULL};
	struct arguments a;
	struct environment e;

	(void)state;
	setenv("PATH", "/callers", 1);
	setenv("LANG", "callers", 1);
	assert_int_equal(parse(&a, "run -e B=3 x"), 0);
	assert_int_equal(environment_init_image(&e, &a, image, "/home/x", true, &err), 0);
	assert_int_equal(e.count, 5);
	assert_true(has(&e, "A=2") && has(&e, "B=3") && has(&e, "PATH=/bin") && has(&e, "HOME=/home/x") &&
		    has(&e, "TERM=xterm"));
	environment_fini(&e);
	assert_int_equal(environment_init_image(&e, &a, NULL, "/", false, &err), 0);
	assert_int_equal(e.count, 3);
	environment_fini(&e);
	arguments_fini(&a);
}

static void quantities_are_readable(void **state)
{
	static const struct {
		uint64_t n;
		const char *text;
	} bytes[] = {{0, "0"},          {1023, "1023"},       {1024, "1K"},          {1536, "1.5K"},
		     {64 << 20, "64M"}, {3ull << 29, "1.5G"}, {5ull << 50, "5120T"}, {123456789, "118M"}},
	  times[] = {{0, "0.00s"},
		     {42000000, "0.04s"},
		     {59990000000, "59.99s"},
		     {65000000000, "1m 05s"},
		     {7860000000000, "2h 11m"},
		     {360000000000000, "4d 04h"}};
	char text[24];

	(void)state;
	for (size_t i = 0; i < countof(bytes); i++) {
		table_format_bytes(text, sizeof(text), bytes[i].n);
		assert_string_equal(text, bytes[i].text);
	}
	for (size_t i = 0; i < countof(times); i++) {
		table_format_duration(text, sizeof(text), times[i].n);
		assert_string_equal(text, times[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_table_is_sound),
	    cmocka_unit_test(all_forms_of_options),
	    cmocka_unit_test(what_follows_the_program_is_its_own),
	    cmocka_unit_test(dashes_count_only_before_the_first_argument),
	    cmocka_unit_test(commands_of_two_words_are_matched),
	    cmocka_unit_test(options_may_follow_arguments_elsewhere),
	    cmocka_unit_test(wrong_use_is_refused),
	    cmocka_unit_test(environment_is_a_choice),
	    cmocka_unit_test(an_image_has_its_own_environment),
	    cmocka_unit_test(quantities_are_readable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
