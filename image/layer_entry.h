/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of a layer, from libarchive, applied to the tree. Internal to layer.c and the build's helpers. */
#ifndef LAMPO_IMAGE_LAYER_ENTRY_H
#define LAMPO_IMAGE_LAYER_ENTRY_H

#include "image/layer_names.h"
#include "image/writer.h"

struct archive;
struct archive_entry;

/* layer_names' allowance at the start, and what each entry adds. */
#define LAYER_WORK_BASE 50000000ull
#define LAYER_WORK_ENTRY 64u

struct layer_writer {
	struct layer_names names;
	struct image_writer *writer;
};

/* The archive's contents are read from it. Errors name the entry, but not the archive. -EBADMSG: see
 * archive_error_string(), if it says something. */
int layer_entry_apply(struct layer_writer *to, struct archive *archive, struct archive_entry *entry, struct err *err);

#endif
