/* SPDX-License-Identifier: Apache-2.0 */
/* What registries ask for (WWW-Authenticate), and the credentials that Docker's files and helpers have for them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/util.h"
#include "image/auth.h"

static struct err err;

static void challenges_are_taken_apart(void **state)
{
	static const struct {
		const char *value;
		enum auth_scheme scheme;
		const char *realm, *service, *scope;
	} good[] = {
	    {"Basic realm=\"x\"", AUTH_BASIC, "x", "", ""},
	    {"basic", AUTH_BASIC, "", "", ""},
	    {"BASIC realm=word", AUTH_BASIC, "word", "", ""},
	    {"Bearer realm=\"https://a/t\",service=\"s\",scope=\"repository:x:pull,push\"", AUTH_BEARER, "https://a/t",
	     "s", "repository:x:pull,push"},
	    {"bearer  Realm = \"https://a/t\" , SERVICE=s", AUTH_BEARER, "https://a/t", "s", ""},
	    {"Bearer realm=\"a\\\"b\\\\c, Basic realm=d\"", AUTH_BEARER, "a\"b\\c, Basic realm=d", "", ""},
	    {"Basic realm=\"x\", Bearer realm=\"y\"", AUTH_BEARER, "y", "", ""},
	    {"Bearer realm=\"y\", Basic realm=\"x\"", AUTH_BEARER, "y", "", ""},
	    {"Negotiate, Basic realm=\"x\"", AUTH_BASIC, "x", "", ""},
	    {"Negotiate YWJj==, Basic realm=\"x\"", AUTH_BASIC, "x", "", ""},
	    {"Digest realm=\"d\", nonce=\"a,b\", Basic realm=\"x\",", AUTH_BASIC, "x", "", ""},
	    {",, ,Basic realm=\"x\" ,, charset=\"UTF-8\"", AUTH_BASIC, "x", "", ""},
	    {"Bearer error=\"invalid_token\",realm=\"r\"", AUTH_BEARER, "r", "", ""},
	    {"Negotiate", AUTH_NONE, "", "", ""},
	    {"", AUTH_NONE, "", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < countof(good); i++) {
		struct auth_challenge c = {0};
		if (auth_challenge_parse(&c, good[i].value) != 0)
			fail_msg("'%s' was refused", good[i].value);
		assert_int_equal(c.scheme, good[i].scheme);
		assert_string_equal(c.realm, good[i].realm);
		assert_string_equal(c.service, good[i].service);
		assert_string_equal(c.scope, good[i].scope);
	}
}

static void challenges_that_make_no_sense_are_refused(void **state)
{
	static const char *const bad[] = {
	    "Bearer",
	    "Bearer service=\"s\"",
	    "Bearer realm=\"\"",
	    "Bearer realm=\"x",
	    "Bearer realm=\"x\\",
	    "Bearer realm=\"x\\\"",
	    "Bearer realm=",
	    "Bearer realm",
	    "Bearer realm=\"x\" service=\"s\"",
	    "Bearer realm=\"x\"service=\"s\"",
	    "Bearer realm=\"a\r\nX-Evil: 1\"",
	    "Bearer realm=\"a\tb\"",
	    "Bearer \"x\"",
	    "Bearer =x",
	    "Bearer realm=\"x\", =y",
	    "\"Bearer\" realm=x",
	    "Bearer:realm=x",
	    "Bearer/1 realm=x",
	    "(x)",
	    "Basic realm=\"x\", @",
	};

	(void)state;
	for (size_t i = 0; i < countof(bad); i++) {
		struct auth_challenge c = {.scheme = AUTH_BASIC, .realm = "before"};
		if (auth_challenge_parse(&c, bad[i]) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(c.scheme, AUTH_BASIC);
		assert_string_equal(c.realm, "before");
	}
}

static void challenges_have_limits(void **state)
{
	struct auth_challenge c = {0};
	size_t room = 100000;
	char *value = malloc(room);

	(void)state;
	assert_non_null(value);
	/* The longest realm that fits, and one more. */
	for (size_t length = sizeof(c.realm) - 1; length <= sizeof(c.realm); length++) {
		size_t at = (size_t)snprintf(value, room, "Bearer realm=\"");
		memset(value + at, 'r', length);
		memcpy(value + at + length, "\"", 2);
		assert_int_equal(auth_challenge_parse(&c, value), length < sizeof(c.realm) ? 0 : -EINVAL);
	}
	/* More parameters than anybody has. */
	size_t at = (size_t)snprintf(value, room, "Bearer realm=x");
	for (int i = 0; i < 100; i++)
		at += (size_t)snprintf(value + at, room - at, ",a=b");
	assert_int_equal(auth_challenge_parse(&c, value), -EINVAL);
	free(value);
}

static struct credentials credentials;
static char helper[64];

static int look(const char *json, const char *registry, const char *repository)
{
	return credentials_parse(&credentials, json, strlen(json), registry, repository, helper, "config.json", &err);
}

/* "bWU6c2VjcmV0" is me:secret, "eW91OmE6Yg==" is you:a:b */
static void the_entry_for_the_registry_is_found(void **state)
{
	static const char file[] =
	    "{\"auths\": {\"h.x\": {\"auth\": \"bWU6c2VjcmV0\"}, \"https://h.y/v1/\": {\"auth\": \"eW91OmE6Yg==\"},"
	    "\"h.x:5000\": {\"username\": \"u\", \"password\": \"p\"}, \"h.x/team\": {\"auth\": \"eW91OmE6Yg==\"},"
	    "\"tok.en\": {\"auth\": \"\", \"identitytoken\": \"T\"}, \"empty.x\": {}}, \"HttpHeaders\": {\"a\": "
	    "\"b\"}}";

	(void)state;
	assert_int_equal(look(file, "h.x", "app"), 0);
	assert_string_equal(credentials.user, "me");
	assert_string_equal(credentials.secret, "secret");
	assert_int_equal(look(file, "h.y", "app"), 0);
	assert_string_equal(credentials.user, "you");
	assert_string_equal(credentials.secret, "a:b");
	assert_int_equal(look(file, "h.x:5000", "team/app"), 0);
	assert_string_equal(credentials.user, "u");
	/* The longest path wins, at borders of components only. */
	assert_int_equal(look(file, "h.x", "team/app"), 0);
	assert_string_equal(credentials.user, "you");
	assert_int_equal(look(file, "h.x", "teams"), 0);
	assert_string_equal(credentials.user, "me");
	assert_int_equal(look(file, "tok.en", "a"), 0);
	assert_true(credentials.identity_token);
	assert_string_equal(credentials.secret, "T");
	assert_int_equal(look(file, "empty.x", "a"), -ENOENT);
	assert_int_equal(look(file, "h.xx", "a"), -ENOENT);
	assert_int_equal(look(file, "h", "a"), -ENOENT);
	assert_int_equal(look(file, "x", "a"), -ENOENT);
	assert_int_equal(look("{}", "h.x", "a"), -ENOENT);
}

static void helpers_are_named(void **state)
{
	static const char file[] = "{\"credsStore\": \"all\", \"credHelpers\": {\"h.x\": \"one\"}}";

	(void)state;
	assert_int_equal(look(file, "h.x", "a"), -ENOENT);
	assert_string_equal(helper, "one");
	assert_int_equal(look(file, "h.y", "a"), -ENOENT);
	assert_string_equal(helper, "all");
	assert_int_equal(look("{\"credsStore\": \"../../bin/sh\"}", "h.x", "a"), -EINVAL);
	assert_int_equal(look("{\"credHelpers\": {\"h.x\": \"a b\"}}", "h.x", "a"), -EINVAL);
}

static void damaged_files_are_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "{",
	    "[]",
	    "{\"auths\": 1}",
	    "{\"auths\": []}",
	    "{\"credsStore\": {}}",
	    "{\"credHelpers\": \"x\"}",
	    "{\"credHelpers\": {\"h.x\": 1}}",
	    "{\"auths\": {\"h.x\": {\"auth\": \"!!!!\"}}}",
	    "{\"auths\": {\"h.x\": {\"auth\": \"bWU\"}}}",
	    "{\"auths\": {\"h.x\": {\"auth\": \"bm9jb2xvbg==\"}}}", /* nocolon */
	    "{\"auths\": {\"h.x\": {\"auth\": \"bWU6YQpi\"}}}",     /* me:a\nb */
	    "{\"auths\": {\"h.x\": {\"username\": \"a:b\", \"password\": \"p\"}}}",
	    "{\"auths\": {\"h.x\": {\"username\": \"a\\nb\", \"password\": \"p\"}}}",
	};

	(void)state;
	for (size_t i = 0; i < countof(bad); i++) {
		int code = look(bad[i], "h.x", "a");
		if (code >= 0 || code == -ENOENT)
			fail_msg("'%s' was taken", bad[i]);
	}
}

static void basic_is_base64(void **state)
{
	(void)state;
	memset(&credentials, 0, sizeof(credentials));
	strcpy(credentials.user, "me");
	strcpy(credentials.secret, "secret");
	char *line = credentials_basic(&credentials);
	assert_string_equal(line, "Authorization: Basic bWU6c2VjcmV0");
	credentials_forget(line);
	memset(credentials.user, 'u', sizeof(credentials.user) - 1);
	memset(credentials.secret, 's', sizeof(credentials.secret) - 1);
	line = credentials_basic(&credentials);
	assert_int_equal(strlen(line), strlen("Authorization: Basic ") + (1023 + 1 + 16383 + 2) / 3 * 4);
	credentials_forget(line);
}

static char folder[] = "/tmp/lampo-test-auth-XXXXXX";

/* A helper with that shell script as its body; asks it. */
static int ask(const char *script)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/docker-credential-test", folder);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", script);
	fclose(f);
	chmod(path, 0755);
	int code = credentials_ask_helper(&credentials, "test", "h.x:5000", &err);
	unlink(path);
	return code;
}

static void helpers_are_asked(void **state)
{
	(void)state;
	assert_int_equal(
	    ask("read r; [ \"$1 $r\" = 'get h.x:5000' ] && echo '{\"ServerURL\":\"h.x:5000\",\"Username\":\"me\","
		"\"Secret\":\"s\"}'"),
	    0);
	assert_string_equal(credentials.user, "me");
	assert_string_equal(credentials.secret, "s");
	assert_false(credentials.identity_token);
	assert_int_equal(ask("echo '{\"Username\":\"<token>\",\"Secret\":\"s\"}'"), 0);
	assert_true(credentials.identity_token);
	assert_int_equal(ask("echo credentials not found in native keychain; exit 1"), -ENOENT);
}

static void helpers_that_fail_are_reported(void **state)
{
	(void)state;
	assert_int_equal(ask("echo locked; exit 3"), -EACCES);
	assert_non_null(strstr(err.text, "locked"));
	assert_non_null(strstr(err.text, "docker-credential-test"));
	assert_int_equal(ask("kill -9 $$"), -EACCES);
	assert_int_equal(ask("echo nonsense"), -EINVAL);
	assert_int_equal(ask(":"), -EINVAL);
	assert_int_equal(ask("exec yes"), -EFBIG);
	assert_int_equal(ask("echo '{\"Username\":\"a:b\",\"Secret\":\"s\"}'"), -EINVAL);
	assert_int_equal(ask("echo '{\"Username\":1,\"Secret\":\"s\"}'"), -EINVAL);
	assert_int_equal(credentials_ask_helper(&credentials, "missing", "h.x", &err), -ENOEXEC);
}

static int make_folder(void **state)
{
	char path[256];

	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s:/usr/bin:/bin", folder);
	return setenv("PATH", path, 1);
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(challenges_are_taken_apart),
	    cmocka_unit_test(challenges_that_make_no_sense_are_refused),
	    cmocka_unit_test(challenges_have_limits),
	    cmocka_unit_test(the_entry_for_the_registry_is_found),
	    cmocka_unit_test(helpers_are_named),
	    cmocka_unit_test(damaged_files_are_refused),
	    cmocka_unit_test(basic_is_base64),
	    cmocka_unit_test(helpers_are_asked),
	    cmocka_unit_test(helpers_that_fail_are_reported),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
