/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials as docker and podman keep them: config.json / auth.json, with "auths", "credHelpers" and "credsStore". */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/auth.h"
#include "image/json.h"
#include "run/fd.h"

#define FILE_BYTES_MAX (1u << 20)

void credentials_forget(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

char *credentials_basic(const struct credentials *credentials)
{
	static const char prefix[] = "Authorization: Basic ";
	size_t room = sizeof(credentials->user) + sizeof(credentials->secret) + 2;
	char *plain = malloc(room), *line = malloc(sizeof(prefix) + room * 4 / 3 + 8);

	if (plain && line) {
		int length = snprintf(plain, room, "%s:%s", credentials->user, credentials->secret);
		memcpy(line, prefix, sizeof(prefix));
		EVP_EncodeBlock((unsigned char *)line + sizeof(prefix) - 1, (const unsigned char *)plain, length);
	} else {
		free(line);
		line = NULL;
	}
	credentials_forget(plain);
	return line;
}

/* Length of the part of a key of "auths" that counts: without scheme and without Docker's "/v1/" or "/v2/". */
static const char *plain_key(const char *key, size_t *length)
{
	if (strncmp(key, "https://", 8) == 0)
		key += 8;
	else if (strncmp(key, "http://", 7) == 0)
		key += 7;
	*length = strlen(key);
	while (*length > 0 && key[*length - 1] == '/')
		(*length)--;
	if (*length > 3 && (memcmp(key + *length - 3, "/v1", 3) == 0 || memcmp(key + *length - 3, "/v2", 3) == 0))
		*length -= 3;
	return key;
}

/* How much of registry/repository the key names, in bytes; 0: it is for something else. */
static size_t key_matches(const char *key, const char *registry, const char *repository)
{
	size_t length, host = strlen(registry);
	const char *plain = plain_key(key, &length);

	if (length < host || strncasecmp(plain, registry, host) != 0)
		return 0;
	if (length == host)
		return length;
	size_t path = length - host - 1;
	if (plain[host] != '/' || path > strlen(repository) || memcmp(plain + host + 1, repository, path) != 0 ||
	    (repository[path] != '/' && repository[path] != '\0'))
		return 0;
	return length;
}

static int set_text(char *to, size_t size, const char *text)
{
	size_t length = strlen(text);

	if (length >= size)
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return -EINVAL;
	memcpy(to, text, length + 1);
	return 0;
}

/* "auth": base64 of USER:PASSWORD. Docker pads it with NULs at times. */
static int decode_auth(struct credentials *credentials, const char *text)
{
	size_t length = strlen(text);
	int code = -EINVAL;

	if (length == 0 || length % 4 != 0 || length > (CREDENTIALS_USER_MAX + CREDENTIALS_SECRET_MAX) * 4 / 3)
		return -EINVAL;
	char *plain = calloc(1, length);
	if (!plain)
		return -ENOMEM;
	if (EVP_DecodeBlock((unsigned char *)plain, (const unsigned char *)text, (int)length) > 0) {
		char *colon = strchr(plain, ':');
		if (colon) {
			*colon = '\0';
			code = set_text(credentials->user, sizeof(credentials->user), plain);
			if (code == 0)
				code = set_text(credentials->secret, sizeof(credentials->secret), colon + 1);
		}
	}
	OPENSSL_cleanse(plain, length);
	free(plain);
	return code;
}

/* One member of "auths". -ENOENT: it has nothing (Docker leaves {} where a helper is in charge). */
static int take_entry(struct credentials *credentials, const json_t *entry)
{
	const char *auth = json_string_value(json_object_get(entry, "auth"));
	const char *token = json_string_value(json_object_get(entry, "identitytoken"));
	const char *user = json_string_value(json_object_get(entry, "username"));
	const char *password = json_string_value(json_object_get(entry, "password"));
	int code = -ENOENT;

	if (auth && auth[0] != '\0') {
		code = decode_auth(credentials, auth);
	} else if (user && password) {
		code = set_text(credentials->user, sizeof(credentials->user), user);
		if (code == 0)
			code = set_text(credentials->secret, sizeof(credentials->secret), password);
	}
	if (token && token[0] != '\0' && (code == 0 || code == -ENOENT)) {
		credentials->identity_token = true;
		code = set_text(credentials->secret, sizeof(credentials->secret), token);
	}
	/* A ':' in the name would shift the border to the password (RFC 7617, 2.). */
	return code == 0 && strchr(credentials->user, ':') ? -EINVAL : code;
}

static int find_entry(struct credentials *credentials, json_t *auths, const char *registry, const char *repository,
		      const char *file, struct err *err)
{
	const char *key, *best_key = NULL;
	json_t *entry, *best = NULL;
	size_t best_length = 0;

	json_object_foreach(auths, key, entry)
	{
		size_t length = key_matches(key, registry, repository);
		if (length > best_length) {
			best_length = length;
			best = entry;
			best_key = key;
		}
	}
	if (!best)
		return -ENOENT;
	int code = take_entry(credentials, best);
	if (code < 0 && code != -ENOENT)
		return err_set(err, code, "the entry '%.200s' of %s is damaged", best_key, file);
	return code;
}

int credentials_parse(struct credentials *credentials, const char *json, size_t bytes, const char *registry,
		      const char *repository, char helper[64], const char *file, struct err *err)
{
	json_t *root, *auths, *helpers;
	const char *store = "", *one = "";

	memset(credentials, 0, sizeof(*credentials));
	helper[0] = '\0';
	int code = image_json_parse(&root, json, bytes, FILE_BYTES_MAX, file, err);
	if (code < 0)
		return code;
	if (!json_is_object(root))
		code = err_set(err, -EINVAL, "%s is no JSON object!", file);
	if (code == 0)
		code = image_json_object(root, "auths", &auths, file, err);
	if (code == 0)
		code = image_json_object(root, "credHelpers", &helpers, file, err);
	if (code == 0)
		code = image_json_string(root, "credsStore", &store, file, err);
	if (code == 0 && helpers)
		code = image_json_string(helpers, registry, &one, file, err);
	if (code == 0 && one[0] == '\0')
		one = store;
	/* The name becomes part of a program's: no path. */
	if (code == 0 &&
	    (strlen(one) >= 64 || strspn(one, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
					      "-_.") != strlen(one)))
		code = err_set(err, -EINVAL, "'%.100s' in %s cannot be the name of a credential helper!", one, file);
	if (code == 0) {
		snprintf(helper, 64, "%s", one);
		code = auths ? find_entry(credentials, auths, registry, repository, file, err) : -ENOENT;
	}
	json_decref(root);
	return code;
}

/* *text: malloc'd, terminated. -ENOENT without *err: there is no such file. */
static int read_file(const char *path, char **text, size_t *bytes, struct err *err)
{
	FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ENOENT : err_set(err, -errno, "cannot read %s", path);
	*text = malloc(FILE_BYTES_MAX + 1);
	if (!*text)
		return err_set(err, -ENOMEM, "cannot read %s", path);
	*bytes = 0;
	for (;;) {
		ssize_t n = read(fd, *text + *bytes, FILE_BYTES_MAX - *bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || *bytes + (size_t)n == FILE_BYTES_MAX) {
			int code = n < 0 ? -errno : -EFBIG;
			if (n == 0)
				break;
			OPENSSL_cleanse(*text, *bytes);
			free(*text);
			*text = NULL;
			return err_set(err, code, "cannot read %s", path);
		}
		*bytes += (size_t)n;
	}
	(*text)[*bytes] = '\0';
	return 0;
}

static int look_in_file(struct credentials *credentials, const char *path, const char *registry, const char *repository,
			struct err *err)
{
	char helper[64], *text = NULL;
	size_t bytes = 0;

	int code = read_file(path, &text, &bytes, err);
	if (code < 0 || !text)
		return code;
	code = credentials_parse(credentials, text, bytes, registry, repository, helper, path, err);
	credentials_forget(text);
	if ((code < 0 && code != -ENOENT) || helper[0] == '\0')
		return code;
	/* The helper comes first; what is in the file stands in where it has nothing. */
	struct credentials *asked = calloc(1, sizeof(*asked));
	if (!asked)
		return err_set(err, -ENOMEM, "cannot ask for credentials");
	int found = credentials_ask_helper(asked, helper, registry, err);
	if (found == 0)
		memcpy(credentials, asked, sizeof(*asked));
	OPENSSL_cleanse(asked, sizeof(*asked));
	free(asked);
	return found == -ENOENT ? code : found;
}

int credentials_find(struct credentials *credentials, const char *registry, const char *repository, struct err *err)
{
	const char *docker = getenv("DOCKER_CONFIG"), *home = getenv("HOME"), *run = getenv("XDG_RUNTIME_DIR");
	char path[4096];
	int code = -ENOENT;

	if (docker && docker[0] == '/')
		snprintf(path, sizeof(path), "%s/config.json", docker);
	else
		snprintf(path, sizeof(path), "%s/.docker/config.json", home && home[0] == '/' ? home : "");
	code = look_in_file(credentials, path, registry, repository, err);
	if (code == -ENOENT && run && run[0] == '/') {
		snprintf(path, sizeof(path), "%s/containers/auth.json", run);
		code = look_in_file(credentials, path, registry, repository, err);
	}
	return code;
}
