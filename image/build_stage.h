/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of building from a Lampofile: its stages, and what their instructions do. */
#ifndef LAMPO_IMAGE_BUILD_STAGE_H
#define LAMPO_IMAGE_BUILD_STAGE_H

#include "image/build.h"
#include "image/build_host.h"
#include "image/build_lampofile.h"

struct build_stage {
	const char *name; /* in lower case; borrowed from the Lampofile, NULL: none */
	struct tree *tree;
	struct image_config config;
	bool cmd_set; /* a CMD was in this stage */
};

/* An image of the store that is used. */
struct build_image {
	char *name; /* as the Lampofile has it */
	struct image_file file;
	struct tree *tree; /* all of it */
};

struct build {
	const struct build_output *output;
	const char *context; /* its name */
	int context_fd;
	struct tree *context_tree; /* NULL until a COPY needs it */
	const struct lampofile *file;
	struct build_stage *stages;
	size_t stage_count;
	struct build_image **images;
	size_t image_count;
	struct build_contents contents;
};

/* An image by name: of the store, or else of its registry. */
int build_image_get(struct build *build, const char *name, struct build_image **image, struct err *err);
void build_image_free(struct build_image *image);
/* The words of an instruction with variables replaced. */
int build_stage_words(const struct build *build, const struct build_stage *stage,
		      const struct lampofile_instruction *in, struct string_list *words, struct err *err);
/* "user[:group]", names or numbers: names are looked up in the stage's /etc/passwd and /etc/group. */
int build_stage_owner(const struct build *build, const struct build_stage *stage, const char *text, uint32_t *uid,
		      uint32_t *gid, struct err *err);
/* An absolute path, relative ones belong to the working directory; ".", ".." and double slashes are resolved by the
 * text, as in Docker. Malloc'd. */
int build_stage_path(const struct build_stage *stage, const char *path, char **absolute, struct err *err);
int build_stage_copy(struct build *build, struct build_stage *stage, const struct lampofile_instruction *in,
		     struct err *err);
/* The stage that --from or FROM names among those before `before`; NULL: none. */
struct build_stage *build_stage_find(const struct build *build, const char *name, size_t before);

#endif
