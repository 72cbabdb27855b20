/* SPDX-License-Identifier: Apache-2.0 */
/* An image of others (OCI, Docker: a configuration and layers) becomes one of Lampo, wherever its parts come from. */
#ifndef LAMPO_IMAGE_CONVERT_H
#define LAMPO_IMAGE_CONVERT_H

#include "image/layer.h"
#include "image/progress.h"

/* Writes the image file to fd, an empty file (a draft of the store). config: the OCI or Docker configuration (JSON); it
 * must be for linux/amd64 and have a diff_id for each layer, which the layer is checked against. layers: in the order
 * of application; their diff_id is not looked at. progress: item i is layer i. */
int image_convert(const char *config, size_t config_bytes, const struct layer_source *layers, size_t count, int fd,
		  struct image_digest *digest, struct progress *progress, struct err *err);

#endif
