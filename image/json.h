/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON documents from outside (configurations, manifests, a registry's answers): RFC 8259 as jansson reads it, after a
 * look over the bytes that bounds what the parser may be made to do. Duplicate keys, NULs in strings and bytes that are
 * no UTF-8 are refused.
 */
#ifndef LAMPO_IMAGE_JSON_H
#define LAMPO_IMAGE_JSON_H

#include <jansson.h>

#include "base/host/err.h"

#define IMAGE_JSON_DEPTH_MAX 64u
#define IMAGE_JSON_VALUES_MAX 200000u /* values and members; about 20 MiB once parsed */

/* what: names the document in errors. bytes_max: of the text. *root is the caller's. -EFBIG, -EINVAL. */
int image_json_parse(json_t **root, const char *text, size_t bytes, size_t bytes_max, const char *what,
		     struct err *err);
/* A member that is a string; missing or null gives "". Borrowed. -EINVAL for another type. */
int image_json_string(const json_t *object, const char *key, const char **value, const char *what, struct err *err);
/* A member that is an object (list); missing or null gives NULL. Borrowed. */
int image_json_object(const json_t *object, const char *key, json_t **value, const char *what, struct err *err);
int image_json_list(const json_t *object, const char *key, json_t **value, const char *what, struct err *err);
/* Sorted keys, no white space; malloc'd, NULL: no memory. */
char *image_json_dump(const json_t *root);

#endif
