/* SPDX-License-Identifier: Apache-2.0 */
/* An image as the user names it: by name, by digest or its first digits, or by the path of an image file. */
#ifndef LAMPO_CLI_IMAGE_OPEN_H
#define LAMPO_CLI_IMAGE_OPEN_H

#include <stdbool.h>

#include "image/image_file.h"
#include "image/store.h"

/* What the user means. */
struct image_found {
	struct store_entry entry; /* of a file: name and origin are empty */
	int file_fd;              /* of an image file outside of the store, or -1 */
};

/* store: NULL: there is none. -ENOENT: neither. A text is a path only if it has a '/' and a file that says it is an
 * image is there. */
int image_find(struct store *store, const char *text, struct image_found *found, struct err *err);
/* Opens what was found; in any case *found is used up. */
int image_open(struct store *store, struct image_found *found, struct image_file *image, struct err *err);
/* Opens the store; *there is false, and the result 0, if there is none yet. */
int image_store_open(struct store *store, bool *there, struct err *err);

#endif
