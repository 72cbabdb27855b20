/* SPDX-License-Identifier: Apache-2.0 */
/* Growing strings and lists of strings. Both begin as {0}. */
#ifndef LAMPO_IMAGE_TEXT_H
#define LAMPO_IMAGE_TEXT_H

#include <stddef.h>

#define TEXT_MAX (1u << 20) /* no string grows beyond it */

struct text {
	char *data; /* owned, terminated; NULL while empty */
	size_t length, room;
};

/* 0, -ENOMEM or -E2BIG; the string is unchanged then. */
int text_add(struct text *text, const char *data, size_t bytes);
int text_add_char(struct text *text, char c);
int text_add_string(struct text *text, const char *string);
/* Gives the string away, "" if it is empty; NULL: no memory. */
char *text_take(struct text *text);
void text_free(struct text *text);

struct string_list {
	char **items; /* owned, NULL-terminated; NULL while empty */
	size_t count, room;
};

/* Adds a copy of `length` bytes, or of all of it. 0 or -ENOMEM. */
int string_list_add(struct string_list *list, const char *string, size_t length);
int string_list_add_string(struct string_list *list, const char *string);
void string_list_free(struct string_list *list);
/* In the order of their bytes. */
void string_list_sort(struct string_list *list);

#endif
