/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COPY. Sources are looked up in a tree (of the context, a stage, or an image), never on the host: there is no way out
 * of it. Rules of the Dockerfile reference, COPY, as BuildKit has them: a directory gives its contents; a link that is
 * named gives what it leads to, links inside of directories stay links.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "image/build_glob.h"
#include "image/build_stage.h"
#include "run/fd.h"

#define SOURCES_MAX 100000u
#define IGNORE_BYTES_MAX TEXT_MAX

struct copying {
	struct build *build;
	struct build_stage *stage;
	const struct lampofile_instruction *in;
	struct tree *from;     /* of the sources */
	const char *from_name; /* for errors */
	struct string_list sources;
	const char *to;    /* absolute */
	bool to_directory; /* it must be one */
	struct build_copy copy;
	uint32_t uid, gid; /* of directories that are made */
	struct err *err;
};

/* ---- the context ---- */

/* The rules of what is not in the context. */
static int read_ignore(const struct build *build, struct build_ignore *ignore, struct err *err)
{
	static const char *const names[] = {".lampoignore", ".dockerignore"};
	char *text = malloc(IGNORE_BYTES_MAX);
	int code = 0;

	*ignore = (struct build_ignore){0};
	if (text == NULL)
		return err_set(err, -ENOMEM, "cannot read the context");
	for (size_t i = 0; i < countof(names); i++) {
		ssize_t n = fd_read_file(build->context_fd, names[i], text, IGNORE_BYTES_MAX);
		if (n == -ENOENT)
			continue;
		code = n < 0 ? err_set(err, (int)n, "cannot read '%s' of the context", names[i])
			     : build_ignore_parse(ignore, text, (size_t)n, names[i], err);
		break;
	}
	free(text);
	return code;
}

static int load_context(struct build *build, struct err *err)
{
	struct build_ignore ignore;

	if (build->context_tree != NULL)
		return 0;
	int code = read_ignore(build, &ignore, err);
	if (code < 0)
		return code;
	struct build_host host = {
	    .tree = tree_new(), .contents = &build->contents, .root_fd = build->context_fd, .err = err};
	code = host.tree == NULL ? err_set(err, -ENOMEM, "cannot read the context") : build_host_scan(&host, &ignore);
	build_ignore_free(&ignore);
	build_links_free(&host.links);
	if (code == 0)
		build->context_tree = host.tree;
	else if (host.tree != NULL)
		tree_free(host.tree);
	return code < 0 ? err_wrap(err, "context '%s'", build->context) : 0;
}

static int find_from(struct copying *c)
{
	struct build_image *image;
	const char *from = c->in->from;

	if (from == NULL) {
		int code = load_context(c->build, c->err);
		c->from = c->build->context_tree;
		c->from_name = "the context";
		return code;
	}
	c->from_name = from;
	const struct build_stage *stage = build_stage_find(c->build, from, (size_t)(c->stage - c->build->stages));
	if (stage != NULL) {
		c->from = stage->tree;
		return 0;
	}
	int code = build_image_get(c->build, from, &image, c->err);
	c->from = code == 0 ? image->tree : NULL;
	return code;
}

/* ---- sources ---- */

static int add_source(struct copying *c, const char *path)
{
	if (c->sources.count == SOURCES_MAX)
		return err_set(c->err, -E2BIG, "more than %u files to copy by name!", SOURCES_MAX);
	return string_list_add_string(&c->sources, path) < 0 ? err_set(c->err, -ENOMEM, "cannot copy") : 0;
}

static int expand_pattern(struct copying *c, const char *base, const char *rest);

/* All names in the directory `base` that match a component of the pattern. */
static int expand_component(struct copying *c, const char *base, const char *component, const char *rest)
{
	struct build_place place;
	int code = build_walk(c->from, base, BUILD_WALK_FOLLOW, 0, 0, &place);

	if (code < 0 || place.node == NULL || !S_ISDIR(place.node->inode->mode) || place.node->child_count == 0)
		return 0;
	struct tree_node **children = tree_sorted(place.node);
	if (children == NULL)
		return err_set(c->err, -ENOMEM, "cannot copy");
	for (uint32_t i = 0; i < place.node->child_count && code == 0; i++) {
		char name[256];
		memcpy(name, children[i]->name, children[i]->name_length);
		name[children[i]->name_length] = '\0';
		int matched = build_glob_match(component, name, false);
		if (matched < 0)
			return err_set(c->err, -EINVAL, "'%.100s' is no pattern for names!", component);
		if (matched == 0)
			continue;
		struct text path = {0};
		code = text_add_string(&path, base);
		if (code == 0)
			code = text_add_char(&path, '/');
		if (code == 0)
			code = text_add_string(&path, name);
		code = code < 0 ? err_set(c->err, code, "cannot copy") : expand_pattern(c, path.data, rest);
		text_free(&path);
	}
	return code;
}

/* Plain components are taken as they are; whether they exist shows when they are copied. */
static int expand_pattern(struct copying *c, const char *base, const char *rest)
{
	struct text path = {0};
	int code = text_add_string(&path, base);

	while (code == 0 && *rest != '\0') {
		size_t length = strcspn(rest, "/");
		char component[4096];
		if (length >= sizeof(component)) {
			code = -ENAMETOOLONG;
			break;
		}
		memcpy(component, rest, length);
		component[length] = '\0';
		rest += length;
		rest += strspn(rest, "/");
		if (length > 0 && build_glob_is_pattern(component)) {
			code = expand_component(c, path.data != NULL ? path.data : "/", component, rest);
			text_free(&path);
			return code;
		}
		if (length > 0) {
			code = text_add_char(&path, '/');
			if (code == 0)
				code = text_add(&path, component, length);
		}
	}
	/* Behind a pattern names that are not there are no error. */
	struct build_place place = {0};
	if (code == 0)
		code = build_walk(c->from, path.data != NULL ? path.data : "/", BUILD_WALK_FOLLOW, 0, 0, &place) == 0 &&
			       place.node != NULL
			   ? add_source(c, path.data != NULL ? path.data : "/")
			   : 0;
	else
		err_set(c->err, code, "cannot copy");
	text_free(&path);
	return code;
}

static int find_sources(struct copying *c, const struct string_list *words)
{
	for (size_t i = 0; i + 1 < words->count; i++) {
		const char *word = words->items[i];
		char *path;
		if (strncmp(word, "http://", 7) == 0 || strncmp(word, "https://", 8) == 0) {
			err_set(c->err, -EINVAL, "COPY takes nothing from the network!");
			return err_hint(c->err, "fetch the file into the context before the build");
		}
		/* The root of the sources is where ".." and "/" end. */
		struct build_stage root = {.config = {.working_dir = "/"}};
		int code = build_stage_path(&root, word, &path, c->err);
		if (code == 0)
			code = build_glob_is_pattern(path) ? expand_pattern(c, "", path + 1) : add_source(c, path);
		free(path);
		if (code < 0)
			return code;
	}
	if (c->sources.count > 0)
		return 0;
	err_set(c->err, -ENOENT, "nothing in %s matches '%.100s'!", c->from_name, words->items[0]);
	return err_hint(
	    c->err, "patterns are those of Go's filepath.Match; .lampoignore and .dockerignore may leave files out");
}

/* ---- one source ---- */

static int fail(struct copying *c, int code, const char *source)
{
	if (code == -EISDIR)
		err_set(c->err, code, "cannot copy '%s' to '%s': a file would replace a directory!", source + 1, c->to);
	else if (code == -ENOTDIR)
		err_set(c->err, code, "cannot copy '%s' to '%s': something that is no directory is in the way!",
			source + 1, c->to);
	else if (code < 0)
		err_set(c->err, code, "cannot copy '%s' to '%s'", source + 1, c->to);
	return code;
}

static int copy_directory(struct copying *c, const struct tree_node *from)
{
	struct build_place place;
	struct tree_node *dir;
	bool new = build_walk(c->stage->tree, c->to, BUILD_WALK_FOLLOW, 0, 0, &place) < 0 || place.node == NULL;
	int code = build_walk_dir(c->stage->tree, c->to, c->uid, c->gid, &dir);

	/* A directory that was there stays as it is; a new one becomes like the source. */
	if (code == 0 && new)
		code = build_copy_directory_metadata(&c->copy, from->inode, dir->inode);
	return code < 0 ? code : build_copy_children(&c->copy, from, dir);
}

static int copy_file(struct copying *c, const struct tree_node *from, const char *base)
{
	struct build_place place;
	struct tree_node *dir;
	int code;

	if (c->to_directory) {
		code = build_walk_dir(c->stage->tree, c->to, c->uid, c->gid, &dir);
		return code < 0 ? code : build_copy_node(&c->copy, from, dir, base);
	}
	code = build_walk(c->stage->tree, c->to, BUILD_WALK_FOLLOW | BUILD_WALK_MAKE, c->uid, c->gid, &place);
	if (code < 0)
		return code;
	if (place.node != NULL && S_ISDIR(place.node->inode->mode))
		return build_copy_node(&c->copy, from, place.node, base);
	return build_copy_node(&c->copy, from, place.dir, place.name);
}

static int copy_source(struct copying *c, const char *source)
{
	struct build_place place;
	int code = build_walk(c->from, source, BUILD_WALK_FOLLOW, 0, 0, &place);

	if (code == -ENOENT || code == -ENOTDIR || (code == 0 && place.node == NULL)) {
		err_set(c->err, -ENOENT, "cannot copy '%s': it is not in %s!", source + 1, c->from_name);
		return c->in->from != NULL ? -ENOENT
					   : err_hint(c->err,
						      "names are relative to '%s'; .lampoignore and .dockerignore may "
						      "leave files out",
						      c->build->context);
	}
	if (code == 0 && S_ISDIR(place.node->inode->mode))
		code = copy_directory(c, place.node);
	else if (code == 0)
		code = copy_file(c, place.node, strrchr(source, '/') + 1);
	return fail(c, code, source);
}

/* ---- the instruction ---- */

static int read_flags(struct copying *c)
{
	const struct lampofile_instruction *in = c->in;

	c->copy = (struct build_copy){.tree = c->stage->tree, .uid = -1, .gid = -1, .mode = -1};
	if (in->chmod != NULL) {
		if (in->chmod[strspn(in->chmod, "01234567")] != '\0' || strlen(in->chmod) > 5 ||
		    strtoul(in->chmod, NULL, 8) > 07777)
			return err_set(c->err, -EINVAL, "--chmod=%.40s is no octal mode such as 755!", in->chmod);
		c->copy.mode = (int32_t)strtoul(in->chmod, NULL, 8);
	}
	if (in->chown == NULL)
		return 0;
	int code = build_stage_owner(c->build, c->stage, in->chown, &c->uid, &c->gid, c->err);
	c->copy.uid = c->uid;
	c->copy.gid = c->gid;
	return code;
}

static int copy_all(struct copying *c, const struct string_list *words)
{
	const char *to = words->items[words->count - 1];
	size_t length = strlen(to);
	int code = find_from(c);

	if (code == 0)
		code = read_flags(c);
	if (code == 0)
		code = find_sources(c, words);
	if (code < 0)
		return code;
	c->to_directory =
	    to[length - 1] == '/' || strcmp(to, ".") == 0 || (length > 1 && strcmp(to + length - 2, "/.") == 0);
	if (!c->to_directory && (words->count > 2 || c->sources.count > 1)) {
		err_set(c->err, -EINVAL, "there are several sources, but the destination '%.100s' is no directory!",
			to);
		return err_hint(c->err, "end it with a slash");
	}
	for (size_t i = 0; i < c->sources.count && code == 0; i++)
		code = copy_source(c, c->sources.items[i]);
	return code;
}

int build_stage_copy(struct build *build, struct build_stage *stage, const struct lampofile_instruction *in,
		     struct err *err)
{
	struct copying c = {.build = build, .stage = stage, .in = in, .err = err};
	struct string_list words = {0};
	char *to = NULL;
	int code = build_stage_words(build, stage, in, &words, err);

	for (size_t i = 0; i < words.count && code == 0; i++)
		if (words.items[i][0] == '\0')
			code = err_set(err, -EINVAL, "a name is empty after variables were replaced!");
	if (code == 0)
		code = build_stage_path(stage, words.items[words.count - 1], &to, err);
	c.to = to;
	if (code == 0)
		code = copy_all(&c, &words);
	free(to);
	build_copy_fini(&c.copy);
	string_list_free(&c.sources);
	string_list_free(&words);
	return code;
}
