/* SPDX-License-Identifier: Apache-2.0 */
#include "image/build_config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"

#define ACCOUNTS_BYTES_MAX (1u << 20)
#define PORTS_MAX 1024u

static int no_memory(struct err *err) { return err_set(err, -ENOMEM, "cannot change the configuration"); }

/* ---- paths ---- */

int build_stage_path(const struct build_stage *stage, const char *path, char **absolute, struct err *err)
{
	const char *parts[2] = {*path == '/' ? "" : stage->config.working_dir, path};
	size_t room = strlen(parts[0]) + strlen(parts[1]) + 3, length = 0;
	char *out = malloc(room);

	*absolute = out;
	if (out == NULL)
		return no_memory(err);
	for (size_t i = 0; i < 2; i++) {
		for (const char *part = parts[i]; *part != '\0';) {
			size_t n = strcspn(part, "/");
			if (n == 2 && memcmp(part, "..", 2) == 0) {
				while (length > 0 && out[--length] != '/')
					;
			} else if (n > 0 && !(n == 1 && *part == '.')) {
				out[length++] = '/';
				memcpy(out + length, part, n);
				length += n;
			}
			part += n + (part[n] == '/');
		}
	}
	if (length == 0)
		out[length++] = '/';
	out[length] = '\0';
	return 0;
}

/* ---- owners ---- */

static bool parse_id(const char *text, size_t length, uint32_t *id)
{
	uint64_t value = 0;

	for (size_t i = 0; i < length; i++) {
		if (!isdigit((unsigned char)text[i]) || value > UINT32_MAX)
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*id = (uint32_t)value;
	return length > 0 && value < UINT32_MAX;
}

/* The field `index` (from 0) of a line of accounts. */
static bool field(const char *line, const char *end, unsigned index, const char **text, size_t *length)
{
	while (index-- > 0) {
		line = memchr(line, ':', (size_t)(end - line));
		if (line == NULL)
			return false;
		line++;
	}
	const char *stop = memchr(line, ':', (size_t)(end - line));
	*text = line;
	*length = (size_t)((stop != NULL ? stop : end) - line);
	return true;
}

/* Reads the line of `name` in /etc/passwd or /etc/group: fields 2 and 3. */
static int look_up(const struct build *build, const struct build_stage *stage, const char *file, const char *name,
		   size_t name_length, uint32_t *id, uint32_t *group, struct err *err)
{
	struct build_place place;
	char *data;
	size_t bytes;

	if (build_walk(stage->tree, file, BUILD_WALK_FOLLOW, 0, 0, &place) < 0 || place.node == NULL ||
	    !S_ISREG(place.node->inode->mode)) {
		err_set(err, -ENOENT, "cannot look up '%.*s': the image has no %s!", (int)name_length, name, file);
		return err_hint(err, "use numbers");
	}
	int code = build_contents_read(&build->contents, place.node->inode, ACCOUNTS_BYTES_MAX, &data, &bytes, err);
	if (code < 0)
		return err_wrap(err, "%s of the image", file);
	code = -ENOENT;
	for (const char *line = data; line < data + bytes && code != 0;) {
		const char *end = memchr(line, '\n', (size_t)(data + bytes - line)), *text;
		size_t length;
		end = end != NULL ? end : data + bytes;
		if (field(line, end, 0, &text, &length) && length == name_length && memcmp(text, name, length) == 0 &&
		    field(line, end, 2, &text, &length) && parse_id(text, length, id) &&
		    (group == NULL || (field(line, end, 3, &text, &length) && parse_id(text, length, group))))
			code = 0;
		line = end + 1;
	}
	free(data);
	return code < 0 ? err_set(err, -ENOENT, "there is no '%.*s' in %s of the image!", (int)name_length, name, file)
			: 0;
}

int build_stage_owner(const struct build *build, const struct build_stage *stage, const char *text, uint32_t *uid,
		      uint32_t *gid, struct err *err)
{
	size_t user_length = strcspn(text, ":");
	const char *group = text[user_length] == ':' ? text + user_length + 1 : NULL;

	if (user_length == 0 || user_length > 255 || (group != NULL && (*group == '\0' || strlen(group) > 255)))
		return err_set(err, -EINVAL, "'%.60s' is no owner: USER, USER:GROUP, or their numbers!", text);
	if (parse_id(text, user_length, uid)) {
		*gid = *uid;
	} else {
		int code = look_up(build, stage, "/etc/passwd", text, user_length, uid, gid, err);
		if (code < 0)
			return code;
	}
	if (group == NULL || parse_id(group, strlen(group), gid))
		return 0;
	return look_up(build, stage, "/etc/group", group, strlen(group), gid, NULL, err);
}

/* ---- instructions ---- */

static int set_workdir(struct build *build, struct build_stage *stage, const char *word, struct err *err)
{
	uint32_t uid = 0, gid = 0;
	struct tree_node *dir;
	char *path;

	if (*word == '\0')
		return err_set(err, -EINVAL, "the directory's name is empty!");
	int code = build_stage_path(stage, word, &path, err);
	if (code == 0 && stage->config.user[0] != '\0')
		code = build_stage_owner(build, stage, stage->config.user, &uid, &gid, err);
	if (code == 0) {
		code = build_walk_dir(stage->tree, path, uid, gid, &dir);
		if (code < 0)
			err_set(err, code, "cannot make the directory '%s'", path);
	}
	if (code == 0 && image_config_set_string(&stage->config, "WorkingDir", path) < 0)
		code = no_memory(err);
	free(path);
	return code;
}

/* "80", "80/udp", "8000-8010" */
static int add_ports(struct build_stage *stage, const char *text, struct err *err)
{
	const char *slash = strchr(text, '/'), *at = text;
	const char *protocol = slash != NULL ? slash + 1 : "tcp";
	static const char *const protocols[] = {"tcp", "udp", "sctp"};
	unsigned long first = 0, last;
	char *end = NULL, port[32];
	size_t i = 0;

	while (i < countof(protocols) && strcasecmp(protocol, protocols[i]) != 0)
		i++;
	if (isdigit((unsigned char)*at))
		first = strtoul(at, &end, 10);
	last = first;
	if (end != NULL && *end == '-' && isdigit((unsigned char)end[1]))
		last = strtoul(end + 1, &end, 10);
	if (i == countof(protocols) || end == NULL || end != (slash != NULL ? slash : text + strlen(text)) ||
	    first == 0 || last < first || last > 65535 || last - first >= PORTS_MAX) {
		err_set(err, -EINVAL, "'%.60s' is no port!", text);
		return err_hint(err, "such as 80, 53/udp or 8000-8010; at most %u at once", PORTS_MAX);
	}
	for (; first <= last; first++) {
		snprintf(port, sizeof(port), "%lu/%s", first, protocols[i]);
		if (image_config_add_port(&stage->config, port) < 0)
			return no_memory(err);
	}
	return 0;
}

static int expose(struct build_stage *stage, const struct string_list *words, struct err *err)
{
	for (size_t i = 0; i < words->count; i++) {
		char *save = NULL;
		/* A variable may have several ports. */
		for (char *port = strtok_r(words->items[i], " \t", &save); port != NULL;
		     port = strtok_r(NULL, " \t", &save)) {
			int code = add_ports(stage, port, err);
			if (code < 0)
				return code;
		}
	}
	return 0;
}

static int set_pairs(struct build_stage *stage, enum lampofile_kind kind, const struct string_list *words,
		     struct err *err)
{
	for (size_t i = 0; i + 1 < words->count; i += 2) {
		const char *name = words->items[i], *value = words->items[i + 1];
		if (*name == '\0' || (kind == LAMPOFILE_ENV && strchr(name, '=') != NULL))
			return err_set(err, -EINVAL, "'%.60s' is no name!", name);
		int code = kind == LAMPOFILE_ENV ? image_config_set_env(&stage->config, name, value)
						 : image_config_set_label(&stage->config, name, value);
		if (code < 0)
			return err_set(err, code, "cannot set '%.60s'", name);
	}
	return 0;
}

/* ENTRYPOINT and CMD */
static int set_command(struct build_stage *stage, const struct lampofile_instruction *in, struct err *err)
{
	char *shell[] = {"/bin/sh", "-c", in->words.count > 0 ? in->words.items[0] : NULL, NULL}, *none[] = {NULL};
	char **list = !in->json ? shell : in->words.count > 0 ? in->words.items : none;
	bool entrypoint = in->kind == LAMPOFILE_ENTRYPOINT;
	int code = image_config_set_list(&stage->config, entrypoint ? "Entrypoint" : "Cmd", list);

	/* The base image's CMD were arguments of its entry point. */
	if (code == 0 && entrypoint && !stage->cmd_set)
		code = image_config_set_list(&stage->config, "Cmd", NULL);
	stage->cmd_set |= !entrypoint;
	return code < 0 ? err_set(err, code, "cannot set the command") : 0;
}

int build_stage_configure(struct build *build, struct build_stage *stage, const struct lampofile_instruction *in,
			  struct err *err)
{
	struct string_list words = {0};
	int code = 0;

	if (in->kind == LAMPOFILE_ENTRYPOINT || in->kind == LAMPOFILE_CMD) {
		code = set_command(stage, in, err);
	} else {
		code = build_stage_words(build, stage, in, &words, err);
		if (code == 0 && in->kind == LAMPOFILE_WORKDIR)
			code = set_workdir(build, stage, words.items[0], err);
		else if (code == 0 && in->kind == LAMPOFILE_EXPOSE)
			code = expose(stage, &words, err);
		else if (code == 0 && in->kind == LAMPOFILE_USER)
			code = words.items[0][0] == '\0' ? err_set(err, -EINVAL, "the user's name is empty!")
			       : image_config_set_string(&stage->config, "User", words.items[0]) < 0 ? no_memory(err)
												     : 0;
		else if (code == 0)
			code = set_pairs(stage, in->kind, &words, err);
		string_list_free(&words);
	}
	return code < 0 ? code : image_config_refresh(&stage->config, err);
}

int build_stage_history(struct build_stage *stage, const struct lampofile_instruction *in, struct err *err)
{
	struct text text = {0};
	int code = text_add_string(&text, lampofile_keyword(in->kind));

	if (code == 0)
		code = text_add_char(&text, ' ');
	if (code == 0)
		code = text_add_string(&text, in->text);
	if (code == 0)
		code = image_config_add_history(&stage->config, text.data, in->kind != LAMPOFILE_COPY);
	text_free(&text);
	return code < 0 ? err_set(err, code, "cannot write the history down") : 0;
}
