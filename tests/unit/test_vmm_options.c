/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's command line: what is given arrives, what is wrong is named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "vmm/options.h"

#define PARSE(...) parse((char *[]){"lampo-vmm", __VA_ARGS__, NULL})

static struct options options;
static struct err err;

static int parse(char **argv)
{
	int argc = 0;
	while (argv[argc] != NULL)
		argc++;
	options_fini(&options);
	return options_parse(&options, argc, argv, &err);
}

static void defaults_are_sensible(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--", "true"), 0);
	assert_int_equal(options.cpus, 1);
	assert_int_equal(options.memory_bytes, OPTIONS_MEMORY_DEFAULT);
	assert_int_equal(options.report_fd, -1);
	assert_int_equal(options.root_fd, -1);
	assert_string_equal(options.cwd, "/");
	assert_int_equal(options.argc, 1);
	assert_false(options.timing || options.tty || options.standard_input || options.detach);
}

static void all_that_is_given_arrives(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--id", "x1", "--cpus", "4", "--memory", "67108865", "--report-fd", "5", "--control-fd",
			       "6", "--state-fd", "7", "--lock-fd", "8", "--root-fd", "9", "--env", "A=1", "--env",
			       "B=", "--visible", "usr", "--hidden", "etc/shadow", "--volume", "10:ro:/a", "--volume",
			       "11:rw:/b:c", "--timing", "123", "--uid", "1000", "--gid", "1001", "--rows", "24",
			       "--columns", "80", "--tty", "--stdin", "--detach", "--root-overlay", "--strace",
			       "--counts", "--overflow-to-root", "--", "prog", "--cpus", "-x"),
			 0);
	assert_int_equal(options.cpus, 4);
	assert_int_equal(options.memory_bytes, 66u << 20); /* rounded up to 2 MiB */
	assert_int_equal(options.root_fd, 9);
	assert_int_equal(options.lock_fd, 8);
	assert_int_equal(options.env_count, 2);
	assert_string_equal(options.env[1], "B=");
	assert_int_equal(options.volume_count, 2);
	assert_true(options.volumes[0].read_only);
	assert_false(options.volumes[1].read_only);
	assert_int_equal(options.volumes[1].fd, 11);
	assert_string_equal(options.volumes[1].target, "/b:c");
	assert_int_equal(options.start_ns, 123);
	assert_int_equal(options.columns, 80);
	assert_true(options.timing && options.tty && options.standard_input && options.detach && options.root_overlay);
	assert_int_equal(options.argc, 3);
	assert_string_equal(options.argv[1], "--cpus");
}

/* Command lines are public on the host, environments are not. */
static void the_environment_is_taken_if_asked_for(void **state)
{
	(void)state;
	clearenv();
	assert_int_equal(setenv("+SECRET", "x=y", 1), 0);
	assert_int_equal(setenv("OWN", "z", 1), 0);
	assert_int_equal(PARSE("--env", "A=1", "--visible", "usr", "--hidden", "etc", "--", "true"), 0);
	assert_int_equal(options.env_count, 1);
	assert_int_equal(PARSE("--env", "A=1", "--environment", "--visible", "usr", "--hidden", "etc", "--", "true"),
			 0);
	assert_int_equal(options.env_count, 2);
	assert_string_equal(options.env[0], "A=1");
	assert_string_equal(options.env[1], "SECRET=x=y");
	assert_string_equal(options.visible[0], "usr");
	assert_string_equal(options.hidden[0], "etc");
}

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void there_is_one_root(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--", "true"), 0);
	assert_int_equal(options.image_fd, -1);
	assert_int_equal(PARSE("--image-fd", "5", "--", "true"), 0);
	assert_int_equal(options.image_fd, 5);
	assert_false(options.image_digest_given);
	assert_int_equal(PARSE("--image-fd", "5", "--image-digest", DIGEST, "--", "true"), 0);
	assert_true(options.image_digest_given && options.image_digest.bytes[1] == 0x23);
	assert_int_equal(PARSE("--image-fd", "5", "--root-fd", "6", "--", "true"), -EINVAL);
	assert_int_equal(PARSE("--image-digest", DIGEST, "--", "true"), -EINVAL);
}

static void wrong_values_are_named(void **state)
{
	(void)state;
	char *const wrong[][2] = {
	    {"--cpus", "0"},
	    {"--cpus", "33"},
	    {"--cpus", "-1"},
	    {"--cpus", "1x"},
	    {"--cpus", ""},
	    {"--cpus", " 1"},
	    {"--memory", "1"},
	    {"--memory", "99999999999999999999999"},
	    {"--memory", "0x10000000"},
	    {"--report-fd", "2147483648"},
	    {"--uid", "4294967295"},
	    {"--rows", "65536"},
	    {"--volume", "3"},
	    {"--volume", "3:rx:/a"},
	    {"--volume", "3:ro:a"},
	    {"--volume", ":ro:/a"},
	    {"--volume", "999999999999:ro:/a"},
	    {"--volume", "3:ro"},
	    {"--image-fd", "-1"},
	    {"--image-fd", "x"},
	    {"--image-digest", "sha256:0"},
	    {"--image-digest", "0123"},
	    {"--no-such", "1"},
	};
	for (size_t i = 0; i < countof(wrong); i++) {
		err.text[0] = '\0';
		if (PARSE(wrong[i][0], wrong[i][1], "--", "true") != -EINVAL)
			fail_msg("%s %s was taken", wrong[i][0], wrong[i][1]);
		assert_non_null(strstr(err.text, wrong[i][0]));
	}
}

static void a_command_is_needed(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--cpus", "1"), -EINVAL);
	assert_int_equal(PARSE("--cpus"), -EINVAL);
	assert_int_equal(PARSE("--help"), 0);
	assert_true(options.help);
}

static void too_many_volumes_are_refused(void **state)
{
	(void)state;
	char *argv[64] = {"lampo-vmm"};
	unsigned n = 1;
	for (unsigned i = 0; i < LAMPO_MOUNTS_MAX; i++) {
		argv[n++] = "--volume";
		argv[n++] = "3:ro:/a";
	}
	argv[n++] = "--";
	argv[n++] = "true";
	assert_int_equal(parse(argv), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_are_sensible),
	    cmocka_unit_test(all_that_is_given_arrives),
	    cmocka_unit_test(the_environment_is_taken_if_asked_for),
	    cmocka_unit_test(there_is_one_root),
	    cmocka_unit_test(wrong_values_are_named),
	    cmocka_unit_test(a_command_is_needed),
	    cmocka_unit_test(too_many_volumes_are_refused),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	options_fini(&options);
	return r;
}
