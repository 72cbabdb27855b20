/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image_user.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX (4u << 20)
#define FIELDS_MAX 7

/* The whole file, terminated, malloc'd; *text is NULL if it does not exist. */
static int read_file(struct image_file *image, const char *path, char **text, struct err *err)
{
	struct erofs_inode inode;

	*text = NULL;
	int code = erofs_walk(&image->erofs, path, true, &inode);
	if (code == -ENOENT || code == -ENOTDIR)
		return 0;
	if (code == 0 && !S_ISREG(inode.mode))
		return 0;
	if (code == 0 && inode.size > FILE_MAX)
		code = -EFBIG;
	if (code < 0)
		return err_set(err, code, "cannot read the image's %s", path);
	char *buffer = malloc(inode.size + 1);
	if (buffer == NULL)
		return err_set(err, -ENOMEM, "cannot read the image's %s", path);
	int64_t n = erofs_read(&image->erofs, &inode, 0, buffer, inode.size);
	if (n < 0) {
		free(buffer);
		return err_set(err, (int)n, "cannot read the image's %s", path);
	}
	buffer[n] = '\0';
	*text = buffer;
	return 0;
}

/* A whole decimal number below 2^32 - 1, which means "none". */
static bool parse_id(const char *text, uint32_t *id)
{
	uint64_t number = 0;

	if (*text == '\0' || strlen(text) > 10 || strspn(text, "0123456789") != strlen(text))
		return false;
	for (; *text != '\0'; text++)
		number = number * 10 + (uint64_t)(*text - '0');
	*id = (uint32_t)number;
	return number < UINT32_MAX;
}

/* Splits the line that *at points at by ':', in place, and goes on to the next; false at the end. Missing fields are
 * "". */
static bool next_line(char **at, const char *fields[FIELDS_MAX])
{
	static const char empty[] = "";
	char *line = *at;
	size_t length = strcspn(line, "\n");

	if (line[0] == '\0')
		return false;
	*at = line + length + (line[length] == '\n');
	line[length] = '\0';
	for (size_t i = 0; i < FIELDS_MAX; i++) {
		fields[i] = line != NULL ? line : empty;
		char *colon = line != NULL ? strchr(line, ':') : NULL;
		if (colon != NULL)
			*colon++ = '\0';
		line = colon;
	}
	return true;
}

/* Looks for the user by name, or by number if the name is one; false: not there. A name in passwd counts before a
 * number. */
static bool search_passwd(char *text, const char *name, struct image_user *user)
{
	const char *fields[FIELDS_MAX];
	uint32_t number, uid, gid;
	bool numeric = parse_id(name, &number), found = false;

	while (text != NULL && next_line(&text, fields)) {
		bool same = strcmp(fields[0], name) == 0;
		if (!parse_id(fields[2], &uid) || !parse_id(fields[3], &gid))
			continue;
		if (!same && (found || !numeric || uid != number))
			continue;
		*user = (struct image_user){.uid = uid, .gid = gid};
		snprintf(user->home, sizeof(user->home), "%s", fields[5][0] == '/' ? fields[5] : "/");
		found = true;
		if (same)
			break;
	}
	return found;
}

static bool search_group(char *text, const char *name, gid_t *gid)
{
	const char *fields[FIELDS_MAX];
	uint32_t id;

	while (text != NULL && next_line(&text, fields))
		if (strcmp(fields[0], name) == 0 && parse_id(fields[2], &id)) {
			*gid = id;
			return true;
		}
	return parse_id(name, gid);
}

static int find_user(struct image_file *image, const char *name, struct image_user *user, struct err *err)
{
	char *text;
	uint32_t uid;
	int code = read_file(image, "/etc/passwd", &text, err);

	if (code < 0)
		return code;
	bool found = search_passwd(text, name, user);
	free(text);
	if (found)
		return 0;
	if (!parse_id(name, &uid)) {
		err_set(err, -ENOENT, "the image has no user '%s'!", name);
		return err_hint(err, "give a number, or a name of the image's /etc/passwd, with --user");
	}
	*user = (struct image_user){.uid = uid, .home = "/"};
	return 0;
}

static int find_group(struct image_file *image, const char *name, struct image_user *user, struct err *err)
{
	char *text;
	int code = read_file(image, "/etc/group", &text, err);

	if (code < 0)
		return code;
	bool found = search_group(text, name, &user->gid);
	free(text);
	if (found)
		return 0;
	err_set(err, -ENOENT, "the image has no group '%s'!", name);
	return err_hint(err, "give a number, or a name of the image's /etc/group, with --user");
}

int image_user_find(struct image_file *image, const char *text, struct image_user *user, struct err *err)
{
	char name[256];
	const char *colon = strchr(text, ':');
	size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);

	if (length >= sizeof(name))
		return err_set(err, -ENAMETOOLONG, "cannot use the user name of the image");
	memcpy(name, length > 0 ? text : "0", length > 0 ? length : 1);
	name[length > 0 ? length : 1] = '\0';
	int code = find_user(image, name, user, err);
	if (code == 0 && colon != NULL && colon[1] != '\0')
		code = find_group(image, colon + 1, user, err);
	return code;
}
