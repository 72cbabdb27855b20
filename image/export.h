/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as archives. Lampo's own form is an OCI image layout with the image file as an artifact: imported elsewhere it
 * has the same digest. The others are ordinary images of one layer for other tools. All are the same bytes whenever
 * they are made from one image.
 */
#ifndef LAMPO_IMAGE_EXPORT_H
#define LAMPO_IMAGE_EXPORT_H

#include "image/progress.h"
#include "image/store.h"

enum export_format {
	EXPORT_LAMPO,
	EXPORT_OCI,
	EXPORT_DOCKER,
};

struct export_options {
	enum export_format format;
	bool compress;    /* the image (zstd), or the layer (gzip; not for EXPORT_DOCKER: -EINVAL) */
	const char *name; /* that the archive is to say, or "" */
	struct progress *progress;
};

/* Writes the archive to fd, from where it stands. What cannot be written at once is kept in a file of the store
 * meanwhile. */
int image_export(struct store *store, struct image_file *image, const struct export_options *options, int fd,
		 struct err *err);

#endif
