/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files and loader caches of hostile bytes: never read out of bounds, bounded, and what comes out is sane. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/elf_needs.h"
#include "image/ld_cache.h"

static void require(bool condition)
{
	if (!condition)
		abort();
}

struct memory {
	const uint8_t *data;
	size_t bytes;
};

static int64_t read_memory(void *context, uint64_t offset, void *to, uint64_t bytes)
{
	const struct memory *m = context;

	require(offset <= m->bytes); /* the reader knows the size */
	uint64_t n = bytes < m->bytes - offset ? bytes : m->bytes - offset;
	memcpy(to, m->data + offset, n);
	return (int64_t)n;
}

static void check_string(const char *string) { require(string == NULL || strlen(string) < ELF_NEEDS_STRING_MAX); }

static void elf(const uint8_t *data, size_t bytes)
{
	struct memory memory = {data, bytes};
	struct elf_source source = {read_memory, &memory, bytes};
	struct elf_needs needs;
	struct err err = {0};
	int code = elf_needs_read(&needs, &source, &err);

	if (code < 0) {
		require(code == -ENOEXEC ? err.code == 0 : err.code == code && err.text[0] != '\0');
		require(needs.needed.items == NULL && needs.interpreter == NULL);
		return;
	}
	require(needs.needed.count <= ELF_NEEDS_LIBRARIES_MAX);
	for (size_t i = 0; i < needs.needed.count; i++) {
		require(needs.needed.items[i][0] != '\0');
		check_string(needs.needed.items[i]);
	}
	check_string(needs.interpreter);
	check_string(needs.soname);
	check_string(needs.rpath);
	check_string(needs.runpath);
	require(needs.interpreter == NULL || needs.interpreter[0] == '/');
	elf_needs_free(&needs);
}

static void cache(const uint8_t *data, size_t bytes)
{
	/* A copy of the exact size, so that reading behind it is noticed. */
	void *copy = malloc(bytes != 0 ? bytes : 1);
	require(copy != NULL);
	if (bytes > 0)
		memcpy(copy, data, bytes);
	const char *path = ld_cache_find(copy, bytes, "libc.so.6");
	if (path != NULL)
		require(path >= (char *)copy && path + strlen(path) < (char *)copy + bytes);
	free(copy);
}

/* Paths, one a line: each name can be found in the cache that is made of them. */
static void make(const uint8_t *data, size_t bytes)
{
	struct string_list paths = {0};
	void *made;
	size_t made_bytes;

	for (size_t at = 0; at < bytes;) {
		size_t length = 0;
		while (at + length < bytes && data[at + length] != '\n' && data[at + length] != '\0')
			length++;
		require(string_list_add(&paths, (const char *)data + at, length) == 0);
		at += length + 1;
	}
	require(ld_cache_make(&paths, &made, &made_bytes) == 0);
	for (size_t i = 0; i < paths.count; i++) {
		const char *slash = strrchr(paths.items[i], '/');
		const char *name = slash != NULL ? slash + 1 : paths.items[i];
		(void)ld_cache_find(made, made_bytes, name);
	}
	free(made);
	string_list_free(&paths);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 'c')
		cache(data + 1, size - 1);
	else if (data[0] == 'm')
		make(data + 1, size - 1 < 2000 ? size - 1 : 2000);
	else
		elf(data, size);
	return 0;
}
