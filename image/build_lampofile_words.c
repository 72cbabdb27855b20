/* SPDX-License-Identifier: Apache-2.0 */
#include "image/build_lampofile_words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "image/json.h"

#define SPACES " \t\r\v\f"

static int no_memory(struct err *err) { return err_set(err, -ENOMEM, "cannot read the instruction"); }

static int add_word(struct lampofile_instruction *in, const char *word, size_t length, struct err *err)
{
	if (in->words.count == LAMPOFILE_WORDS_MAX)
		return err_set(err, -EINVAL, "%s has more than %u words!", lampofile_keyword(in->kind),
			       LAMPOFILE_WORDS_MAX);
	return string_list_add(&in->words, word, length) < 0 ? no_memory(err) : 0;
}

static int split_spaces(struct lampofile_instruction *in, const char *text, struct err *err)
{
	while (*text != '\0') {
		size_t length = strcspn(text, SPACES);
		int code = add_word(in, text, length, err);
		if (code < 0)
			return code;
		text += length;
		text += strspn(text, SPACES);
	}
	return 0;
}

/* ---- the JSON form ---- */

/* 1: the text is a JSON array of strings, and those are the words; 0: it is none, and meant for the shell (as Docker
 * has it). */
static int try_json(struct lampofile_instruction *in, const char *text, struct err *err)
{
	int code = 1;

	if (*text != '[')
		return 0;
	struct err ignored = {0};
	json_t *array = NULL;
	if (image_json_parse(&array, text, strlen(text), TEXT_MAX, "the array", &ignored) < 0)
		return 0;
	size_t count = json_array_size(array);
	for (size_t i = 0; i < count; i++)
		if (!json_is_string(json_array_get(array, i)))
			code = 0;
	for (size_t i = 0; i < count && code == 1; i++) {
		const json_t *string = json_array_get(array, i);
		int added = add_word(in, json_string_value(string), json_string_length(string), err);
		if (added < 0)
			code = added;
	}
	json_decref(array);
	in->json = code == 1;
	return code;
}

/* ---- flags ---- */

struct flag_rule {
	const char *name;
	bool value;
	size_t offset;       /* of the char * in struct lampofile_instruction */
	const char *refused; /* why it is not supported */
};

#define FIELD(name) offsetof(struct lampofile_instruction, name)
static const struct flag_rule from_flags[] = {{"platform", true, FIELD(platform), NULL}, {0}};
static const struct flag_rule copy_flags[] = {
    {"from", true, FIELD(from), NULL},
    {"chown", true, FIELD(chown), NULL},
    {"chmod", true, FIELD(chmod), NULL},
    {"link", false, 0, NULL}, /* about Docker's cache, the result is the same */
    {"parents", false, 0, "name the destination of each source instead"},
    {"exclude", true, 0, "name what is not wanted in .dockerignore"},
    {0},
};

static int take_flag(struct lampofile_instruction *in, const struct flag_rule *rules, const char *flag, size_t length,
		     struct err *err)
{
	const char *equals = memchr(flag, '=', length);
	size_t name_length = equals != NULL ? (size_t)(equals - flag) : length;
	int shown = length < 60 ? (int)length : 60;

	for (; rules->name != NULL; rules++) {
		if (strlen(rules->name) != name_length || strncmp(rules->name, flag, name_length) != 0)
			continue;
		if (rules->refused != NULL) {
			err_set(err, -EINVAL, "%s --%s is not supported!", lampofile_keyword(in->kind), rules->name);
			return err_hint(err, "%s", rules->refused);
		}
		if (!rules->value)
			return 0;
		char **value = (char **)((char *)in + rules->offset);
		if (equals == NULL || equals + 1 == flag + length || *value != NULL)
			return err_set(err, -EINVAL, "%s --%s needs a value, once!", lampofile_keyword(in->kind),
				       rules->name);
		*value = strndup(equals + 1, length - name_length - 1);
		return *value == NULL ? no_memory(err) : 0;
	}
	return err_set(err, -EINVAL, "%s has no flag '--%.*s'!", lampofile_keyword(in->kind), shown, flag);
}

/* "--name=value" words at the beginning; *rest is what follows them. */
static int take_flags(struct lampofile_instruction *in, const struct flag_rule *rules, const char **rest,
		      struct err *err)
{
	const char *at = in->text;

	while (at[0] == '-' && at[1] == '-' && at[2] != '\0' && strchr(SPACES, at[2]) == NULL) {
		size_t length = strcspn(at, SPACES);
		int code = take_flag(in, rules, at + 2, length - 2, err);
		if (code < 0)
			return code;
		at += length;
		at += strspn(at, SPACES);
	}
	*rest = at;
	return 0;
}

/* ---- name=value ---- */

/* The length of the word at `at`: to a space outside of quotes. */
static size_t quoted_word(const char *at, char escape)
{
	const char *start = at;
	char quote = '\0';

	for (; *at != '\0' && (quote != '\0' || strchr(SPACES, *at) == NULL); at++) {
		if (*at == escape && quote != '\'') {
			if (at[1] != '\0')
				at++;
		} else if (quote != '\0') {
			if (*at == quote)
				quote = '\0';
		} else if (*at == '"' || *at == '\'') {
			quote = *at;
		}
	}
	return (size_t)(at - start);
}

static int add_pair(struct lampofile_instruction *in, const char *word, size_t length, struct err *err)
{
	const char *equals = memchr(word, '=', length);
	int shown = length < 60 ? (int)length : 60;

	if (equals == NULL || equals == word) {
		err_set(err, -EINVAL, "'%.*s' is not of the form NAME=VALUE!", shown, word);
		return err_hint(err, "quote values with spaces: %s NAME=\"some words\"", lampofile_keyword(in->kind));
	}
	size_t name_length = (size_t)(equals - word);
	int code = add_word(in, word, name_length, err);
	return code < 0 ? code : add_word(in, equals + 1, length - name_length - 1, err);
}

static int parse_pairs(struct lampofile_instruction *in, char escape, struct err *err)
{
	const char *at = in->text;
	size_t length = quoted_word(at, escape);

	if (memchr(at, '=', length) == NULL) {
		/* The old form: NAME, a space, and the rest of the line is the value. */
		size_t name_length = strcspn(at, SPACES);
		const char *value = at + name_length + strspn(at + name_length, SPACES);
		if (*value == '\0')
			return add_pair(in, at, length, err);
		int code = add_word(in, at, name_length, err);
		return code < 0 ? code : add_word(in, value, strlen(value), err);
	}
	while (*at != '\0') {
		length = quoted_word(at, escape);
		int code = add_pair(in, at, length, err);
		if (code < 0)
			return code;
		at += length;
		at += strspn(at, SPACES);
	}
	return 0;
}

/* ---- each kind ---- */

static int parse_from(struct lampofile_instruction *in, struct err *err)
{
	const char *rest = NULL;
	int code = take_flags(in, from_flags, &rest, err);

	if (code == 0)
		code = split_spaces(in, rest, err);
	if (code < 0)
		return code;
	if (in->words.count != 1 && (in->words.count != 3 || strcasecmp(in->words.items[1], "AS") != 0))
		return err_set(err, -EINVAL, "FROM is not of the form 'FROM IMAGE' or 'FROM IMAGE AS NAME'!");
	if (in->words.count == 1)
		return 0;
	in->as = strdup(in->words.items[2]);
	if (in->as == NULL)
		return no_memory(err);
	for (char *c = in->as; *c != '\0'; c++) {
		*c = (char)tolower((unsigned char)*c);
		if (!islower((unsigned char)*c) &&
		    (c == in->as || (!isdigit((unsigned char)*c) && strchr("-_.", *c) == NULL)))
			return err_set(err, -EINVAL,
				       "'%.60s' is no name for a stage: letters, then letters, digits, '-', '_', '.'!",
				       in->words.items[2]);
	}
	return 0;
}

static int parse_copy(struct lampofile_instruction *in, struct err *err)
{
	const char *rest = NULL;
	int code = take_flags(in, copy_flags, &rest, err);

	if (code == 0)
		code = try_json(in, rest, err);
	if (code == 0)
		code = split_spaces(in, rest, err);
	if (code < 0)
		return code;
	if (in->words.count < 2)
		return err_set(err, -EINVAL, "COPY needs a source and a destination!");
	for (size_t i = 0; i < in->words.count; i++) {
		if (in->words.items[i][0] == '\0')
			return err_set(err, -EINVAL, "COPY has an empty name!");
		if (!in->json && strncmp(in->words.items[i], "<<", 2) == 0) {
			err_set(err, -EINVAL, "COPY of here-documents is not supported!");
			return err_hint(err, "put the text into a file of the context");
		}
	}
	return 0;
}

static int parse_command(struct lampofile_instruction *in, struct err *err)
{
	int code = try_json(in, in->text, err);

	return code == 0 ? add_word(in, in->text, strlen(in->text), err) : code < 0 ? code : 0;
}

int lampofile_parse_words(struct lampofile_instruction *instruction, char escape, struct err *err)
{
	switch (instruction->kind) {
	case LAMPOFILE_FROM:
		return parse_from(instruction, err);
	case LAMPOFILE_COPY:
		return parse_copy(instruction, err);
	case LAMPOFILE_ENV:
	case LAMPOFILE_LABEL:
		return parse_pairs(instruction, escape, err);
	case LAMPOFILE_WORKDIR:
	case LAMPOFILE_USER:
		return add_word(instruction, instruction->text, strlen(instruction->text), err);
	case LAMPOFILE_EXPOSE:
		return split_spaces(instruction, instruction->text, err);
	case LAMPOFILE_ENTRYPOINT:
	case LAMPOFILE_CMD:
		return parse_command(instruction, err);
	}
	return -EINVAL;
}
