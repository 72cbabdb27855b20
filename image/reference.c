/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grammar: OCI distribution specification 1.1, "Pulling manifests" (<name>, <reference>), and Docker's rule for what is
 * a host: the first component, if a '/' follows and it has a '.' or ':' or is "localhost".
 */
#include "image/reference.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DIGEST_PREFIX "sha256:"
#define DIGEST_DIGITS 64u

static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

/* The text in question, not terminated. */
struct part {
	const char *at;
	size_t length;
};

static bool all_hex(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!is_digit(text[i]) && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
	return true;
}

/* Copies, in lower case (host names have no case); false if there is no room. */
static bool copy(char *to, size_t size, struct part part, bool lower)
{
	if (part.length >= size)
		return false;
	for (size_t i = 0; i < part.length; i++)
		to[i] = lower && is_upper(part.at[i]) ? (char)(part.at[i] - 'A' + 'a') : part.at[i];
	to[part.length] = '\0';
	return true;
}

static bool port_is_good(struct part port)
{
	unsigned number = 0;

	if (port.length == 0 || port.length > 5)
		return false;
	for (size_t i = 0; i < port.length; i++) {
		if (!is_digit(port.at[i]))
			return false;
		number = number * 10 + (unsigned)(port.at[i] - '0');
	}
	return number >= 1 && number <= 65535;
}

/* Labels of letters, digits and '-', which neither begin nor end with '-'. */
static bool name_is_good(struct part name)
{
	char before = '.';

	for (size_t i = 0; i < name.length; i++) {
		char c = name.at[i];
		bool letter = is_lower(c) || is_upper(c) || is_digit(c);
		if (!letter && (c != '-' || before == '.') && (c != '.' || before == '.' || before == '-'))
			return false;
		before = c;
	}
	return before != '.' && before != '-';
}

static bool address6_is_good(struct part address)
{
	if (address.length < 2 || address.length > 45)
		return false;
	for (size_t i = 0; i < address.length; i++) {
		char c = address.at[i];
		if (!is_digit(c) && c != ':' && c != '.' && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'))
			return false;
	}
	return true;
}

static bool registry_is_good(struct part registry)
{
	struct part host = registry;
	const char *end = registry.at + registry.length;

	if (registry.length > 0 && registry.at[0] == '[') {
		const char *bracket = memchr(registry.at, ']', registry.length);
		if (!bracket || !address6_is_good((struct part){registry.at + 1, (size_t)(bracket - registry.at - 1)}))
			return false;
		if (bracket + 1 == end)
			return true;
		return bracket[1] == ':' && port_is_good((struct part){bracket + 2, (size_t)(end - bracket - 2)});
	}
	const char *colon = memchr(registry.at, ':', registry.length);
	if (colon) {
		host.length = (size_t)(colon - registry.at);
		if (!port_is_good((struct part){colon + 1, (size_t)(end - colon - 1)}))
			return false;
	}
	return name_is_good(host);
}

/* [a-z0-9]+ joined by ".", "_", "__" or any number of "-"; components joined by "/". */
static bool repository_is_good(struct part name)
{
	size_t i = 0;

	for (;;) {
		size_t start = i;
		while (i < name.length && (is_lower(name.at[i]) || is_digit(name.at[i])))
			i++;
		if (i == start)
			return false;
		if (i == name.length)
			return true;
		if (name.at[i] == '/' || name.at[i] == '.')
			i++;
		else if (name.at[i] == '_')
			i += i + 1 < name.length && name.at[i + 1] == '_' ? 2 : 1;
		else if (name.at[i] == '-')
			while (i < name.length && name.at[i] == '-')
				i++;
		else
			return false;
	}
}

static bool tag_is_good(struct part tag)
{
	for (size_t i = 0; i < tag.length; i++) {
		char c = tag.at[i];
		if (!is_lower(c) && !is_upper(c) && !is_digit(c) && c != '_' && (i == 0 || (c != '.' && c != '-')))
			return false;
	}
	return tag.length > 0;
}

static bool digest_is_good(struct part digest)
{
	size_t prefix = strlen(DIGEST_PREFIX);

	return digest.length == prefix + DIGEST_DIGITS && memcmp(digest.at, DIGEST_PREFIX, prefix) == 0 &&
	       all_hex(digest.at + prefix, DIGEST_DIGITS);
}

/* Takes the registry off the front of *name, if there is one. */
static struct part split_registry(struct part *name)
{
	const char *slash = memchr(name->at, '/', name->length);
	struct part first = {name->at, slash ? (size_t)(slash - name->at) : 0};

	if (!slash)
		return first;
	bool host = (first.length == 9 && strncasecmp(first.at, "localhost", 9) == 0);
	for (size_t i = 0; i < first.length; i++)
		host = host || first.at[i] == '.' || first.at[i] == ':' || first.at[i] == '[';
	if (!host)
		return (struct part){name->at, 0};
	name->length -= first.length + 1;
	name->at = slash + 1;
	return first;
}

/* Takes ":TAG" off the end of *name; at NULL if there is none. A colon before the last '/' is no tag's. */
static struct part split_tag(struct part *name)
{
	for (size_t i = name->length; i > 0 && name->at[i - 1] != '/'; i--) {
		if (name->at[i - 1] != ':')
			continue;
		struct part tag = {name->at + i, name->length - i};
		name->length = i - 1;
		return tag;
	}
	return (struct part){NULL, 0};
}

static int refuse(struct err *err, const char *text, const char *why)
{
	err_set(err, -EINVAL, "'%.200s' is no name of an image: %s!", text, why);
	return err_hint(err, "names look like app, app:1.2 or localhost:5000/team/app:1.2, in lower case; "
			     "a digest may follow: app@sha256:... with 64 digits");
}

/* What would be taken for a digest wherever an image can be named. */
static bool looks_like_digest(const struct reference *reference)
{
	if (reference->registry[0] != '\0')
		return false;
	size_t length = strlen(reference->repository);
	return strcmp(reference->repository, "sha256") == 0 ||
	       (length == DIGEST_DIGITS && all_hex(reference->repository, length));
}

int reference_parse(struct reference *reference, const char *text, struct err *err)
{
	const char *at = strchr(text, '@');
	struct part digest = {at ? at + 1 : NULL, at ? strlen(at + 1) : 0};
	struct part name = {text, at ? (size_t)(at - text) : strlen(text)};

	memset(reference, 0, sizeof(*reference));
	if (name.length == 0)
		return refuse(err, text, "it is empty");
	if (name.length >= REFERENCE_MAX - strlen(":latest"))
		return refuse(err, text, "it is too long");
	struct part registry = split_registry(&name);
	struct part tag = split_tag(&name);
	if (registry.length > 0 && !registry_is_good(registry))
		return refuse(err, text, "the registry is no HOST or HOST:PORT");
	if (!repository_is_good(name))
		return refuse(
		    err, text,
		    "the path must consist of lower-case letters, digits and single '.', '_' or '-' between them");
	if (tag.at && !tag_is_good(tag))
		return refuse(
		    err, text,
		    "a tag consists of letters, digits, '_', '.' and '-', and begins with none of the last two");
	if (at && !digest_is_good(digest))
		return refuse(err, text, "the digest is not sha256: and 64 digits (lower case)");
	if (!copy(reference->registry, sizeof(reference->registry), registry, true) ||
	    !copy(reference->repository, sizeof(reference->repository), name, false) ||
	    !copy(reference->tag, sizeof(reference->tag), tag, false) ||
	    !copy(reference->digest, sizeof(reference->digest), digest, false))
		return refuse(err, text, "a part of it is too long");
	if (looks_like_digest(reference))
		return refuse(err, text, "it would be taken for a digest");
	if (!tag.at && !at)
		memcpy(reference->tag, "latest", sizeof("latest"));
	return 0;
}

void reference_format(const struct reference *reference, char text[REFERENCE_MAX])
{
	int length = 0;

	if (reference->tag[0] != '\0')
		length = snprintf(text, REFERENCE_MAX, "%s%s%s:%s", reference->registry,
				  reference->registry[0] != '\0' ? "/" : "", reference->repository, reference->tag);
	/* What reference_parse() has taken fits. */
	if (length <= 0 || length >= (int)REFERENCE_MAX)
		text[0] = '\0';
}
