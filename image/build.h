/* SPDX-License-Identifier: Apache-2.0 */
/* Building images: from a Lampofile (here), or from programs of the host (image/build_program.h). See docs/build.md. */
#ifndef LAMPO_IMAGE_BUILD_H
#define LAMPO_IMAGE_BUILD_H

#include "image/build_tree.h"
#include "image/config.h"
#include "image/registry.h"
#include "image/store.h"

/* What images have that no other image is the base of. */
#define BUILD_PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Where a finished image goes. */
struct build_output {
	struct store *store;
	int64_t
	    epoch; /* SOURCE_DATE_EPOCH: when the image was made, and the latest time of a file in it; -1: not given */
	const struct registry_options *registry; /* for base images that are not here; NULL: they are not fetched */
	struct progress *progress;
};

struct build_result {
	struct image_digest digest;
	uint64_t bytes; /* of the image file */
};

/* Writes the image and puts it into the store, without a name. */
int build_output_write(const struct build_output *output, struct tree *tree, const struct build_contents *contents,
		       const struct image_config *config, struct build_result *result, struct err *err);

/* context: a directory. file: the Lampofile, "-": standard input; NULL: "Lampofile" or else "Dockerfile" in the
 * context. */
int build_lampofile(const struct build_output *output, const char *context, const char *file,
		    struct build_result *result, struct err *err);

#endif
