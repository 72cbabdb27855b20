/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a repository; manifests and referrers: OCI distribution specification 1.1, "Pulling manifests", "Pushing
 * manifests", "Listing Referrers", "Pushing Manifests with Subject" and "Unavailable Referrers API". */
#include "image/registry.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/json.h"
#include "image/manifest.h"
#include "image/registry_call.h"

#define CONNECT_SECONDS 10u
#define STALL_SECONDS 30u
#define CALL_PATH_MAX 1024u

/* A number of seconds from the environment, for links that are slower than most; nonsense counts as not set. */
static unsigned seconds_from(const char *variable, unsigned otherwise)
{
	const char *text = getenv(variable);
	char *end;

	if (!text || text[0] < '0' || text[0] > '9')
		return otherwise;
	unsigned long n = strtoul(text, &end, 10);
	return *end == '\0' && n >= 1 && n <= 3600 ? (unsigned)n : otherwise;
}

static int probe_finished(struct http_call *http, struct err *err)
{
	(void)http;
	(void)err;
	return 0;
}

/* Sets the origin; whether a registry on this machine speaks TLS is tried out. */
static int find_origin(struct registry *registry, struct err *err)
{
	char base[300];
	const char *host = registry->reference.registry;
	struct registry_call call;

	snprintf(base, sizeof(base), "http%s://%s/", registry->options.plain_http ? "" : "s", host);
	int code = url_resolve(&registry->origin, NULL, base, err);
	if (code < 0 || registry->options.plain_http || !url_is_loopback(&registry->origin))
		return code;
	code = registry_call_init(&call, registry, "HEAD", "/v2/", err);
	if (code < 0)
		return code;
	call.http.finished = probe_finished;
	code = registry_call_make(&call, 0, err);
	const struct http_call *http = &call.http;
	/* Some wait for the end of a line that never comes. */
	bool plain =
	    http->failure == HTTP_NO_TLS || (http->failure == HTTP_NO_CONNECTION && http->err.code == -ETIMEDOUT);
	if (code == 0 && plain) {
		snprintf(base, sizeof(base), "http://%s/", host);
		code = url_resolve(&registry->origin, NULL, base, err);
	} else if (code == 0 && http->failure != HTTP_COMPLETE) {
		code = registry_call_refused(&call, err);
	}
	registry_call_free(&call);
	return code;
}

int registry_open(struct registry **registry, const struct reference *reference, const struct registry_options *options,
		  struct err *err)
{
	*registry = NULL;
	if (reference->registry[0] == '\0') {
		err_set(err, -EINVAL, "'%s' names no registry!", reference->repository);
		return err_hint(err, "put its host in front: HOST[:PORT]/%s", reference->repository);
	}
	struct registry *r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(err, -ENOMEM, "cannot talk to %s", reference->registry);
	r->reference = *reference;
	r->options = *options;
	snprintf(r->name, sizeof(r->name), "%s/%s", reference->registry, reference->repository);
	r->http_options = (struct http_options){
	    .user_agent = options->user_agent,
	    .connect_seconds = seconds_from("LAMPO_CONNECT_TIMEOUT", CONNECT_SECONDS),
	    .stall_seconds = seconds_from("LAMPO_STALL_TIMEOUT", STALL_SECONDS),
	    .cert_origin = &r->origin,
	};
	int code = registry_load_certificates(r, err);
	if (code == 0)
		code = http_open(&r->http, &r->http_options, err);
	if (code == 0)
		code = http_open(&r->token_http, &r->http_options, err);
	if (code == 0)
		code = find_origin(r, err);
	if (code < 0) {
		registry_close(r);
		return code;
	}
	*registry = r;
	return 0;
}

void registry_close(struct registry *registry)
{
	if (!registry)
		return;
	http_close(registry->http);
	http_close(registry->token_http);
	credentials_forget(registry->authorization);
	free(registry->ca_pem);
	free(registry);
}

const char *registry_name(const struct registry *registry) { return registry->name; }

void registry_document_free(struct registry_document *document)
{
	free(document->text);
	document->text = NULL;
}

/* Takes the body of an answer over. */
static int take_document(struct registry_call *call, struct registry_document *document, struct err *err)
{
	struct image_digest digest;
	const char *type = call->http.response.content_type;

	if (!call->body)
		return err_set(err, -EPROTO, "%s: the answer is empty!", call->start.text);
	document->text = call->body;
	document->bytes = call->body_bytes;
	call->body = NULL;
	sha256(document->text, document->bytes, digest.bytes);
	image_digest_format(&digest, document->digest);
	snprintf(document->media_type, sizeof(document->media_type), "%.*s", (int)strcspn(type, "; "), type);
	return 0;
}

/* Link: <ADDRESS>; rel="next" (RFC 8288). What is too long counts as the end. */
static void take_next(const char *link, char next[REGISTRY_PAGE_MAX])
{
	const char *end = link[0] == '<' ? strchr(link, '>') : NULL;

	next[0] = '\0';
	if (end && end - link < (int)REGISTRY_PAGE_MAX && (strstr(end, "rel=\"next\"") || strstr(end, "rel=next")))
		snprintf(next, REGISTRY_PAGE_MAX, "%.*s", (int)(end - link - 1), link + 1);
}

/* GET of a document at `path`. *status: of the answer; only 200 fills in *document. next: the page after this; may be
 * NULL. */
static int get_document(struct registry *registry, const char *path, const char *accept,
			struct registry_document *document, unsigned *status, char *next, struct err *err)
{
	struct registry_call call;

	memset(document, 0, sizeof(*document));
	int code = registry_call_init(&call, registry, "GET", path, err);
	if (code == 0) {
		call.http.headers[0] = accept;
		code = registry_call_make(&call, MANIFEST_BYTES_MAX, err);
	}
	*status = call.http.status;
	if (next)
		take_next(code == 0 ? call.http.response.link : "", next);
	if (code == 0 && call.http.status == 200)
		code = take_document(&call, document, err);
	else if (code == 0)
		registry_call_refused(&call, err);
	registry_call_free(&call);
	return code;
}

int registry_manifest_get(struct registry *registry, const char *name, struct registry_document *document,
			  struct err *err)
{
	char path[CALL_PATH_MAX];
	unsigned status;

	snprintf(path, sizeof(path), "/v2/%s/manifests/%s", registry->reference.repository, name);
	int code = get_document(registry, path, "Accept: " MANIFEST_ACCEPT, document, &status, NULL, err);
	if (code < 0)
		return code;
	if (status != 200)
		return err->code;
	if (strchr(name, ':') && strcmp(name, document->digest) != 0) {
		err_set(err, -EBADMSG, "%s gave a manifest with the digest %s instead of %s!", registry->name,
			document->digest, name);
		registry_document_free(document);
		return err->code;
	}
	return 0;
}

int registry_manifest_put(struct registry *registry, const char *name, const char *text, size_t bytes,
			  const char *media_type, bool *subject_known, struct err *err)
{
	char path[CALL_PATH_MAX], type[160], digest_text[IMAGE_DIGEST_TEXT];
	struct image_digest digest;
	struct registry_call call;

	snprintf(path, sizeof(path), "/v2/%s/manifests/%s", registry->reference.repository, name);
	snprintf(type, sizeof(type), "Content-Type: %s", media_type);
	sha256(text, bytes, digest.bytes);
	image_digest_format(&digest, digest_text);
	int code = registry_call_init(&call, registry, "PUT", path, err);
	if (code == 0) {
		call.http.headers[0] = type;
		call.http.body = text;
		call.http.body_bytes = bytes;
		call.http.total_seconds = REGISTRY_SMALL_SECONDS;
		code = registry_call_make(&call, MANIFEST_BYTES_MAX, err);
	}
	const struct http_headers *response = &call.http.response;
	if (code == 0 && call.http.status / 100 != 2)
		code = registry_call_refused(&call, err);
	else if (code == 0 && response->digest[0] != '\0' && strcmp(response->digest, digest_text) != 0)
		code = err_set(err, -EPROTO, "%s has stored the manifest %s as %.80s!", registry->name, digest_text,
			       response->digest);
	*subject_known = response->subject[0] != '\0';
	registry_call_free(&call);
	return code;
}

/* The tag that stands for the referrers of a manifest: "sha256-" and the digits. */
static void referrers_tag(const char *digest, char tag[IMAGE_DIGEST_TEXT])
{
	snprintf(tag, IMAGE_DIGEST_TEXT, "%s", digest);
	tag[strlen("sha256")] = '-';
}

static int get_by_tag(struct registry *registry, const char *digest, struct registry_document *document,
		      struct err *err)
{
	char path[CALL_PATH_MAX], tag[IMAGE_DIGEST_TEXT];
	unsigned status;

	referrers_tag(digest, tag);
	snprintf(path, sizeof(path), "/v2/%s/manifests/%s", registry->reference.repository, tag);
	int code = get_document(registry, path, "Accept: " MEDIA_OCI_INDEX, document, &status, NULL, err);
	return code == 0 && status != 200 ? err->code : code;
}

int registry_referrers_get(struct registry *registry, const char *digest, const char *artifact_type,
			   char next[REGISTRY_PAGE_MAX], struct registry_document *document, struct err *err)
{
	char path[REGISTRY_PAGE_MAX];
	bool first = next[0] == '\0';
	unsigned status;

	snprintf(path, sizeof(path), "%s", next);
	if (first)
		snprintf(path, sizeof(path), "/v2/%s/referrers/%s?artifactType=%s", registry->reference.repository,
			 digest, artifact_type);
	int code = get_document(registry, path, "Accept: " MEDIA_OCI_INDEX, document, &status, next, err);
	if (code < 0)
		return code;
	if (status == 200 && strcmp(document->media_type, MEDIA_OCI_INDEX) == 0)
		return 0;
	registry_document_free(document);
	next[0] = '\0';
	/* Registries without the API say that there is no such page, in one way or another. */
	if (!first || (status != 200 && status != 400 && status != 404 && status != 405 && status != 501))
		return err->code < 0 ? err->code : err_set(err, -EPROTO, "the list of what is attached breaks off!");
	return get_by_tag(registry, digest, document, err);
}

/* The index that is there with `entry` (taken over) added. *there: it has it already. */
static char *add_entry(const struct registry_document *old, json_t *entry, bool *there)
{
	struct err ignored;
	json_t *root = NULL, *value;
	size_t i;

	*there = false;
	if (!old->text || image_json_parse(&root, old->text, old->bytes, MANIFEST_BYTES_MAX, "index", &ignored) < 0 ||
	    !json_is_array(json_object_get(root, "manifests"))) {
		/* What is not an index of referrers under this tag is of no use to anybody. */
		json_decref(root);
		root = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", MEDIA_OCI_INDEX, "manifests");
	}
	json_t *manifests = json_object_get(root, "manifests");
	const char *digest = json_string_value(json_object_get(entry, "digest"));
	json_array_foreach(manifests, i, value)
	{
		const char *other = json_string_value(json_object_get(value, "digest"));
		*there = *there || (other && digest && strcmp(other, digest) == 0);
	}
	json_array_append_new(manifests, entry);
	char *text = root ? image_json_dump(root) : NULL;
	json_decref(root);
	return text;
}

int registry_referrers_add(struct registry *registry, const char *subject, const char *entry, struct err *err)
{
	struct registry_document old;
	char tag[IMAGE_DIGEST_TEXT];
	json_t *value = NULL;
	bool there, known;

	int code = image_json_parse(&value, entry, strlen(entry), MANIFEST_BYTES_MAX, "descriptor", err);
	if (code < 0)
		return code;
	code = get_by_tag(registry, subject, &old, err);
	if (code < 0 && code != -ENOENT) {
		json_decref(value);
		return code;
	}
	char *text = add_entry(&old, value, &there);
	referrers_tag(subject, tag);
	if (!text)
		code = err_set(err, -ENOMEM, "cannot make the index of what is attached");
	else if (there)
		code = 0;
	else
		code = registry_manifest_put(registry, tag, text, strlen(text), MEDIA_OCI_INDEX, &known, err);
	free(text);
	registry_document_free(&old);
	return code;
}
