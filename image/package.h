/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of packing programs: taking files of the host into a tree, with the symbolic links on the way to them.
 *
 * Files keep their paths, but for those that --add puts elsewhere ("moved"). Every file that was added is looked at
 * once (package_examine_all): what it needs is added in turn.
 */
#ifndef LAMPO_IMAGE_PACKAGE_H
#define LAMPO_IMAGE_PACKAGE_H

#include "image/build_host.h"
#include "image/build_program.h"

/* A file to be looked at. */
struct package_object {
	char *host, *guest; /* real path on the host, and in the image; both begin with '/'; owned */
	bool required;      /* what it needs must be there; otherwise a missing thing is only noted */
	bool scripts;       /* if it is a script, its interpreter is needed */
	char *rpath;        /* DT_RPATH, $ORIGIN replaced; owned, NULL: none */
	size_t parent;      /* the object that needed it, +1; 0: none */
};

struct package_link {
	char *guest; /* path of a symbolic link that came with a directory; owned */
	bool moved;
};

struct package {
	struct tree *tree;
	struct build_contents contents;
	struct build_host host; /* of the host's root directory */
	struct build_report *report;
	struct package_object *objects;
	size_t object_count, object_room, examined;
	struct package_link *links;
	size_t link_count, link_room;
	struct string_list libraries; /* paths of those that the loader finds by its cache */
	struct string_list rules_done;
	char *cache; /* the host's ld.so.cache; NULL: none */
	size_t cache_bytes;
	struct err *err;
};

int package_init(struct package *package, struct build_report *report, struct err *err);
void package_fini(struct package *package);

/* How files are added. */
struct package_how {
	const char *reason;
	const char *leave_out; /* names (patterns, separated by spaces) in directories that are not taken; NULL: none */
	bool tree;             /* a directory is added with everything in it; otherwise only itself */
	bool required, scripts; /* as in struct package_object */
	size_t parent;
};

/* A path of the host, which stays the same in the image. -ENOENT without *err: it is not there. */
int package_add(struct package *package, const char *path, const struct package_how *how);
/* A path of the host (links are followed) becomes `guest` in the image. */
int package_add_moved(struct package *package, const char *path, const char *guest, const struct package_how *how);
/* A file with the content given, unless there is one. */
int package_add_made(struct package *package, const char *path, const char *data, size_t bytes, const char *reason);
/* Is there a regular file at this path in the image? */
bool package_has(struct package *package, const char *path);
/* Opens a file of the host by its path (links are followed), for reading: a descriptor or -errno. */
int package_open(const struct package *package, const char *path, struct stat *st);
/* A sentence for the user. */
int package_note(struct package *package, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* package_needs.c: looks at all objects that were not looked at, those too that this adds. */
int package_examine_all(struct package *package);
/* package_rules.c: adds what the object is known to read at run time, or the group `name`. */
int package_apply_rules(struct package *package, const struct package_object *object);
int package_add_group(struct package *package, const char *name);
/* package_links.c: brings what the links that came with directories lead to; notes those that lead nowhere. */
int package_resolve_links(struct package *package);
int package_note_dangling(struct package *package);

#endif
