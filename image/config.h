/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image's configuration: OCI image specification 1.1, config.md. What Lampo does not know is kept as it is (the JSON
 * object is the truth; this reads and changes parts of it).
 */
#ifndef LAMPO_IMAGE_CONFIG_H
#define LAMPO_IMAGE_CONFIG_H

#include <jansson.h>
#include <stdbool.h>

#include "base/host/err.h"

struct image_config {
	json_t *root; /* owned */
	/* NULL-terminated arrays of strings, owned; NULL where the configuration has none. */
	char **env, **entrypoint, **cmd;
	const char *user, *working_dir, *stop_signal; /* in root; "" where missing */
};

/* Bounded depth and size (image/json.h, IMAGE_CONFIG_MAX); duplicate keys, wrong types and NULs in strings are refused
 * (-EINVAL). */
int image_config_parse(struct image_config *config, const char *json, size_t bytes, struct err *err);
int image_config_new(struct image_config *config); /* architecture amd64, os linux, nothing else: -ENOMEM */
void image_config_free(struct image_config *config);
/* Re-reads the fields after root was changed. */
int image_config_refresh(struct image_config *config, struct err *err);
/* Canonical: sorted keys, no white space; malloc'd, NULL: no memory. */
char *image_config_dump(const struct image_config *config);
/* Member functions of the "config" object; value NULL removes. Lists are replaced as a whole.
 * -EINVAL: a string is no UTF-8, or what is there has another type; -ENOMEM. */
int image_config_set_string(struct image_config *config, const char *key, const char *value);
int image_config_set_list(struct image_config *config, const char *key, char *const *values);
int image_config_set_env(struct image_config *config, const char *name,
			 const char *value); /* replaces one of that name */
int image_config_set_label(struct image_config *config, const char *name, const char *value);
int image_config_add_port(struct image_config *config, const char *port); /* "80/tcp" */
int image_config_add_history(struct image_config *config, const char *created_by, bool empty_layer);
/* Docker's semantics for `run IMAGE [CMD...]`: entry point, then arguments or the image's CMD. NULL-terminated,
 * malloc'd as one block with borrowed strings; -ENOEXEC: there is nothing to run. */
int image_config_command(const struct image_config *config, char *const *arguments,
			 const char *const *entrypoint_override, char ***command, struct err *err);

#endif
