/* SPDX-License-Identifier: Apache-2.0 */
#include "image/build_words.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "image/text.h"

#define DEPTH_MAX 16u /* of ${a:-${b:-...}} */

struct expander {
	const char *at, *word;
	char escape;
	char *const *env;
	unsigned depth;
	struct err *err;
};

static const char *find(char *const *env, const char *name, size_t length)
{
	const char *value = NULL;

	for (; env != NULL && *env != NULL; env++)
		if (strncmp(*env, name, length) == 0 && (*env)[length] == '=')
			value = *env + length + 1;
	return value;
}

static int wrong(struct expander *x, const char *what)
{
	return err_set(x->err, -EINVAL, "'%.100s': %s!", x->word, what);
}

static int put(struct expander *x, struct text *out, const char *data, size_t bytes)
{
	if (bytes > BUILD_WORD_MAX || out->length + bytes > BUILD_WORD_MAX)
		return err_set(x->err, -E2BIG, "'%.100s' becomes longer than %u bytes!", x->word, BUILD_WORD_MAX);
	int code = text_add(out, data, bytes);
	return code < 0 ? err_set(x->err, code, "cannot replace variables") : 0;
}

static int expand_until(struct expander *x, char stop, struct text *out);

static size_t name_length(const char *at)
{
	size_t n = 0;

	if (isdigit((unsigned char)*at)) {
		while (isdigit((unsigned char)at[n]))
			n++;
		return n;
	}
	while (isalnum((unsigned char)at[n]) || at[n] == '_')
		n++;
	return n;
}

/* What follows the name in ${name...}: x->at is behind the operator. */
static int apply_operator(struct expander *x, char op, bool empty_is_unset, const char *name, size_t length,
			  struct text *out)
{
	const char *value = find(x->env, name, length);
	bool set = value != NULL && !(empty_is_unset && *value == '\0');
	struct text word = {0};

	if (++x->depth > DEPTH_MAX)
		return wrong(x, "variables are nested too deeply");
	int code = expand_until(x, '}', &word);
	x->depth--;
	if (code == 0 && *x->at != '}')
		code = wrong(x, "a '}' is missing");
	if (code == 0 && op == '?' && !set)
		code = err_set(x->err, -EINVAL, "%.*s: %s!", (int)(length < 100 ? length : 100), name,
			       word.length > 0 ? word.data : "is not set");
	if (code == 0) {
		x->at++;
		if (op == '+' ? set : !set)
			code = put(x, out, word.data != NULL ? word.data : "", word.length);
		else if (op != '+')
			code = put(x, out, value, strlen(value));
	}
	text_free(&word);
	return code;
}

static int expand_braces(struct expander *x, struct text *out)
{
	const char *name = x->at;
	size_t length = name_length(name);
	bool colon;

	x->at += length;
	if (length == 0 || *x->at == '\0')
		return wrong(x, length == 0 ? "there is no name in '${}'" : "a '}' is missing");
	if (*x->at == '}') {
		const char *value = find(x->env, name, length);
		x->at++;
		return value == NULL ? 0 : put(x, out, value, strlen(value));
	}
	colon = *x->at == ':';
	if (colon)
		x->at++;
	if (*x->at == '\0' || strchr("-+?", *x->at) == NULL) {
		wrong(x, "this kind of replacement is not supported");
		return err_hint(x->err, "supported are $name, ${name}, ${name:-word}, ${name:+word} and ${name:?word}");
	}
	char op = *x->at++;
	return apply_operator(x, op, colon, name, length, out);
}

/* x->at is behind the '$'. */
static int expand_dollar(struct expander *x, struct text *out)
{
	if (*x->at == '{') {
		x->at++;
		return expand_braces(x, out);
	}
	size_t length = name_length(x->at);
	if (length == 0)
		return put(x, out, "$", 1);
	const char *value = find(x->env, x->at, length);
	x->at += length;
	return value == NULL ? 0 : put(x, out, value, strlen(value));
}

static int expand_double_quotes(struct expander *x, struct text *out)
{
	int code = 0;

	while (code == 0) {
		char c = *x->at++;
		if (c == '\0')
			return x->at--, wrong(x, "a closing '\"' is missing");
		if (c == '"')
			return 0;
		if (c == '$') {
			code = expand_dollar(x, out);
		} else if (c == x->escape && *x->at != '\0') {
			/* Before other characters it stands for itself. */
			if (*x->at != '"' && *x->at != '$' && *x->at != x->escape)
				code = put(x, out, &c, 1);
			if (code == 0)
				code = put(x, out, x->at++, 1);
		} else {
			code = put(x, out, &c, 1);
		}
	}
	return code;
}

/* Leaves x->at on `stop` or the end. */
static int expand_until(struct expander *x, char stop, struct text *out)
{
	int code = 0;

	while (code == 0 && *x->at != '\0' && *x->at != stop) {
		char c = *x->at++;
		if (c == '\'') {
			const char *end = strchr(x->at, '\'');
			if (end == NULL)
				return wrong(x, "a closing \"'\" is missing");
			code = put(x, out, x->at, (size_t)(end - x->at));
			x->at = end + 1;
		} else if (c == '"') {
			code = expand_double_quotes(x, out);
		} else if (c == '$') {
			code = expand_dollar(x, out);
		} else if (c == x->escape) {
			if (*x->at != '\0')
				code = put(x, out, x->at++, 1);
		} else {
			code = put(x, out, &c, 1);
		}
	}
	return code;
}

int build_word_expand(const char *word, char escape, char *const *env, char **result, struct err *err)
{
	struct expander x = {.at = word, .word = word, .escape = escape, .env = env, .err = err};
	struct text out = {0};
	int code = expand_until(&x, '\0', &out);

	*result = NULL;
	if (code == 0) {
		*result = text_take(&out);
		code = *result == NULL ? err_set(err, -ENOMEM, "cannot replace variables") : 0;
	}
	text_free(&out);
	return code;
}
