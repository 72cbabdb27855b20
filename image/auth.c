/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of WWW-Authenticate: RFC 9110, 11.2 and 11.6.1. */
#include "image/auth.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"

#define PARAMETERS_MAX 64u /* of one header */

struct cursor {
	const char *at;
};

static bool is_token(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static void skip_space(struct cursor *in)
{
	while (*in->at == ' ' || *in->at == '\t')
		in->at++;
}

/* Length of the token at the cursor, which moves behind it. */
static size_t read_token(struct cursor *in, const char **token)
{
	*token = in->at;
	while (is_token(*in->at))
		in->at++;
	return (size_t)(in->at - *token);
}

/* token or quoted-string; false: neither, or too long. */
static bool read_value(struct cursor *in, char *to, size_t size)
{
	size_t length = 0;

	if (*in->at != '"') {
		const char *token;
		length = read_token(in, &token);
		if (length == 0 || length >= size)
			return false;
		memcpy(to, token, length);
		to[length] = '\0';
		return true;
	}
	for (in->at++; *in->at != '"'; in->at++) {
		if (*in->at == '\\')
			in->at++;
		/* Control characters have no place in it, and must not get into a request of ours. */
		if ((unsigned char)*in->at < ' ' || *in->at == 0x7f || length + 1 >= size)
			return false;
		to[length++] = *in->at;
	}
	in->at++;
	to[length] = '\0';
	return true;
}

static bool is_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

/* The cursor is behind a name and white space, at '='. */
static bool read_parameter(struct cursor *in, struct auth_challenge *challenge, const char *name, size_t length)
{
	char ignored[4096];

	in->at++;
	skip_space(in);
	if (is_word(name, length, "realm"))
		return read_value(in, challenge->realm, sizeof(challenge->realm));
	if (is_word(name, length, "service"))
		return read_value(in, challenge->service, sizeof(challenge->service));
	if (is_word(name, length, "scope"))
		return read_value(in, challenge->scope, sizeof(challenge->scope));
	return read_value(in, ignored, sizeof(ignored));
}

/* token68 instead of parameters: "Negotiate YWJj==" */
static bool skip_token68(struct cursor *in)
{
	const char *end = in->at;

	while (is_token(*end) || *end == '/')
		end++;
	while (*end == '=')
		end++;
	const char *behind = end;
	while (*behind == ' ' || *behind == '\t')
		behind++;
	if (end == in->at || (*behind != ',' && *behind != '\0'))
		return false;
	in->at = behind;
	return true;
}

/* One challenge, up to the next one or the end. */
static bool read_challenge(struct cursor *in, struct auth_challenge *challenge)
{
	const char *name;
	size_t length = read_token(in, &name);

	memset(challenge, 0, sizeof(*challenge));
	if (length == 0 || (*in->at != ' ' && *in->at != ',' && *in->at != '\0'))
		return false;
	if (is_word(name, length, "bearer"))
		challenge->scheme = AUTH_BEARER;
	else if (is_word(name, length, "basic"))
		challenge->scheme = AUTH_BASIC;
	skip_space(in);
	if (*in->at == ',' || *in->at == '\0' || skip_token68(in))
		return true;
	for (unsigned i = 0; i < PARAMETERS_MAX; i++) {
		struct cursor before = *in;
		length = read_token(in, &name);
		skip_space(in);
		if (length == 0)
			return false;
		if (*in->at != '=') {
			*in = before; /* the next challenge's scheme */
			return i > 0;
		}
		if (!read_parameter(in, challenge, name, length))
			return false;
		skip_space(in);
		if (*in->at == '\0')
			return true;
		if (*in->at != ',')
			return false;
		while (*in->at == ',' || *in->at == ' ' || *in->at == '\t')
			in->at++;
		if (*in->at == '\0')
			return true;
	}
	return false;
}

int auth_challenge_parse(struct auth_challenge *challenge, const char *value)
{
	struct cursor in = {value};
	struct auth_challenge best = *challenge, one;

	for (;;) {
		while (*in.at == ',' || *in.at == ' ' || *in.at == '\t')
			in.at++;
		if (*in.at == '\0')
			break;
		if (!read_challenge(&in, &one))
			return -EINVAL;
		if (one.scheme == AUTH_BEARER && one.realm[0] == '\0')
			return -EINVAL;
		if (one.scheme > best.scheme)
			best = one;
	}
	*challenge = best;
	return 0;
}
