/* SPDX-License-Identifier: Apache-2.0 */
#include "image/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int text_add(struct text *text, const char *data, size_t bytes)
{
	if (bytes >= TEXT_MAX - text->length)
		return -E2BIG;
	if (text->length + bytes + 1 > text->room) {
		size_t room = text->room != 0 ? text->room : 64;
		while (room < text->length + bytes + 1)
			room *= 2;
		char *grown = realloc(text->data, room);
		if (grown == NULL)
			return -ENOMEM;
		text->data = grown;
		text->room = room;
	}
	memcpy(text->data + text->length, data, bytes);
	text->length += bytes;
	text->data[text->length] = '\0';
	return 0;
}

int text_add_char(struct text *text, char c) { return text_add(text, &c, 1); }

int text_add_string(struct text *text, const char *string) { return text_add(text, string, strlen(string)); }

char *text_take(struct text *text)
{
	char *taken = text->data != NULL ? text->data : strdup("");

	*text = (struct text){0};
	return taken;
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

int string_list_add(struct string_list *list, const char *string, size_t length)
{
	if (list->count + 2 > list->room) {
		size_t room = list->room != 0 ? list->room * 2 : 8;
		char **grown = realloc(list->items, room * sizeof(grown[0]));
		if (grown == NULL)
			return -ENOMEM;
		list->items = grown;
		list->room = room;
	}
	char *copy = strndup(string, length);
	if (copy == NULL)
		return -ENOMEM;
	char **end = list->items + list->count++;
	end[1] = NULL;
	end[0] = copy;
	return 0;
}

int string_list_add_string(struct string_list *list, const char *string)
{
	return string_list_add(list, string, strlen(string));
}

void string_list_free(struct string_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct string_list){0};
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void string_list_sort(struct string_list *list)
{
	if (list->count > 1)
		qsort(list->items, list->count, sizeof(list->items[0]), compare);
}
