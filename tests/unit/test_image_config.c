/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations: what is read, how they change, what runs, and what is refused. */
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
#include "image/config.h"
#include "image/image_file.h"
#include "image/json.h"

static struct err err;

static int parse(struct image_config *config, const char *text)
{
	return image_config_parse(config, text, strlen(text), &err);
}

static void fields_are_read(void **state)
{
	struct image_config c;
	(void)state;

	assert_int_equal(
	    parse(&c, "{\"os\":\"linux\",\"config\":{\"Env\":[\"A=1\",\"B=\"],\"Entrypoint\":[\"/e\"],\"Cmd\":null,"
		      "\"User\":\"7:8\",\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGINT\",\"X\":[{}]}}"),
	    0);
	assert_string_equal(c.env[0], "A=1");
	assert_string_equal(c.env[1], "B=");
	assert_null(c.env[2]);
	assert_string_equal(c.entrypoint[0], "/e");
	assert_null(c.cmd);
	assert_string_equal(c.user, "7:8");
	assert_string_equal(c.working_dir, "/w");
	assert_string_equal(c.stop_signal, "SIGINT");
	image_config_free(&c);
	assert_int_equal(parse(&c, "{}"), 0);
	assert_null(c.env);
	assert_string_equal(c.user, "");
	image_config_free(&c);
	assert_int_equal(parse(&c, "{\"config\":null}"), 0);
	image_config_free(&c);
}

static void unknown_members_are_kept_and_the_dump_is_canonical(void **state)
{
	struct image_config c;
	(void)state;

	assert_int_equal(parse(&c, "{ \"z\" : [1, 2],\n\"config\":{\"User\":\"a\"}, \"a\":{\"y\":null,\"b\":1.5} }"),
			 0);
	char *text = image_config_dump(&c);
	assert_string_equal(text, "{\"a\":{\"b\":1.5,\"y\":null},\"config\":{\"User\":\"a\"},\"z\":[1,2]}");
	free(text);
	image_config_free(&c);
}

static void bad_configurations_are_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "null",
	    "[]",
	    "\"a\"",
	    "{",
	    "{} x",
	    "{\"config\":[]}",
	    "{\"config\":{\"Env\":\"A=1\"}}",
	    "{\"config\":{\"Env\":[1]}}",
	    "{\"config\":{\"Cmd\":[\"a\",null]}}",
	    "{\"config\":{\"Entrypoint\":{}}}",
	    "{\"config\":{\"User\":0}}",
	    "{\"config\":{\"WorkingDir\":[]}}",
	    "{\"config\":{\"User\":\"a\\u0000b\"}}",
	    "{\"config\":{\"User\":\"\xff\"}}",
	    "{\"config\":{},\"config\":{}}",
	    "{\"config\":{\"Cmd\":[],\"Cmd\":[]}}",
	    "{\"n\":123456789012345678901234567890}",
	    "{\"n\":\"\\ud800\"}",
	};
	struct image_config c;
	(void)state;

	for (size_t i = 0; i < countof(bad); i++) {
		assert_int_equal(parse(&c, bad[i]), -EINVAL);
		assert_null(c.root);
		assert_non_null(strstr(err.text, "configuration"));
	}
}

static void deep_wide_and_long_documents_are_refused(void **state)
{
	struct image_config c;
	size_t size = IMAGE_CONFIG_MAX + 2;
	char *text = malloc(size);
	(void)state;

	memset(text, '[', size);
	assert_int_equal(image_config_parse(&c, text, 100000, &err), -EINVAL);
	assert_non_null(strstr(err.text, "levels"));
	for (size_t i = 0; i < 500000; i++)
		memcpy(text + 2 * i, "1,", 2);
	text[0] = '[';
	assert_int_equal(image_config_parse(&c, text, 1000000, &err), -EINVAL);
	assert_non_null(strstr(err.text, "values"));
	memset(text, ' ', size);
	text[0] = '{';
	text[IMAGE_CONFIG_MAX] = '}';
	assert_int_equal(image_config_parse(&c, text, IMAGE_CONFIG_MAX + 1, &err), -EFBIG);
	text[IMAGE_CONFIG_MAX - 1] = '}';
	assert_int_equal(image_config_parse(&c, text, IMAGE_CONFIG_MAX, &err), 0);
	image_config_free(&c);
	/* Brackets in strings are no depth; an escaped quote does not end one. */
	memcpy(text, "{\"a\":\"\\\"", 8);
	memset(text + 8, '[', 1000);
	memcpy(text + 1008, "\"}", 2);
	assert_int_equal(image_config_parse(&c, text, 1010, &err), 0);
	image_config_free(&c);
	free(text);
}

static void members_change(void **state)
{
	struct image_config c;
	char *list[] = {"/bin/sh", "-c", "true", NULL};
	(void)state;

	assert_int_equal(image_config_new(&c), 0);
	assert_int_equal(image_config_set_string(&c, "User", "1000"), 0);
	assert_string_equal(c.user, "1000");
	assert_int_equal(image_config_set_list(&c, "Cmd", list), 0);
	assert_string_equal(c.cmd[2], "true");
	assert_int_equal(image_config_set_env(&c, "A", "1"), 0);
	assert_int_equal(image_config_set_env(&c, "AB", "2"), 0);
	assert_int_equal(image_config_set_env(&c, "A", "3"), 0);
	assert_string_equal(c.env[0], "A=3");
	assert_string_equal(c.env[1], "AB=2");
	assert_null(c.env[2]);
	assert_int_equal(image_config_set_env(&c, "A", NULL), 0);
	assert_string_equal(c.env[0], "AB=2");
	assert_int_equal(image_config_set_label(&c, "l", "v"), 0);
	assert_int_equal(image_config_add_port(&c, "80/tcp"), 0);
	assert_int_equal(image_config_add_history(&c, "RUN x", true), 0);
	assert_int_equal(image_config_add_history(&c, "COPY", false), 0);
	assert_int_equal(image_config_set_string(&c, "User", NULL), 0);
	char *text = image_config_dump(&c);
	assert_string_equal(
	    text, "{\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"/bin/sh\",\"-c\",\"true\"],\"Env\":[\"AB=2\"],"
		  "\"ExposedPorts\":{\"80/tcp\":{}},\"Labels\":{\"l\":\"v\"}},\"history\":[{\"created_by\":\"RUN x\","
		  "\"empty_layer\":true},{\"created_by\":\"COPY\"}],\"os\":\"linux\"}");
	free(text);
	assert_int_equal(image_config_set_label(&c, "l", NULL), 0);
	assert_int_equal(image_config_set_list(&c, "Cmd", NULL), 0);
	assert_null(c.cmd);
	image_config_free(&c);
}

static void changes_that_are_no_text_are_refused(void **state)
{
	struct image_config c;
	char *list[] = {"\xff", NULL};
	(void)state;

	assert_int_equal(image_config_new(&c), 0);
	assert_int_equal(image_config_set_string(&c, "User", "\xc3"), -EINVAL);
	assert_int_equal(image_config_set_list(&c, "Cmd", list), -EINVAL);
	assert_int_equal(image_config_set_env(&c, "A", "\xff"), -EINVAL);
	assert_int_equal(image_config_set_label(&c, "A", "\xff"), -EINVAL);
	image_config_free(&c);
	assert_int_equal(parse(&c, "{\"config\":{\"Labels\":[],\"ExposedPorts\":1},\"history\":{}}"), 0);
	assert_int_equal(image_config_set_label(&c, "A", "1"), -EINVAL);
	assert_int_equal(image_config_add_port(&c, "1/tcp"), -EINVAL);
	assert_int_equal(image_config_add_history(&c, "x", false), -EINVAL);
	image_config_free(&c);
}

/* entry, cmd: JSON; arguments and override: words; "-" for none. */
static void command_is(const char *entry, const char *cmd, const char *arguments, const char *override,
		       const char *expected)
{
	struct image_config c;
	char json[256], words[64], result[256] = "";
	char *list[8] = {NULL};
	const char *entrypoint[2] = {override, NULL};
	size_t n = 0;
	char **command;

	snprintf(json, sizeof(json), "{\"config\":{\"Entrypoint\":%s,\"Cmd\":%s}}", entry, cmd);
	assert_int_equal(parse(&c, json), 0);
	snprintf(words, sizeof(words), "%s", arguments);
	for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
		list[n++] = word;
	int r = image_config_command(&c, list, override != NULL ? entrypoint : NULL, &command, &err);
	if (expected == NULL) {
		assert_int_equal(r, -ENOEXEC);
		assert_null(command);
	} else {
		assert_int_equal(r, 0);
		for (char **p = command; *p != NULL; p++) {
			strcat(result, *p);
			strcat(result, " ");
		}
		assert_string_equal(result, expected);
		free(command);
	}
	image_config_free(&c);
}

static void the_command_is_what_docker_would_run(void **state)
{
	(void)state;
	command_is("[\"e\",\"1\"]", "[\"c\"]", "", NULL, "e 1 c ");
	command_is("[\"e\",\"1\"]", "[\"c\"]", "x y", NULL, "e 1 x y ");
	command_is("null", "[\"c\",\"2\"]", "", NULL, "c 2 ");
	command_is("null", "[\"c\"]", "x", NULL, "x ");
	command_is("[\"e\"]", "null", "", NULL, "e ");
	command_is("[]", "[\"c\"]", "", NULL, "c ");
	command_is("[\"e\"]", "[\"c\"]", "", "o", "o ");
	command_is("[\"e\"]", "[\"c\"]", "x", "o", "o x ");
	command_is("[\"e\"]", "[\"c\"]", "x", "", "x ");
	command_is("[\"e\"]", "[\"c\"]", "", "", NULL);
	command_is("null", "null", "", NULL, NULL);
	command_is("[]", "[]", "", NULL, NULL);
	command_is("[\"\"]", "[\"c\"]", "", NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_are_read),
	    cmocka_unit_test(unknown_members_are_kept_and_the_dump_is_canonical),
	    cmocka_unit_test(bad_configurations_are_refused),
	    cmocka_unit_test(deep_wide_and_long_documents_are_refused),
	    cmocka_unit_test(members_change),
	    cmocka_unit_test(changes_that_are_no_text_are_refused),
	    cmocka_unit_test(the_command_is_what_docker_would_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
