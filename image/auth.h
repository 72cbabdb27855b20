/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a registry asks for before it lets somebody in (WWW-Authenticate: RFC 9110, 11.6.1; Basic: RFC 7617; Bearer: RFC
 * 6750 and the token authentication of the distribution project), and the credentials to answer with: Docker's
 * config.json and its helpers.
 */
#ifndef LAMPO_IMAGE_AUTH_H
#define LAMPO_IMAGE_AUTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/host/err.h"

enum auth_scheme { AUTH_NONE, AUTH_BASIC, AUTH_BEARER };

struct auth_challenge {
	enum auth_scheme scheme;
	char realm[2048], service[512], scope[2048];
};

/* Takes the best challenge of one header's value (Bearer before Basic) if it is better than what *challenge is already.
 * Unknown schemes are passed over. -EINVAL: it breaks the grammar, or a value is too long; *challenge is then as
 * before. */
int auth_challenge_parse(struct auth_challenge *challenge, const char *value);

#define CREDENTIALS_USER_MAX 1024u
#define CREDENTIALS_SECRET_MAX 16384u
struct credentials {
	char user[CREDENTIALS_USER_MAX]; /* without ':' */
	char secret[CREDENTIALS_SECRET_MAX];
	bool identity_token; /* the secret is an OAuth2 refresh token */
};

/* Looks in $DOCKER_CONFIG/config.json (else ~/.docker/config.json), then in $XDG_RUNTIME_DIR/containers/auth.json.
 * -ENOENT without *err: there are none; -errno with *err: a file or a helper does not do what it should. */
int credentials_find(struct credentials *credentials, const char *registry, const char *repository, struct err *err);
/* From one such file's text; helper names go to `helper` (empty if none is in charge), -ENOENT: has nothing for the
 * registry itself. */
int credentials_parse(struct credentials *credentials, const char *json, size_t bytes, const char *registry,
		      const char *repository, char helper[64], const char *file, struct err *err);
/* Asks docker-credential-NAME. As credentials_find(). */
int credentials_ask_helper(struct credentials *credentials, const char *name, const char *registry, struct err *err);
/* "Authorization: Basic ...", malloc'd; NULL: no memory. */
char *credentials_basic(const struct credentials *credentials);
/* Overwrites and frees a string that has a secret in it. */
void credentials_forget(char *text);

#endif
