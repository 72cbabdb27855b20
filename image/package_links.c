/* SPDX-License-Identifier: Apache-2.0 */
/* Symbolic links that came with directories: where they lead is brought, too, if it is a file. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/package.h"

/* Below these a link's directory is brought as a whole: settings, which distributions keep in /etc. */
static bool is_settings(const char *path) { return strncmp(path, "/etc/", 5) == 0 && path[5] != '\0'; }

static bool leads_somewhere(struct package *p, const char *guest)
{
	struct build_place place;

	return build_walk(p->tree, guest, BUILD_WALK_FOLLOW, 0, 0, &place) == 0 && place.node != NULL;
}

static int resolve(struct package *p, const struct package_link *link)
{
	struct build_place place;
	char real[PATH_MAX], reason[PATH_MAX + 32];
	struct stat st;
	const char *path = link->guest;

	if (leads_somewhere(p, link->guest) || build_walk(p->tree, link->guest, 0, 0, 0, &place) < 0 ||
	    place.node == NULL || place.node->inode->target == NULL)
		return 0;
	/* The image has the host's paths, but for what was moved: a relative link in that means something else here
	 * than there. */
	if (link->moved) {
		path = place.node->inode->target;
		if (path[0] != '/')
			return 0;
	}
	if (realpath(path, real) == NULL || stat(real, &st) < 0 || (S_ISDIR(st.st_mode) && !is_settings(real)))
		return 0; /* noted in the end */
	snprintf(reason, sizeof(reason), "the link %s leads to it", link->guest);
	struct package_how how = {.reason = reason, .tree = S_ISDIR(st.st_mode)};
	int code = package_add(p, path, &how);
	return code == -ENOENT && p->err->code == 0 ? 0 : code;
}

int package_resolve_links(struct package *p)
{
	int code = 0;

	/* The list grows while directories come. */
	for (size_t i = 0; i < p->link_count && code == 0; i++) {
		struct package_link link = {strdup(p->links[i].guest), p->links[i].moved};
		code = link.guest != NULL ? resolve(p, &link) : err_set(p->err, -ENOMEM, "cannot pack the program");
		free(link.guest);
	}
	return code;
}

int package_note_dangling(struct package *p)
{
	int code = 0;

	for (size_t i = 0; i < p->link_count && code == 0; i++) {
		struct build_place place;
		if (leads_somewhere(p, p->links[i].guest) ||
		    build_walk(p->tree, p->links[i].guest, 0, 0, 0, &place) < 0 || place.node == NULL ||
		    place.node->inode->target == NULL)
			continue;
		code = package_note(p, "the link %s leads to %s, which is not in the image", p->links[i].guest,
				    place.node->inode->target);
	}
	return code;
}
