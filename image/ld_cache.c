/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ld_cache.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "glibc-ld.so.cache1.1"
#define OLD_MAGIC "ld.so-1.7.0"
#define FLAGS_X86_64 0x0303 /* ELF of libc 6, x86-64 */
#define LITTLE_ENDIAN_FILE 2u

struct cache_header {
	char magic[20];
	uint32_t count, strings_bytes;
	uint8_t flags, padding[3];
	uint32_t extension_offset, unused[3];
};
struct cache_entry {
	int32_t flags;
	uint32_t name, path; /* offsets from the header */
	uint32_t os_version;
	uint64_t hwcap;
};
_Static_assert(sizeof(struct cache_header) == 48 && sizeof(struct cache_entry) == 24, "as glibc has it");

/* The string at an offset; NULL: it lies outside or has no end. */
static const char *string_at(const char *cache, size_t bytes, uint32_t offset)
{
	return offset < bytes && memchr(cache + offset, '\0', bytes - offset) != NULL ? cache + offset : NULL;
}

/* The file may begin with the table of glibc before 2.2, which has 12 bytes an entry; ours follows, aligned to 8. */
static const char *skip_old(const char *cache, size_t *bytes)
{
	uint32_t count;
	size_t skip;

	if (*bytes < 16 || memcmp(cache, OLD_MAGIC, sizeof(OLD_MAGIC) - 1) != 0)
		return cache;
	memcpy(&count, cache + 12, sizeof(count));
	skip = (16 + (size_t)count * 12 + 7) & ~(size_t)7;
	if (skip > *bytes)
		return NULL;
	*bytes -= skip;
	return cache + skip;
}

const char *ld_cache_find(const void *file, size_t bytes, const char *name)
{
	const char *cache = skip_old(file, &bytes);
	struct cache_header header;

	if (cache == NULL || bytes < sizeof(header))
		return NULL;
	memcpy(&header, cache, sizeof(header));
	if (memcmp(header.magic, MAGIC, sizeof(header.magic)) != 0 ||
	    header.count > (bytes - sizeof(header)) / sizeof(struct cache_entry))
		return NULL;
	/* One after another: files of this size are read faster than their order is trusted. */
	for (uint32_t i = 0; i < header.count; i++) {
		struct cache_entry entry;
		memcpy(&entry, cache + sizeof(header) + i * sizeof(entry), sizeof(entry));
		if (entry.flags != FLAGS_X86_64 || entry.hwcap != 0)
			continue;
		const char *found = string_at(cache, bytes, entry.name);
		if (found != NULL && strcmp(found, name) == 0)
			return string_at(cache, bytes, entry.path);
	}
	return NULL;
}

/* ---- making ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The order in which the loader searches: numbers count as numbers ("libx.so.10" after "libx.so.9"). */
static int compare_names(const char *a, const char *b)
{
	while (*a != '\0') {
		if (is_digit(*a) && is_digit(*b)) {
			unsigned long x = strtoul(a, (char **)&a, 10), y = strtoul(b, (char **)&b, 10);
			if (x != y)
				return x < y ? -1 : 1;
		} else if (is_digit(*a) || is_digit(*b)) {
			return is_digit(*a) ? 1 : -1;
		} else if (*a != *b) {
			return *a < *b ? -1 : 1; /* signed, as there */
		} else {
			a++, b++;
		}
	}
	return *b == '\0' ? 0 : -1;
}

struct library {
	const char *name, *path;
	size_t order;
};

/* Descending; equal names in the order in which they were given. */
static int compare_libraries(const void *a, const void *b)
{
	const struct library *x = a, *y = b;
	int order = compare_names(y->name, x->name);

	return order != 0 ? order : x->order < y->order ? -1 : 1;
}

static size_t sort_libraries(const struct string_list *paths, struct library *libraries, size_t *strings)
{
	size_t kept = 0;

	for (size_t i = 0; i < paths->count; i++) {
		const char *slash = strrchr(paths->items[i], '/');
		libraries[i] = (struct library){slash != NULL ? slash + 1 : paths->items[i], paths->items[i], i};
	}
	qsort(libraries, paths->count, sizeof(libraries[0]), compare_libraries);
	for (size_t i = 0; i < paths->count; i++) {
		if (kept > 0 && compare_names(libraries[i].name, libraries[kept - 1].name) == 0)
			continue;
		*strings += strlen(libraries[i].path) + 1;
		libraries[kept++] = libraries[i];
	}
	return kept;
}

int ld_cache_make(const struct string_list *paths, void **cache, size_t *bytes)
{
	struct library *libraries = calloc(paths->count + 1, sizeof(libraries[0]));
	size_t strings = 0;

	if (libraries == NULL)
		return -ENOMEM;
	size_t count = sort_libraries(paths, libraries, &strings);
	size_t at = sizeof(struct cache_header) + count * sizeof(struct cache_entry);
	*bytes = at + strings;
	if (*bytes > LD_CACHE_BYTES_MAX) {
		free(libraries);
		return -E2BIG;
	}
	char *out = calloc(1, *bytes);
	if (out != NULL) {
		struct cache_header header = {
		    .count = (uint32_t)count, .strings_bytes = (uint32_t)strings, .flags = LITTLE_ENDIAN_FILE};
		memcpy(header.magic, MAGIC, sizeof(header.magic));
		memcpy(out, &header, sizeof(header));
		for (size_t i = 0; i < count; i++) {
			size_t length = strlen(libraries[i].path) + 1;
			struct cache_entry entry = {
			    .flags = FLAGS_X86_64,
			    .name = (uint32_t)(at + (size_t)(libraries[i].name - libraries[i].path)),
			    .path = (uint32_t)at};
			memcpy(out + sizeof(header) + i * sizeof(entry), &entry, sizeof(entry));
			memcpy(out + at, libraries[i].path, length);
			at += length;
		}
	}
	free(libraries);
	*cache = out;
	return out == NULL ? -ENOMEM : 0;
}
