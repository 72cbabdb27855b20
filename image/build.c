/* SPDX-License-Identifier: Apache-2.0 */
/* Building from a Lampofile: stages are trees over contents that stay where they are; the last one is written. */
#include "image/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "image/build_config.h"
#include "image/build_stage.h"
#include "image/build_words.h"
#include "run/fd.h"

struct build_stage *build_stage_find(const struct build *build, const char *name, size_t before)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);

	/* The last one of a name counts. */
	for (size_t i = before; i > 0; i--)
		if (build->stages[i - 1].name != NULL && strcasecmp(build->stages[i - 1].name, name) == 0)
			return &build->stages[i - 1];
	return name[0] >= '0' && name[0] <= '9' && *end == '\0' && number < before ? &build->stages[number] : NULL;
}

/* ---- FROM ---- */

static int copy_config(struct image_config *to, const struct image_config *from, struct err *err)
{
	char *json = image_config_dump(from);
	int code = json != NULL ? image_config_parse(to, json, strlen(json), err)
				: err_set(err, -ENOMEM, "cannot copy a configuration");

	free(json);
	return code;
}

static int image_config(struct image_config *config, struct image_file *image, struct err *err)
{
	char *json = NULL;
	int code = image_file_config(image, &json, err);

	if (code == 0)
		code = image_config_parse(config, json, strlen(json), err);
	free(json);
	return code;
}

static int copy_tree(struct build_stage *stage, const struct tree *from, struct err *err)
{
	struct build_copy copy = {.tree = stage->tree, .uid = -1, .gid = -1, .mode = -1};
	struct tree_node *root = tree_root((struct tree *)from);
	int code = build_copy_directory_metadata(&copy, root->inode, tree_root(stage->tree)->inode);

	if (code == 0)
		code = build_copy_children(&copy, root, tree_root(stage->tree));
	build_copy_fini(&copy);
	return code < 0 ? err_set(err, code, "cannot copy the base image") : 0;
}

static int check_from(const struct lampofile_instruction *in, struct err *err)
{
	const char *name = in->words.items[0];

	if (strchr(name, '$') != NULL) {
		err_set(err, -EINVAL, "'%.100s': there are no variables in FROM!", name);
		return err_hint(err, "ARG is not supported: write the image's name");
	}
	if (in->platform != NULL && strcmp(in->platform, "linux/amd64") != 0 &&
	    strcmp(in->platform, "$BUILDPLATFORM") != 0 && strcmp(in->platform, "$TARGETPLATFORM") != 0)
		return err_set(err, -EINVAL, "the platform '%.40s' is not supported: images are for linux/amd64!",
			       in->platform);
	return 0;
}

/* The new stage is build->stages[build->stage_count]. */
static int start_stage(struct build *build, const struct lampofile_instruction *in, struct err *err)
{
	struct build_stage *stage = &build->stages[build->stage_count];
	const char *name = in->words.items[0];
	struct build_image *image;
	int code = check_from(in, err);

	if (code < 0)
		return code;
	*stage = (struct build_stage){.name = in->as, .tree = tree_new(), .config = {.user = ""}};
	build->stage_count++;
	if (stage->tree == NULL)
		return err_set(err, -ENOMEM, "cannot start a stage");
	const struct build_stage *base = build_stage_find(build, name, build->stage_count - 1);
	/* A number is a stage only for --from. */
	if (base != NULL && base->name != NULL && strcasecmp(base->name, name) == 0) {
		code = copy_config(&stage->config, &base->config, err);
		return code < 0 ? code : copy_tree(stage, base->tree, err);
	}
	if (strcmp(name, "scratch") == 0)
		return image_config_new(&stage->config) < 0 ||
			       image_config_set_env(&stage->config, "PATH", BUILD_PATH_DEFAULT) < 0
			   ? err_set(err, -ENOMEM, "cannot start a stage")
			   : image_config_refresh(&stage->config, err);
	code = build_image_get(build, name, &image, err);
	if (code == 0)
		code = image_config(&stage->config, &image->file, err);
	return code < 0 ? code : copy_tree(stage, image->tree, err);
}

/* ---- instructions ---- */

int build_stage_words(const struct build *build, const struct build_stage *stage,
		      const struct lampofile_instruction *in, struct string_list *words, struct err *err)
{
	for (size_t i = 0; i < in->words.count; i++) {
		char *word;
		int code = build_word_expand(in->words.items[i], build->file->escape, stage->config.env, &word, err);
		if (code < 0)
			return code;
		code = string_list_add_string(words, word);
		free(word);
		if (code < 0)
			return err_set(err, code, "cannot replace variables");
	}
	return 0;
}

static int run_instruction(struct build *build, const struct lampofile_instruction *in, struct err *err)
{
	if (in->kind == LAMPOFILE_FROM)
		return start_stage(build, in, err);
	struct build_stage *stage = &build->stages[build->stage_count - 1];
	int code = in->kind == LAMPOFILE_COPY ? build_stage_copy(build, stage, in, err)
					      : build_stage_configure(build, stage, in, err);
	return code < 0 ? code : build_stage_history(stage, in, err);
}

static int run_all(struct build *build, const char *name, struct err *err)
{
	const struct lampofile *file = build->file;
	int code = 0;

	build->stages = calloc(file->count, sizeof(build->stages[0]));
	if (build->stages == NULL)
		return err_set(err, -ENOMEM, "cannot build");
	for (size_t i = 0; i < file->count && code == 0; i++) {
		code = run_instruction(build, &file->instructions[i], err);
		if (code < 0)
			err_wrap(err, "%s:%u: %s", name, file->instructions[i].line,
				 lampofile_keyword(file->instructions[i].kind));
	}
	return code;
}

static void build_fini(struct build *build)
{
	for (size_t i = 0; i < build->stage_count; i++) {
		if (build->stages[i].tree != NULL)
			tree_free(build->stages[i].tree);
		image_config_free(&build->stages[i].config);
	}
	free(build->stages);
	for (size_t i = 0; i < build->image_count; i++)
		build_image_free(build->images[i]);
	free(build->images);
	if (build->context_tree != NULL)
		tree_free(build->context_tree);
	build_contents_free(&build->contents);
}

/* ---- the file ---- */

static int read_all(int fd, const char *name, char **text, size_t *bytes, struct err *err)
{
	size_t done = 0;

	*text = malloc(LAMPOFILE_BYTES_MAX + 1);
	if (*text == NULL)
		return err_set(err, -ENOMEM, "cannot read %s", name);
	for (;;) {
		ssize_t n = read(fd, *text + done, LAMPOFILE_BYTES_MAX + 1 - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, -errno, "cannot read '%s'", name);
		done += (size_t)n;
		if (n == 0 || done > LAMPOFILE_BYTES_MAX)
			break;
	}
	*bytes = done; /* the parser refuses too many */
	return 0;
}

/* *name is how errors call the file. */
static int read_lampofile(int context_fd, const char *context, const char *file, const char **name, char **text,
			  size_t *bytes, struct err *err)
{
	FD_AUTO int fd = -1;

	if (file != NULL && strcmp(file, "-") == 0) {
		*name = "standard input";
		return read_all(STDIN_FILENO, *name, text, bytes, err);
	}
	if (file != NULL) {
		*name = file;
		fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	} else {
		*name = "Lampofile";
		fd = openat(context_fd, *name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0 && errno == ENOENT) {
			*name = "Dockerfile";
			fd = openat(context_fd, *name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		}
	}
	if (fd >= 0)
		return read_all(fd, *name, text, bytes, err);
	if (errno == ENOENT && file == NULL) {
		err_set(err, -ENOENT, "there is no Lampofile and no Dockerfile in '%s'!", context);
		return err_hint(err, "-f names it; 'lampo build --program' needs none");
	}
	return err_set(err, -errno, "cannot read '%s'", *name);
}

int build_lampofile(const struct build_output *output, const char *context, const char *file,
		    struct build_result *result, struct err *err)
{
	FD_AUTO int context_fd = open(context, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct build build = {.output = output, .context = context, .context_fd = context_fd};
	struct lampofile lampofile = {0};
	const char *name = NULL;
	char *text = NULL;
	size_t bytes = 0;

	if (context_fd < 0)
		return err_set(err, -errno, "cannot open the context '%s'", context);
	int code = read_lampofile(context_fd, context, file, &name, &text, &bytes, err);
	if (code == 0)
		code = lampofile_parse(&lampofile, text, bytes, name, err);
	free(text);
	build.file = &lampofile;
	if (code == 0)
		code = run_all(&build, name, err);
	if (code == 0) {
		struct build_stage *last = &build.stages[build.stage_count - 1];
		code = build_output_write(output, last->tree, &build.contents, &last->config, result, err);
	}
	build_fini(&build);
	lampofile_free(&lampofile);
	return code;
}
