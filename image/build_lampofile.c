/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a Lampofile, and what they have in common. What follows each keyword: image/build_lampofile_words.c. */
#include "image/build_lampofile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"
#include "image/build_lampofile_words.h"

static const char *const keywords[] = {
    [LAMPOFILE_FROM] = "FROM",
    [LAMPOFILE_COPY] = "COPY",
    [LAMPOFILE_ENV] = "ENV",
    [LAMPOFILE_WORKDIR] = "WORKDIR",
    [LAMPOFILE_USER] = "USER",
    [LAMPOFILE_EXPOSE] = "EXPOSE",
    [LAMPOFILE_ENTRYPOINT] = "ENTRYPOINT",
    [LAMPOFILE_CMD] = "CMD",
    [LAMPOFILE_LABEL] = "LABEL",
};

/* Docker's instructions that are none of ours, and what to do instead. */
static const struct {
	const char *keyword, *instead;
} unsupported[] = {
    {"RUN", "no program runs while Lampo builds: prepare the files before and COPY them, use 'lampo build --program', "
	    "or start FROM an "
	    "image in which it was done"},
    {"ADD", "use COPY; unpack archives and fetch files before the build"},
    {"ARG", "write the value where it is used, or set it with ENV"},
    {"VOLUME", "leave it out: all writes stay in the VM; 'lampo run -v' gives a directory of the host"},
    {"HEALTHCHECK", "leave it out: VMs have no health checks"},
    {"SHELL", "give ENTRYPOINT and CMD as JSON arrays, with the shell in them"},
    {"STOPSIGNAL", "leave it out; 'lampo kill -s' sends any signal"},
    {"ONBUILD", "write the instruction into the Lampofile that needs it"},
    {"MAINTAINER", "use LABEL org.opencontainers.image.authors=..."},
};

const char *lampofile_keyword(enum lampofile_kind kind) { return keywords[kind]; }

/* ---- logical lines ---- */

struct reader {
	const char *at, *end, *name;
	unsigned line; /* of what was read last */
	char escape;
	struct err *err;
};

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

/* The next physical line without its end; false: there is none. */
static bool next_line(struct reader *r, const char **line, size_t *length)
{
	if (r->at == r->end)
		return false;
	const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
	const char *stop = newline != NULL ? newline : r->end;
	*line = r->at;
	*length = (size_t)(stop - r->at);
	if (*length > 0 && (*line)[*length - 1] == '\r')
		(*length)--;
	r->at = newline != NULL ? newline + 1 : r->end;
	r->line++;
	return true;
}

static void strip_left(const char **line, size_t *length)
{
	while (*length > 0 && is_space(**line)) {
		(*line)++;
		(*length)--;
	}
}

/* A line that ends in one escape character, spaces after it allowed, goes on: it is cut off. */
static bool cut_continuation(const struct reader *r, const char *line, size_t *length)
{
	size_t n = *length;

	while (n > 0 && is_space(line[n - 1]))
		n--;
	if (n == 0 || line[n - 1] != r->escape || (n > 1 && line[n - 2] == r->escape))
		return false;
	*length = n - 1;
	return true;
}

/* 1: a logical line without comments and outer spaces, *first is where it began; 0: the end. */
static int logical_line(struct reader *r, struct text *out, unsigned *first)
{
	const char *line;
	size_t length;
	bool more = true;

	out->length = 0;
	while (more && next_line(r, &line, &length)) {
		const char *start = line;
		size_t rest = length;
		strip_left(&start, &rest);
		/* Empty lines and comments do not end a continued line. */
		if (rest == 0 || *start == '#')
			continue;
		if (out->length == 0) {
			*first = r->line;
			line = start;
			length = rest;
		}
		more = cut_continuation(r, line, &length);
		int code = text_add(out, line, length);
		if (code < 0)
			return err_set(r->err, code, "%s:%u: cannot read the instruction", r->name, *first);
	}
	while (out->length > 0 && is_space(out->data[out->length - 1]))
		out->data[--out->length] = '\0';
	return out->length > 0;
}

/* ---- directives: "# name=value" at the very beginning ---- */

static bool parse_directive(const char *line, size_t length, const char **name, size_t *name_length, const char **value,
			    size_t *value_length)
{
	strip_left(&line, &length);
	if (length == 0 || *line != '#')
		return false;
	line++, length--;
	strip_left(&line, &length);
	*name = line;
	while (length > 0 &&
	       ((*line | 32) >= 'a' ? (*line | 32) <= 'z' : (line > *name && *line >= '0' && *line <= '9')))
		line++, length--;
	*name_length = (size_t)(line - *name);
	strip_left(&line, &length);
	if (*name_length == 0 || length == 0 || *line != '=')
		return false;
	line++, length--;
	strip_left(&line, &length);
	while (length > 0 && is_space(line[length - 1]))
		length--;
	*value = line;
	*value_length = length;
	return length > 0;
}

static bool same(const char *name, size_t length, const char *word)
{
	return strlen(word) == length && strncasecmp(name, word, length) == 0;
}

static int read_directives(struct reader *r)
{
	const char *line, *name, *value;
	size_t length, name_length, value_length;
	bool have_escape = false;

	for (;;) {
		struct reader before = *r;
		if (!next_line(r, &line, &length) ||
		    !parse_directive(line, length, &name, &name_length, &value, &value_length) ||
		    (!same(name, name_length, "escape") && !same(name, name_length, "syntax") &&
		     !same(name, name_length, "check"))) {
			*r = before;
			return 0;
		}
		if (!same(name, name_length, "escape"))
			continue;
		if (have_escape || value_length != 1 || (*value != '\\' && *value != '`')) {
			err_set(r->err, -EINVAL, "%s:%u: the directive 'escape' is wrong!", r->name, r->line);
			return err_hint(r->err, "it is '# escape=\\' or '# escape=`', once");
		}
		r->escape = *value;
		have_escape = true;
	}
}

/* ---- instructions ---- */

static int refuse_keyword(const struct reader *r, unsigned line, const char *word, size_t length)
{
	int shown = length < 40 ? (int)length : 40;

	for (size_t i = 0; i < countof(unsupported); i++) {
		if (!same(word, length, unsupported[i].keyword))
			continue;
		err_set(r->err, -EINVAL, "%s:%u: %s is not supported!", r->name, line, unsupported[i].keyword);
		return err_hint(r->err, "%s. Supported: FROM, COPY, ENV, WORKDIR, USER, EXPOSE, ENTRYPOINT, CMD, LABEL",
				unsupported[i].instead);
	}
	err_set(r->err, -EINVAL, "%s:%u: there is no instruction '%.*s'!", r->name, line, shown, word);
	return err_hint(r->err, "supported are FROM, COPY, ENV, WORKDIR, USER, EXPOSE, ENTRYPOINT, CMD and LABEL");
}

static int parse_instruction(const struct reader *r, unsigned line, const char *text, struct lampofile_instruction *out)
{
	size_t length = strcspn(text, " \t\r\v\f");
	const char *rest = text + length;

	out->line = line;
	for (size_t i = 0; i < countof(keywords); i++) {
		if (!same(text, length, keywords[i]))
			continue;
		out->kind = (enum lampofile_kind)i;
		rest += strspn(rest, " \t\r\v\f");
		out->text = strdup(rest);
		if (out->text == NULL)
			return err_set(r->err, -ENOMEM, "cannot read %s", r->name);
		if (*rest == '\0')
			return err_set(r->err, -EINVAL, "%s:%u: %s has no arguments!", r->name, line, keywords[i]);
		int code = lampofile_parse_words(out, r->escape, r->err);
		return code < 0 ? err_wrap(r->err, "%s:%u", r->name, line) : 0;
	}
	return refuse_keyword(r, line, text, length);
}

static struct lampofile_instruction *grow(struct lampofile *file)
{
	/* Doubled whenever the count is a power of two. */
	if ((file->count & (file->count - 1)) == 0) {
		size_t room = file->count != 0 ? file->count * 2 : 1;
		void *grown = realloc(file->instructions, room * sizeof(file->instructions[0]));
		if (grown == NULL)
			return NULL;
		file->instructions = grown;
	}
	struct lampofile_instruction *new = &file->instructions[file->count++];
	*new = (struct lampofile_instruction){0};
	return new;
}

static int read_instructions(struct reader *r, struct lampofile *file, struct text *line)
{
	unsigned first = 0;
	int code;

	while ((code = logical_line(r, line, &first)) > 0) {
		if (file->count == LAMPOFILE_INSTRUCTIONS_MAX)
			return err_set(r->err, -EINVAL, "%s:%u: more than %u instructions!", r->name, first,
				       LAMPOFILE_INSTRUCTIONS_MAX);
		struct lampofile_instruction *new = grow(file);
		if (new == NULL)
			return err_set(r->err, -ENOMEM, "cannot read %s", r->name);
		code = parse_instruction(r, first, line->data, new);
		if (code < 0)
			return code;
		if (file->count == 1 && new->kind != LAMPOFILE_FROM) {
			err_set(r->err, -EINVAL, "%s:%u: the first instruction is not FROM!", r->name, first);
			return err_hint(r->err, "'FROM scratch' begins with an empty image");
		}
	}
	if (code < 0)
		return code;
	if (file->count == 0) {
		err_set(r->err, -EINVAL, "%s has no instructions!", r->name);
		return err_hint(r->err, "'FROM scratch' begins with an empty image");
	}
	return 0;
}

int lampofile_parse(struct lampofile *file, const char *text, size_t bytes, const char *name, struct err *err)
{
	struct reader r = {.at = text, .end = text + bytes, .name = name, .escape = '\\', .err = err};
	struct text line = {0};

	*file = (struct lampofile){0};
	if (bytes > LAMPOFILE_BYTES_MAX)
		return err_set(err, -EFBIG, "%s is larger than %u bytes!", name, LAMPOFILE_BYTES_MAX);
	if (bytes > 0 && memchr(text, '\0', bytes) != NULL)
		return err_set(err, -EINVAL, "%s is not a text: there are zero bytes in it!", name);
	if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		r.at += 3;
	int code = read_directives(&r);
	if (code == 0)
		code = read_instructions(&r, file, &line);
	text_free(&line);
	file->escape = r.escape;
	if (code < 0)
		lampofile_free(file);
	return code;
}

void lampofile_free(struct lampofile *file)
{
	for (size_t i = 0; i < file->count; i++) {
		struct lampofile_instruction *in = &file->instructions[i];
		string_list_free(&in->words);
		free(in->text);
		free(in->as);
		free(in->from);
		free(in->chown);
		free(in->chmod);
		free(in->platform);
	}
	free(file->instructions);
	*file = (struct lampofile){0};
}
