/* SPDX-License-Identifier: Apache-2.0 */
/* Basic authentication, and tokens (distribution project, "Token Authentication" and "OAuth2 Token Authentication"). */
#include <curl/curl.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/json.h"
#include "image/registry_call.h"

#define TOKEN_ANSWER_MAX (256u << 10)

struct token_call {
	struct http_call http;
	char *answer;
	size_t bytes;
};

static int token_sink(struct http_call *http, const void *data, size_t bytes, struct err *err)
{
	struct token_call *call = (struct token_call *)http;

	if (bytes > TOKEN_ANSWER_MAX - call->bytes)
		return err_set(err, -EFBIG, "the answer is longer than %u bytes!", TOKEN_ANSWER_MAX);
	memcpy(call->answer + call->bytes, data, bytes);
	call->bytes += bytes;
	call->answer[call->bytes] = '\0';
	return 0;
}

static int token_finished(struct http_call *http, struct err *err)
{
	(void)http;
	(void)err;
	return 0;
}

static int set_authorization(struct registry *registry, char *line, struct err *err)
{
	if (!line)
		return err_set(err, -ENOMEM, "cannot authenticate");
	credentials_forget(registry->authorization);
	registry->authorization = line;
	registry->authorization_serial++;
	return 0;
}

static int take_token(struct registry *registry, const struct token_call *call, struct err *err)
{
	const char *token = "";
	json_t *root;

	int code = image_json_parse(&root, call->answer, call->bytes, TOKEN_ANSWER_MAX, "the answer", err);
	if (code < 0)
		return code;
	code = image_json_string(root, "token", &token, "the answer", err);
	if (code == 0 && token[0] == '\0')
		code = image_json_string(root, "access_token", &token, "the answer", err);
	/* It becomes part of a header: RFC 6750, 2.1, but for what is allowed in practice. */
	for (const char *c = token; code == 0 && *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f)
			code = err_set(err, -EINVAL, "the token has characters that no token has!");
	if (code == 0 && token[0] == '\0')
		code = err_set(err, -EINVAL, "there is no token in the answer!");
	if (code == 0) {
		size_t room = strlen(token) + sizeof("Authorization: Bearer ");
		char *line = malloc(room);
		if (line)
			snprintf(line, room, "Authorization: Bearer %s", token);
		code = set_authorization(registry, line, err);
	}
	json_decref(root);
	return code;
}

/* Appends "name=value", encoded, to an address's query or to a form. */
static int append(CURLU *handle, const char *name, const char *value)
{
	size_t room = strlen(name) + strlen(value) + 2;
	char *pair = malloc(room);

	if (!pair)
		return -ENOMEM;
	snprintf(pair, room, "%s=%s", name, value);
	CURLUcode result = curl_url_set(handle, CURLUPART_QUERY, pair, CURLU_APPENDQUERY | CURLU_URLENCODE);
	free(pair);
	return result == CURLUE_OK ? 0 : -ENOMEM;
}

/* The realm's address, with the question in its query; or the question alone, for a form. */
static char *make_query(const struct url *realm, const struct auth_challenge *challenge, const char *scope,
			const struct credentials *refresh)
{
	CURLU *handle = curl_url();
	char *text = NULL, *copy = NULL;

	bool good = handle && curl_url_set(handle, CURLUPART_URL, realm->text, 0) == CURLUE_OK;
	if (good && refresh)
		good = curl_url_set(handle, CURLUPART_QUERY, NULL, 0) == CURLUE_OK &&
		       append(handle, "grant_type", "refresh_token") == 0 &&
		       append(handle, "client_id", "lampo") == 0 &&
		       append(handle, "refresh_token", refresh->secret) == 0;
	if (good && challenge->service[0] != '\0')
		good = append(handle, "service", challenge->service) == 0;
	if (good)
		good = append(handle, "scope", scope) == 0 &&
		       curl_url_get(handle, refresh ? CURLUPART_QUERY : CURLUPART_URL, &text, 0) == CURLUE_OK;
	if (good)
		copy = strdup(text);
	curl_free(text);
	curl_url_cleanup(handle);
	return copy;
}

/* Makes the request that is set up in *call. */
static int ask(struct registry *registry, struct token_call *call, struct err *err)
{
	struct http_call *http = &call->http;

	int code = http_run(registry->token_http, &http, 1, 1, err);
	if (code < 0)
		return code;
	if (http->failure != HTTP_COMPLETE) {
		*err = http->err;
		return err->code;
	}
	if (http->status == 401 || http->status == 403 || http->status == 400)
		return err_set(err, -EACCES, "it refuses with status %u!", http->status);
	if (http->status != 200)
		return err_set(err, -EPROTO, "it answers with status %u!", http->status);
	return take_token(registry, call, err);
}

static int fetch_token(struct registry *registry, const struct auth_challenge *challenge, const struct url *realm,
		       const struct credentials *credentials, struct err *err)
{
	struct token_call call = {.http = {.method = "GET",
					   .body_fd = -1,
					   .total_seconds = REGISTRY_SMALL_SECONDS,
					   .sink = token_sink,
					   .finished = token_finished}};
	char scope[sizeof(challenge->scope) + REFERENCE_MAX], *question, *basic = NULL;
	bool refresh = credentials && credentials->identity_token;
	struct url address = *realm;
	int code = -ENOMEM;

	snprintf(scope, sizeof(scope), "%s", challenge->scope);
	if (scope[0] == '\0')
		snprintf(scope, sizeof(scope), "repository:%s:%s", registry->reference.repository,
			 registry->options.push ? "pull,push" : "pull");
	question = make_query(realm, challenge, scope, refresh ? credentials : NULL);
	call.answer = malloc(TOKEN_ANSWER_MAX + 1);
	if (credentials && !refresh)
		basic = credentials_basic(credentials);
	if (!question || !call.answer || (credentials && !refresh && !basic))
		err_set(err, code, "cannot ask for a token");
	else if (refresh)
		code = 0;
	else
		code = url_resolve(&address, NULL, question, err);
	if (code == 0) {
		call.http.url = &address;
		call.http.authorization = basic;
		if (refresh) {
			call.http.method = "POST";
			call.http.headers[0] = "Content-Type: application/x-www-form-urlencoded";
			call.http.body = question;
			call.http.body_bytes = strlen(question);
		}
		code = ask(registry, &call, err);
	}
	if (call.answer)
		OPENSSL_cleanse(call.answer, TOKEN_ANSWER_MAX + 1);
	free(call.answer);
	credentials_forget(basic);
	credentials_forget(question);
	return code;
}

/* The realm is where a password may be sent to. */
static int check_realm(const struct registry *registry, const struct auth_challenge *challenge, struct url *realm,
		       struct err *err)
{
	int code = url_resolve(realm, NULL, challenge->realm, err);

	if (code == 0)
		code = registry_url_check(registry, &registry->origin, realm, err);
	return code < 0 ? err_wrap(err, "cannot get a token for %s", registry->reference.registry) : 0;
}

static int answer(struct registry *registry, const struct auth_challenge *challenge,
		  const struct credentials *credentials, struct err *err)
{
	struct url realm;
	char shown[320];

	if (challenge->scheme == AUTH_BASIC) {
		/* It was sent already, and is wrong. */
		if (credentials && registry->authorization)
			err_set(err, -EACCES, "%s does not accept the credentials that are stored for it!",
				registry->reference.registry);
		else if (!credentials)
			err_set(err, -EACCES, "%s asks for a user name and a password!", registry->reference.registry);
		else if (credentials->identity_token)
			err_set(err, -EACCES, "%s asks for a password, but only an identity token is stored for it!",
				registry->reference.registry);
		else
			return set_authorization(registry, credentials_basic(credentials), err);
		return err->code;
	}
	int code = check_realm(registry, challenge, &realm, err);
	if (code < 0)
		return code;
	code = fetch_token(registry, challenge, &realm, credentials, err);
	url_show(realm.text, shown, sizeof(shown));
	return code < 0 ? err_wrap(err, "cannot get a token for %s from %s", registry->name, shown) : 0;
}

int registry_authorize(struct registry *registry, const struct http_headers *response, struct err *err)
{
	struct auth_challenge challenge = {0};
	const char *host = registry->reference.registry;

	for (unsigned i = 0; i < response->challenge_count; i++)
		if (auth_challenge_parse(&challenge, response->challenges[i]) < 0)
			return err_set(err, -EPROTO, "%s asks for authentication in a way that makes no sense!", host);
	if (challenge.scheme == AUTH_NONE)
		return err_set(err, -EACCES, "%s asks for authentication, but neither Bearer nor Basic!", host);
	struct credentials *credentials = calloc(1, sizeof(*credentials));
	if (!credentials)
		return err_set(err, -ENOMEM, "cannot authenticate");
	int code = credentials_find(credentials, host, registry->reference.repository, err);
	bool found = code == 0;
	if (code == 0 || code == -ENOENT)
		code = answer(registry, &challenge, found ? credentials : NULL, err);
	OPENSSL_cleanse(credentials, sizeof(*credentials));
	free(credentials);
	if (code == -EACCES)
		err_hint(
		    err,
		    "credentials are taken from Docker's config.json: 'docker login %s' or 'podman login %s' writes it",
		    host, host);
	return code;
}
