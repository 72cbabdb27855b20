/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of an image as a tar layer, and what makes an ordinary image of that. */
#ifndef LAMPO_IMAGE_EXPORT_LAYER_H
#define LAMPO_IMAGE_EXPORT_LAYER_H

#include <stdbool.h>

#include "image/image_file.h"
#include "image/progress.h"

struct export_layer {
	struct image_digest digest, diff_id;
	uint64_t bytes; /* as written */
	bool compressed;
};

/* Writes the layer to fd, compressed by gzip if asked. Names in order, times and owners as they are, extended
 * attributes and sparse files in pax headers. The image's file system may be hostile: what no tar archive could say is
 * refused (-EUCLEAN). */
int export_layer(struct image_file *image, int fd, bool compress, struct export_layer *layer, struct progress *progress,
		 struct err *err);
/* The image's configuration, for the one layer that it has now. *text: malloc'd. */
int export_config(struct image_file *image, const struct export_layer *layer, char **text, struct err *err);
/* The OCI manifest for these two. malloc'd; NULL: no memory. */
char *export_manifest(const struct export_layer *layer, const char *config);

#endif
