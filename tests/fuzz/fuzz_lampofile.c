/* SPDX-License-Identifier: Apache-2.0 */
/* Lampofiles, .dockerignore and patterns of hostile bytes: bounded, and what is accepted keeps its promises. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/build_glob.h"
#include "image/build_lampofile.h"
#include "image/build_words.h"

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_words(const struct lampofile *file, const struct lampofile_instruction *in)
{
	static char *const env[] = {"A=1", "B=two words", "LONG=0123456789012345678901234567890123456789", NULL};

	for (size_t i = 0; i < in->words.count; i++) {
		struct err err = {0};
		char *word = NULL;
		int code = build_word_expand(in->words.items[i], file->escape, env, &word, &err);
		require(code == 0 ? word != NULL && strlen(word) <= BUILD_WORD_MAX
				  : word == NULL && err.text[0] != '\0');
		free(word);
	}
}

static void lampofile(const char *text, size_t bytes)
{
	struct lampofile file;
	struct err err = {0};

	if (lampofile_parse(&file, text, bytes, "it", &err) < 0) {
		require(err.code < 0 && err.text[0] != '\0' && file.instructions == NULL);
		return;
	}
	require(file.count > 0 && file.count <= LAMPOFILE_INSTRUCTIONS_MAX &&
		file.instructions[0].kind == LAMPOFILE_FROM);
	for (size_t i = 0; i < file.count; i++) {
		const struct lampofile_instruction *in = &file.instructions[i];
		require(in->text != NULL && in->line > 0 && in->words.count <= LAMPOFILE_WORDS_MAX);
		require(i == 0 || in->line > file.instructions[i - 1].line);
		switch (in->kind) {
		case LAMPOFILE_COPY:
			require(in->words.count >= 2);
			break;
		case LAMPOFILE_ENV:
		case LAMPOFILE_LABEL:
			require(in->words.count >= 2 && in->words.count % 2 == 0);
			break;
		case LAMPOFILE_ENTRYPOINT:
		case LAMPOFILE_CMD:
			require(in->json || in->words.count == 1);
			break;
		default:
			require(in->words.count >= 1);
		}
		check_words(&file, in);
	}
	lampofile_free(&file);
}

static void ignore(const char *text, size_t bytes)
{
	struct build_ignore rules;
	struct err err = {0};

	if (build_ignore_parse(&rules, text, bytes, "it", &err) < 0) {
		require(err.code < 0 && err.text[0] != '\0' && rules.rules == NULL);
		return;
	}
	(void)build_ignore_match(&rules, "a/b/c.txt");
	(void)build_ignore_match(&rules, "node_modules");
	build_ignore_free(&rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *text = malloc(size);
	require(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] % 4 == 0) {
		ignore(text, size - 1);
	} else if (data[0] % 4 == 1) {
		const char *name = memchr(text, '\n', size - 1);
		if (name != NULL) {
			text[name - text] = '\0';
			int matched = build_glob_match(text, name + 1, data[0] & 4);
			require(matched == 0 || matched == 1 || matched == -EINVAL);
		}
	} else {
		lampofile(text, size - 1);
	}
	free(text);
	return 0;
}
