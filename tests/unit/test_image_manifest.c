/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests and indexes: both families are read, one platform is chosen, and nothing has two meanings. */
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
#include "image/manifest.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX
#define DESCRIPTOR(type, size) "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":" size "}"
#define CONFIG DESCRIPTOR(MEDIA_OCI_CONFIG, "7")
#define LAYER DESCRIPTOR(MEDIA_OCI_LAYER_GZIP, "100")
#define PLAIN "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[" LAYER "]}"
#define TYPED(type) "{\"schemaVersion\":2,\"mediaType\":\"" type "\",\"config\":" CONFIG ",\"layers\":[" LAYER "]}"

static struct err err;
static struct manifest m;

static int parse(const char *text, const char *content_type)
{
	return manifest_parse(&m, text, strlen(text), content_type, "the manifest", &err);
}

static void manifests_of_both_families_are_read(void **state)
{
	(void)state;
	assert_int_equal(parse(PLAIN, NULL), 0);
	assert_false(m.index);
	assert_string_equal(m.media_type, MEDIA_OCI_MANIFEST);
	assert_string_equal(m.config.media_type, MEDIA_OCI_CONFIG);
	assert_int_equal(m.config.bytes, 7);
	assert_int_equal(m.layer_count, 1);
	assert_string_equal(m.layers[0].digest, DIGEST);
	assert_int_equal(m.layers[0].bytes, 100);
	assert_string_equal(m.subject.digest, "");
	manifest_free(&m);
	assert_int_equal(parse(PLAIN, MEDIA_OCI_MANIFEST "; charset=utf-8"), 0);
	manifest_free(&m);
	assert_int_equal(parse(PLAIN, MEDIA_DOCKER_MANIFEST), 0);
	assert_string_equal(m.media_type, MEDIA_DOCKER_MANIFEST);
	manifest_free(&m);
	assert_int_equal(parse(TYPED(MEDIA_DOCKER_MANIFEST), MEDIA_DOCKER_MANIFEST), 0);
	manifest_free(&m);
	assert_int_equal(
	    parse("{\"schemaVersion\":2,\"artifactType\":\"a/b\",\"config\":" CONFIG
		  ",\"layers\":[],\"subject\":" DESCRIPTOR(MEDIA_OCI_MANIFEST, "5") ",\"annotations\":{\"k\":\"v\"}}",
		  NULL),
	    0);
	assert_string_equal(m.artifact_type, "a/b");
	assert_string_equal(m.subject.digest, DIGEST);
	assert_string_equal(json_string_value(json_object_get(m.annotations, "k")), "v");
	manifest_free(&m);
}

#define ENTRY(type, platform) "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":5" platform "}"
#define PLATFORM(os, arch, more) ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"" more "}"
#define INDEX(entries) "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"manifests\":[" entries "]}"

static void selects(const char *text, int which)
{
	const struct manifest_descriptor *entry;

	assert_int_equal(parse(text, NULL), 0);
	assert_true(m.index);
	int r = manifest_select(&m, &entry, "the index", &err);
	if (which < 0)
		assert_int_equal(r, -ENOENT);
	else
		assert_ptr_equal(entry, &m.layers[which]);
	manifest_free(&m);
}

static void the_platform_is_chosen(void **state)
{
	(void)state;
	selects(INDEX(ENTRY(MEDIA_OCI_MANIFEST, PLATFORM("linux", "arm64", "")) "," ENTRY(
		    MEDIA_OCI_MANIFEST, PLATFORM("linux", "amd64", ""))),
		1);
	selects(INDEX(ENTRY(MEDIA_OCI_MANIFEST, PLATFORM("linux", "amd64", ",\"variant\":\"v3\"")) "," ENTRY(
		    MEDIA_OCI_MANIFEST,
		    PLATFORM("linux", "amd64", ",\"variant\":\"v2\"")) "," ENTRY(MEDIA_OCI_MANIFEST,
										 PLATFORM("unknown", "unknown", ""))),
		1);
	selects(INDEX(ENTRY(MEDIA_OCI_MANIFEST, PLATFORM("linux", "amd64", ",\"variant\":\"v3\"")) "," ENTRY(
		    MEDIA_OCI_MANIFEST, PLATFORM("linux", "amd64", ""))),
		1);
	selects(INDEX(ENTRY("application/other", PLATFORM("linux", "amd64", "")) "," ENTRY(MEDIA_OCI_MANIFEST, "")), 1);
	selects(INDEX(ENTRY(MEDIA_OCI_INDEX, "")), 0);
	selects(INDEX(ENTRY(MEDIA_OCI_MANIFEST, "") "," ENTRY(MEDIA_OCI_MANIFEST, "")), -1);
	selects(INDEX(ENTRY(MEDIA_OCI_MANIFEST, PLATFORM("windows", "amd64", ""))), -1);
	assert_non_null(strstr(err.hint, "windows/amd64"));
	selects(INDEX(ENTRY(MEDIA_OCI_MANIFEST, PLATFORM("linux", "arm", ",\"variant\":\"v7\""))), -1);
	assert_non_null(strstr(err.hint, "linux/arm/v7"));
	selects(INDEX(""), -1);
}

static void two_meanings_are_refused(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"manifests\":[]}", NULL),
			 -EINVAL);
	assert_int_equal(parse("{\"schemaVersion\":2,\"layers\":[],\"manifests\":[]}", MEDIA_OCI_INDEX), -EINVAL);
	assert_int_equal(parse(TYPED(MEDIA_OCI_MANIFEST), MEDIA_DOCKER_MANIFEST), -EINVAL);
	assert_int_equal(parse(TYPED(MEDIA_OCI_MANIFEST), MEDIA_OCI_INDEX), -EINVAL);
	assert_int_equal(parse(TYPED(MEDIA_OCI_MANIFEST), MEDIA_OCI_MANIFEST "x"), -EINVAL);
	assert_int_equal(parse(TYPED(MEDIA_OCI_MANIFEST), "application/vnd.oci"), -EINVAL);
	assert_int_equal(parse(TYPED(MEDIA_OCI_INDEX), NULL), -EINVAL);
	assert_int_equal(parse(PLAIN, MEDIA_OCI_INDEX), -EINVAL);
	assert_int_equal(parse("{\"schemaVersion\":2,\"manifests\":[]}", MEDIA_OCI_MANIFEST), -EINVAL);
	assert_int_equal(parse("{\"schemaVersion\":2,\"schemaVersion\":2,\"manifests\":[]}", NULL), -EINVAL);
}

static void bad_manifests_are_refused(void **state)
{
	static const struct {
		const char *text;
		int code;
	} bad[] = {
	    {"", -EINVAL},
	    {"[]", -EINVAL},
	    {"{}", -EINVAL},
	    {"{\"schemaVersion\":1,\"fsLayers\":[]}", -ENOTSUP},
	    {"{\"schemaVersion\":3}", -EINVAL},
	    {"{\"schemaVersion\":\"2\"}", -EINVAL},
	    {TYPED("application/json"), -ENOTSUP},
	    {"{\"schemaVersion\":2,\"layers\":[]}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":{}}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[1]}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":" DESCRIPTOR("", "1") ",\"layers\":[]}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":" DESCRIPTOR("x", "-1") ",\"layers\":[]}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":" DESCRIPTOR("x", "1.0") ",\"layers\":[]}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":" DESCRIPTOR("x", "null") ",\"layers\":[]}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":" DESCRIPTOR("x", "9223372036854775807") ",\"layers\":[]}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":" DESCRIPTOR("x", "99999999999999999999") ",\"layers\":[]}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"md5:1\",\"size\":1},\"layers\":[]}",
	     -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:../../../"
	     "etc\",\"size\":1},\"layers\":[]}",
	     -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha512:" HEX HEX
	     "\",\"size\":1},\"layers\":[]}",
	     -ENOTSUP},
	    {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"size\":1},\"layers\":[]}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"annotations\":{\"a\":1}}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"annotations\":[]}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"subject\":[]}", -EINVAL},
	    {"{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[],\"artifactType\":7}", -EINVAL},
	    {"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"x\",\"digest\":\"" DIGEST "\",\"size\":5000000}]}",
	     -EINVAL},
	    {INDEX(ENTRY("x", ",\"platform\":[]")), -EINVAL},
	    {INDEX(ENTRY("x", ",\"platform\":{\"os\":1}")), -EINVAL},
	};
	(void)state;

	for (size_t i = 0; i < countof(bad); i++) {
		if (parse(bad[i].text, NULL) != bad[i].code)
			fail_msg("%s: %d, %s", bad[i].text, err.code, err.text);
		assert_null(m.root);
		assert_null(m.layers);
		assert_non_null(strstr(err.text, "the manifest"));
	}
}

static void too_many_layers_and_bytes_are_refused(void **state)
{
	size_t room = MANIFEST_BYTES_MAX + 16, used;
	char *text = malloc(room);
	(void)state;

	used = (size_t)sprintf(text, "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[" LAYER);
	for (unsigned i = 1; i < MANIFEST_LAYERS_MAX + 1; i++)
		used += (size_t)sprintf(text + used, "," LAYER);
	strcpy(text + used, "]}");
	assert_int_equal(parse(text, NULL), -EINVAL);
	memset(text, ' ', room);
	assert_int_equal(manifest_parse(&m, text, MANIFEST_BYTES_MAX + 1, NULL, "the manifest", &err), -EFBIG);
	memset(text, '[', room);
	assert_int_equal(manifest_parse(&m, text, 100000, NULL, "the manifest", &err), -EINVAL);
	free(text);
}

static void what_is_emitted_is_canonical_and_read_again(void **state)
{
	json_t *annotations = json_pack("{s:s}", "b", "1");
	struct manifest_descriptor layer = {
	    .media_type = MEDIA_LAMPO_LAYER, .digest = DIGEST, .bytes = 9, .annotations = annotations};
	struct manifest made = {
	    .media_type = MEDIA_OCI_MANIFEST,
	    .artifact_type = MEDIA_LAMPO_IMAGE,
	    .config = {.media_type = MEDIA_OCI_EMPTY, .digest = MANIFEST_EMPTY_DIGEST, .bytes = 2},
	    .subject = {.media_type = MEDIA_OCI_MANIFEST, .digest = DIGEST, .bytes = 3},
	    .layers = &layer,
	    .layer_count = 1,
	};
	const struct manifest_descriptor *found;
	(void)state;

	char *text = manifest_dump(&made);
	assert_string_equal(
	    text, "{\"artifactType\":\"" MEDIA_LAMPO_IMAGE "\",\"config\":{\"digest\":\"" MANIFEST_EMPTY_DIGEST
		  "\",\"mediaType\":\"" MEDIA_OCI_EMPTY "\",\"size\":2},\"layers\":[{\"annotations\":{\"b\":\"1\"},"
		  "\"digest\":\"" DIGEST "\",\"mediaType\":\"" MEDIA_LAMPO_LAYER
		  "\",\"size\":9}],\"mediaType\":\"" MEDIA_OCI_MANIFEST
		  "\",\"schemaVersion\":2,\"subject\":{\"digest\":\"" DIGEST "\",\"mediaType\":\"" MEDIA_OCI_MANIFEST
		  "\",\"size\":3}}");
	assert_int_equal(parse(text, MEDIA_OCI_MANIFEST), 0);
	assert_true(manifest_is_lampo(&m, &found));
	assert_string_equal(manifest_annotation(found, "b"), "1");
	assert_string_equal(manifest_annotation(found, "c"), "");
	char *again = manifest_dump(&m);
	assert_string_equal(again, text);
	free(again);
	free(text);
	manifest_free(&m);
	layer.os = "linux";
	layer.architecture = "amd64";
	made.index = true;
	made.media_type = MEDIA_OCI_INDEX;
	text = manifest_dump(&made);
	assert_int_equal(parse(text, NULL), 0);
	assert_true(m.index);
	assert_string_equal(m.layers[0].architecture, "amd64");
	assert_false(manifest_is_lampo(&m, &found));
	manifest_free(&m);
	free(text);
	layer.media_type = "\xff";
	assert_null(manifest_dump(&made));
	json_decref(annotations);
}

static void layer_kinds_are_known(void **state)
{
	(void)state;
	assert_int_equal(manifest_layer_kind(MEDIA_OCI_LAYER_ZSTD), MANIFEST_LAYER_TAR);
	assert_int_equal(manifest_layer_kind(MEDIA_DOCKER_LAYER_GZIP), MANIFEST_LAYER_TAR);
	assert_int_equal(manifest_layer_kind(MEDIA_LAMPO_LAYER), MANIFEST_LAYER_IMAGE);
	assert_int_equal(manifest_layer_kind(MEDIA_LAMPO_LAYER_ZSTD), MANIFEST_LAYER_IMAGE_ZSTD);
	assert_int_equal(manifest_layer_kind("application/octet-stream"), MANIFEST_LAYER_UNKNOWN);
	assert_int_equal(manifest_layer_kind(MEDIA_OCI_LAYER "+xz"), MANIFEST_LAYER_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(manifests_of_both_families_are_read),
	    cmocka_unit_test(the_platform_is_chosen),
	    cmocka_unit_test(two_meanings_are_refused),
	    cmocka_unit_test(bad_manifests_are_refused),
	    cmocka_unit_test(too_many_layers_and_bytes_are_refused),
	    cmocka_unit_test(what_is_emitted_is_canonical_and_read_again),
	    cmocka_unit_test(layer_kinds_are_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
