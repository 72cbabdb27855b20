/* SPDX-License-Identifier: Apache-2.0 */
#include "image/build_glob.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/text.h"

#define PATTERN_MAX 4096u
#define RULES_MAX 10000u
/* Steps that one comparison may take: patterns with many stars would take for ever otherwise. */
#define STEPS_MAX 1000000u

/* One character of UTF-8, or one byte of what is none; *length is not 0. */
static uint32_t decode(const char *text, size_t *length)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t n = s[0] >= 0xf0 && s[0] < 0xf8   ? 4
		   : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
		   : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
						 : 1;
	uint32_t c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));

	*length = 1;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return s[0];
		c = c << 6 | (s[i] & 0x3f);
	}
	*length = n;
	return c;
}

/* One character of a class, perhaps escaped; false: malformed. */
static bool class_character(const char **pattern, uint32_t *c)
{
	size_t length;

	if (**pattern == '\\')
		(*pattern)++;
	else if (**pattern == '-' || **pattern == ']')
		return false;
	if (**pattern == '\0')
		return false;
	*c = decode(*pattern, &length);
	*pattern += length;
	return true;
}

/* *pattern is behind the '[' and moves behind the ']'. */
static int match_class(const char **pattern, uint32_t c)
{
	bool negated = **pattern == '^', found = false;
	unsigned ranges = 0;

	if (negated)
		(*pattern)++;
	while (**pattern != ']' || ranges == 0) {
		uint32_t low, high;
		if (!class_character(pattern, &low))
			return -EINVAL;
		high = low;
		if (**pattern == '-') {
			(*pattern)++;
			if (!class_character(pattern, &high))
				return -EINVAL;
		}
		found |= low <= c && c <= high;
		ranges++;
	}
	(*pattern)++;
	return found != negated;
}

/* One element that is no star against one character of the name. 1: both moved on. */
static int match_one(const char **pattern, const char **name)
{
	size_t length = 0;
	uint32_t c = **name != '\0' ? decode(*name, &length) : 0;
	int matched;

	switch (**pattern) {
	case '?':
		(*pattern)++;
		matched = c != 0 && c != '/';
		break;
	case '[':
		(*pattern)++;
		matched = match_class(pattern, c);
		if (matched > 0 && (c == 0 || c == '/'))
			matched = 0;
		break;
	case '\\':
		(*pattern)++;
		if (**pattern == '\0')
			return -EINVAL;
		/* fall through */
	default: {
		size_t pattern_length;
		uint32_t p = decode(*pattern, &pattern_length);
		*pattern += pattern_length;
		matched = p == c;
	}
	}
	if (matched > 0)
		*name += length;
	return matched;
}

static int match_from(const char *pattern, const char *name, bool doubled, unsigned *steps);

/* pattern is at a star. */
static int match_star(const char *pattern, const char *name, bool doubled, unsigned *steps)
{
	bool cross = doubled && pattern[1] == '*';

	if (cross) {
		while (*pattern == '*')
			pattern++;
		/* Any number of whole directories. */
		if (*pattern == '/') {
			pattern++;
			for (;;) {
				int matched = match_from(pattern, name, doubled, steps);
				if (matched != 0)
					return matched;
				name = strchr(name, '/');
				if (name == NULL)
					return 0;
				name++;
			}
		}
		/* As in Docker, at the end it takes everything; before other characters it is a star that crosses
		 * slashes. */
	} else {
		while (*pattern == '*' && !(doubled && pattern[1] == '*'))
			pattern++;
	}
	for (;; name++) {
		int matched = match_from(pattern, name, doubled, steps);
		if (matched != 0 || *name == '\0' || (*name == '/' && !cross))
			return matched;
	}
}

static int match_from(const char *pattern, const char *name, bool doubled, unsigned *steps)
{
	while (*pattern != '\0') {
		if (++*steps > STEPS_MAX)
			return -EINVAL;
		if (*pattern == '*')
			return match_star(pattern, name, doubled, steps);
		int matched = match_one(&pattern, &name);
		if (matched <= 0)
			return matched;
	}
	return *name == '\0';
}

/* Is it well-formed? A comparison looks only as far as it must. */
static bool well_formed(const char *pattern)
{
	while (*pattern != '\0') {
		char c = *pattern++;
		if (c == '[' && match_class(&pattern, 'x') < 0)
			return false;
		if (c == '\\' && *pattern++ == '\0')
			return false;
	}
	return true;
}

int build_glob_match(const char *pattern, const char *name, bool doubled)
{
	unsigned steps = 0;

	if (strlen(pattern) > PATTERN_MAX || !well_formed(pattern))
		return -EINVAL;
	return match_from(pattern, name, doubled, &steps);
}

bool build_glob_is_pattern(const char *text) { return strpbrk(text, "*?[\\") != NULL; }

/* ---- .dockerignore ---- */

/* Takes "." and ".." and double slashes out, in place, as Go's filepath.Clean does; no leading and trailing slash. */
static void clean(char *path)
{
	char *out = path, *const start = path;

	for (char *part = path; *part != '\0';) {
		size_t length = strcspn(part, "/");
		char *next = part + length + (part[length] != '\0');
		if (length == 2 && memcmp(part, "..", 2) == 0) {
			while (out > start && *--out != '/')
				;
		} else if (length > 0 && !(length == 1 && *part == '.')) {
			if (out > start)
				*out++ = '/';
			memmove(out, part, length);
			out += length;
		}
		part = next;
	}
	*out = '\0';
}

static int add_rule(struct build_ignore *ignore, const char *line, size_t length, struct err *err)
{
	bool keep = *line == '!';
	int shown = length < 100 ? (int)length : 100;

	if (keep) {
		line++, length--;
		while (length > 0 && (*line == ' ' || *line == '\t'))
			line++, length--;
		if (length == 0)
			return err_set(err, -EINVAL, "there is nothing after '!'!");
	}
	if (ignore->count == RULES_MAX)
		return err_set(err, -EINVAL, "there are more than %u patterns!", RULES_MAX);
	if ((ignore->count & (ignore->count - 1)) == 0) {
		void *grown =
		    realloc(ignore->rules, (ignore->count != 0 ? ignore->count * 2 : 1) * sizeof(ignore->rules[0]));
		if (grown == NULL)
			return err_set(err, -ENOMEM, "cannot read the pattern");
		ignore->rules = grown;
	}
	char *pattern = strndup(line, length);
	if (pattern == NULL)
		return err_set(err, -ENOMEM, "cannot read the pattern");
	clean(pattern);
	if (build_glob_match(pattern, "", true) < 0) {
		free(pattern);
		return err_set(err, -EINVAL, "'%.*s' is not a pattern!", shown, line);
	}
	ignore->rules[ignore->count++] = (struct build_ignore_rule){pattern, keep};
	ignore->has_keep |= keep;
	return 0;
}

int build_ignore_parse(struct build_ignore *ignore, const char *text, size_t bytes, const char *name, struct err *err)
{
	const char *end = text + bytes;
	unsigned line = 0;

	*ignore = (struct build_ignore){0};
	if (bytes > TEXT_MAX)
		return err_set(err, -EFBIG, "%s is larger than %u bytes!", name, TEXT_MAX);
	if (bytes > 0 && memchr(text, '\0', bytes) != NULL)
		return err_set(err, -EINVAL, "%s is not a text: there are zero bytes in it!", name);
	if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline != NULL ? newline : end, *start = text;
		bool comment = *start == '#'; /* only in the first column */
		line++;
		while (start < stop && strchr(" \t\r", *start) != NULL)
			start++;
		while (stop > start && strchr(" \t\r", stop[-1]) != NULL)
			stop--;
		int code = comment || start == stop ? 0 : add_rule(ignore, start, (size_t)(stop - start), err);
		if (code < 0) {
			build_ignore_free(ignore);
			return err_wrap(err, "%s:%u", name, line);
		}
		text = newline != NULL ? newline + 1 : end;
	}
	return 0;
}

void build_ignore_free(struct build_ignore *ignore)
{
	for (size_t i = 0; i < ignore->count; i++)
		free(ignore->rules[i].pattern);
	free(ignore->rules);
	*ignore = (struct build_ignore){0};
}

static bool rule_matches(const struct build_ignore_rule *rule, char *path)
{
	unsigned steps = 0;

	if (match_from(rule->pattern, path, true, &steps) > 0)
		return true;
	/* A directory above it. */
	for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int matched = match_from(rule->pattern, path, true, &steps);
		*slash = '/';
		if (matched > 0)
			return true;
	}
	return false;
}

bool build_ignore_match(const struct build_ignore *ignore, const char *path)
{
	bool ignored = false;
	char *copy = ignore->count > 0 ? strdup(path) : NULL;

	for (size_t i = 0; copy != NULL && i < ignore->count; i++)
		if (ignore->rules[i].keep == ignored && rule_matches(&ignore->rules[i], copy))
			ignored = !ignore->rules[i].keep;
	free(copy);
	return ignored;
}
