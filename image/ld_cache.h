/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/ld.so.cache of glibc, version 1.1 (glibc's sysdeps/generic/dl-cache.h): where the loader finds libraries that
 * lie in no directory which it searches anyway. Only libraries for x86-64 that every such processor can use (no
 * hwcaps).
 */
#ifndef LAMPO_IMAGE_LD_CACHE_H
#define LAMPO_IMAGE_LD_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "base/host/err.h"
#include "image/text.h"

#define LD_CACHE_BYTES_MAX (16u << 20)

/* The path of the library `name` in a cache file; borrowed from it, terminated. NULL: it is not there, or the file is
 * malformed. */
const char *ld_cache_find(const void *cache, size_t bytes, const char *name);
/* Makes a cache file of libraries (their paths; the last component is the name; of several of one name the first
 * counts). *cache is malloc'd. -ENOMEM, -E2BIG. */
int ld_cache_make(const struct string_list *paths, void **cache, size_t *bytes);

#endif
