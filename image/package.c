/* SPDX-License-Identifier: Apache-2.0 */
#include "image/package.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "image/build_glob.h"
#include "image/ld_cache.h"
#include "run/fd.h"

#define LINKS_MAX 40u
#define OBJECTS_MAX 1000000u

static int no_memory(struct package *p) { return err_set(p->err, -ENOMEM, "cannot pack the program"); }

/* Room for one more; NULL: no memory. */
static void *grow(void *list, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return list;
	size_t more = *room != 0 ? *room * 2 : 64;
	void *grown = realloc(list, more * size);
	if (grown != NULL)
		*room = more;
	return grown;
}

/* ---- report ---- */

static int report(struct package *p, const char *path, const char *reason, char type, uint64_t bytes)
{
	struct build_report *r = p->report;
	void *grown = grow(r->files, r->file_count, &r->file_room, sizeof(r->files[0]));

	if (grown == NULL)
		return no_memory(p);
	r->files = grown;
	size_t path_bytes = strlen(path) + 1, reason_bytes = strlen(reason) + 1;
	char *text = malloc(path_bytes + reason_bytes);
	if (text == NULL)
		return no_memory(p);
	memcpy(text, path, path_bytes);
	memcpy(text + path_bytes, reason, reason_bytes);
	struct build_report_file *new = &r->files[r->file_count++];
	new->type = type;
	new->bytes = bytes;
	new->reason = text + path_bytes;
	new->path = text;
	return 0;
}

void build_report_free(struct build_report *report)
{
	for (size_t i = 0; i < report->file_count; i++)
		free(report->files[i].path);
	free(report->files);
	string_list_free(&report->notes);
	*report = (struct build_report){0};
}

int package_note(struct package *p, const char *format, ...)
{
	char text[PATH_MAX + 512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (size_t i = 0; i < p->report->notes.count; i++)
		if (strcmp(p->report->notes.items[i], text) == 0)
			return 0;
	return string_list_add_string(&p->report->notes, text) < 0 ? no_memory(p) : 0;
}

/* ---- life ---- */

static void read_cache(struct package *p)
{
	struct stat st = {0};
	FD_AUTO int fd = package_open(p, "/etc/ld.so.cache", &st);

	if (fd < 0 || st.st_size <= 0 || st.st_size > LD_CACHE_BYTES_MAX)
		return;
	p->cache = malloc((size_t)st.st_size);
	ssize_t n = p->cache != NULL ? read(fd, p->cache, (size_t)st.st_size) : -1;
	p->cache_bytes = n > 0 ? (size_t)n : 0;
}

int package_init(struct package *p, struct build_report *to, struct err *err)
{
	*p = (struct package){.report = to, .err = err, .tree = tree_new()};
	p->host = (struct build_host){.tree = p->tree,
				      .contents = &p->contents,
				      .root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
				      .err = err};
	if (p->tree == NULL || p->host.root_fd < 0) {
		package_fini(p);
		return err_set(err, p->tree == NULL ? -ENOMEM : -errno, "cannot pack the program");
	}
	read_cache(p);
	return 0;
}

void package_fini(struct package *p)
{
	for (size_t i = 0; i < p->object_count; i++) {
		free(p->objects[i].host);
		free(p->objects[i].guest);
		free(p->objects[i].rpath);
	}
	for (size_t i = 0; i < p->link_count; i++)
		free(p->links[i].guest);
	free(p->objects);
	free(p->links);
	free(p->cache);
	string_list_free(&p->libraries);
	string_list_free(&p->rules_done);
	build_links_free(&p->host.links);
	build_contents_free(&p->contents);
	if (p->tree != NULL)
		tree_free(p->tree);
	if (p->host.root_fd >= 0)
		close(p->host.root_fd);
	*p = (struct package){.host.root_fd = -1};
}

int package_open(const struct package *p, const char *path, struct stat *st)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	long fd;

	do
		fd = syscall(SYS_openat2, p->host.root_fd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	if (fd < 0)
		return -errno;
	int code = fstat((int)fd, st) < 0 ? -errno : S_ISREG(st->st_mode) ? (int)fd : -EINVAL;
	if (code < 0)
		close((int)fd);
	return code;
}

/* ---- adding ---- */

static int add_object(struct package *p, const char *host, const char *guest, const struct package_how *how)
{
	if (p->object_count == OBJECTS_MAX)
		return err_set(p->err, -E2BIG, "more than %u files to look at!", OBJECTS_MAX);
	void *grown = grow(p->objects, p->object_count, &p->object_room, sizeof(p->objects[0]));
	if (grown == NULL)
		return no_memory(p);
	p->objects = grown;
	struct package_object *new = &p->objects[p->object_count++];
	*new = (struct package_object){.host = strdup(host),
				       .guest = strdup(guest),
				       .required = how->required,
				       .scripts = how->scripts,
				       .parent = how->parent};
	return new->host == NULL || new->guest == NULL ? no_memory(p) : 0;
}

static int add_link(struct package *p, const char *guest, bool moved)
{
	void *grown = grow(p->links, p->link_count, &p->link_room, sizeof(p->links[0]));

	if (grown == NULL)
		return no_memory(p);
	p->links = grown;
	p->links[p->link_count] = (struct package_link){strdup(guest), moved};
	return p->links[p->link_count++].guest == NULL ? no_memory(p) : 0;
}

/* A file or link that is not in the tree yet. host: real path, beginning with '/'. */
static int add_leaf(struct package *p, struct tree_node *dir, const char *name, const char *host, const char *guest,
		    const struct stat *st, const struct package_how *how)
{
	struct tree_node *node;
	int code = build_host_node(&p->host, dir, name, p->host.root_fd, host + 1, host + 1, st, &node);

	if (code < 0 || node == NULL)
		return code;
	code = report(p, guest, how->reason, S_ISLNK(st->st_mode) ? 'l' : 'f',
		      S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0);
	if (code == 0 && S_ISREG(st->st_mode))
		code = add_object(p, host, guest, how);
	return code;
}

static bool left_out(const char *patterns, const char *name)
{
	while (patterns != NULL && *patterns != '\0') {
		size_t length = strcspn(patterns, " ");
		char pattern[128];
		if (length > 0 && length < sizeof(pattern)) {
			memcpy(pattern, patterns, length);
			pattern[length] = '\0';
			if (build_glob_match(pattern, name, false) > 0)
				return true;
		}
		patterns += length;
		patterns += strspn(patterns, " ");
	}
	return false;
}

static int join(struct package *p, char path[PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(path, PATH_MAX, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name);

	return n >= PATH_MAX ? err_set(p->err, -ENAMETOOLONG, "cannot take '%.100s...' into the image", path) : 0;
}

static int add_tree(struct package *p, struct tree_node *dir, const char *host, const char *guest,
		    const struct package_how *how);

static int add_tree_entry(struct package *p, struct tree_node *dir, int fd, const char *host_dir, const char *guest_dir,
			  const char *name, const struct package_how *how)
{
	char host[PATH_MAX], guest[PATH_MAX];
	struct tree_node *node = tree_find(dir, name, strlen(name));
	struct stat st;
	int code = join(p, host, host_dir, name);

	if (code == 0)
		code = join(p, guest, guest_dir, name);
	if (code < 0 || left_out(how->leave_out, name))
		return code;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(p->err, -errno, "cannot read '%s'", host);
	if (S_ISDIR(st.st_mode)) {
		if (node == NULL)
			code = tree_add(p->tree, dir, name, strlen(name), S_IFDIR | 0755, &node);
		if (code == 0 && !S_ISDIR(node->inode->mode))
			code = -ENOTDIR;
		return code < 0 ? err_set(p->err, code, "cannot take '%s' into the image", host)
				: add_tree(p, node, host, guest, how);
	}
	if (node != NULL)
		return 0; /* it came before for another reason */
	code = add_leaf(p, dir, name, host, guest, &st, how);
	if (code == 0 && S_ISLNK(st.st_mode))
		code = add_link(p, guest, strcmp(host, guest) != 0);
	return code;
}

/* Everything in a directory, whose node `dir` becomes like it. */
static int add_tree(struct package *p, struct tree_node *dir, const char *host, const char *guest,
		    const struct package_how *how)
{
	struct string_list names = {0};
	FD_AUTO int fd = -1;
	struct stat st;
	int code = build_host_list(&p->host, strcmp(host, "/") == 0 ? "." : host + 1, &names, &fd);

	if (code == 0 && fstat(fd, &st) < 0)
		code = err_set(p->err, -errno, "cannot read '%s'", host);
	if (code == 0) {
		dir->inode->mode = S_IFDIR | (st.st_mode & 07777);
		dir->inode->mtime = st.st_mtim.tv_sec;
		dir->inode->mtime_ns = (uint32_t)st.st_mtim.tv_nsec;
	}
	for (size_t i = 0; i < names.count && code == 0; i++)
		code = add_tree_entry(p, dir, fd, host, guest, names.items[i], how);
	string_list_free(&names);
	return code;
}

/* ---- a path, with the links on the way ---- */

struct way {
	char real[PATH_MAX]; /* where we are, on the host as in the image; "" is the root */
	char rest[2 * PATH_MAX];
	struct tree_node *dir;
	unsigned links;
};

static void go_up(struct way *w)
{
	char *slash = strrchr(w->real, '/');

	if (slash != NULL)
		*slash = '\0';
	if (w->dir->parent != NULL)
		w->dir = w->dir->parent;
}

static int enter_directory(struct package *p, struct way *w, const char *name, const char *path, const struct stat *st)
{
	struct tree_node *node = tree_find(w->dir, name, strlen(name));
	int code = 0;

	if (node == NULL)
		code = tree_add(p->tree, w->dir, name, strlen(name), S_IFDIR | (st->st_mode & 07777), &node);
	if (code == 0 && !S_ISDIR(node->inode->mode))
		code = -ENOTDIR;
	if (code < 0)
		return err_set(p->err, code, "cannot take '%s' into the image", path);
	w->dir = node;
	snprintf(w->real, sizeof(w->real), "%s", path);
	return 0;
}

static int follow_link(struct package *p, struct way *w, const char *name, const char *path, const struct stat *st,
		       const struct package_how *how)
{
	char target[PATH_MAX], rest[2 * PATH_MAX];
	ssize_t n = readlinkat(p->host.root_fd, path + 1, target, sizeof(target) - 1);

	if (n < 0)
		return err_set(p->err, -errno, "cannot read the link '%s'", path);
	target[n] = '\0';
	if (++w->links > LINKS_MAX)
		return err_set(p->err, -ELOOP, "cannot follow the link '%s'", path);
	if (tree_find(w->dir, name, strlen(name)) == NULL) {
		int code = add_leaf(p, w->dir, name, path, path, st, how);
		if (code < 0)
			return code;
	}
	if (*target == '/') {
		w->real[0] = '\0';
		w->dir = tree_root(p->tree);
	}
	memcpy(rest, w->rest, sizeof(rest));
	if (snprintf(w->rest, sizeof(w->rest), "%s/%s", target, rest) >= (int)sizeof(w->rest))
		return err_set(p->err, -ENAMETOOLONG, "cannot follow the link '%s'", path);
	return 0;
}

/* Takes the first component off w->rest; false: there is none. */
static bool next_component(struct way *w, char name[NAME_MAX + 1])
{
	char *at = w->rest + strspn(w->rest, "/");
	size_t length = strcspn(at, "/");

	if (length == 0)
		return false;
	size_t kept = length <= NAME_MAX ? length : NAME_MAX;
	memcpy(name, at, kept);
	name[kept] = '\0';
	memmove(w->rest, at + length, strlen(at + length) + 1);
	return true;
}

int package_add(struct package *p, const char *path, const struct package_how *how)
{
	struct way w = {.dir = tree_root(p->tree)};
	char name[NAME_MAX + 1], full[PATH_MAX];
	struct stat st;
	int code = 0;

	if (snprintf(w.rest, sizeof(w.rest), "%s", path) >= PATH_MAX)
		return err_set(p->err, -ENAMETOOLONG, "cannot take '%.100s...' into the image", path);
	while (code == 0 && next_component(&w, name)) {
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			go_up(&w);
			continue;
		}
		code = join(p, full, w.real, name);
		if (code < 0)
			break;
		if (fstatat(p->host.root_fd, full + 1, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT || errno == ENOTDIR ? -ENOENT
								   : err_set(p->err, -errno, "cannot read '%s'", full);
		if (S_ISLNK(st.st_mode))
			code = follow_link(p, &w, name, full, &st, how);
		else if (S_ISDIR(st.st_mode))
			code = enter_directory(p, &w, name, full, &st);
		else if (w.rest[strspn(w.rest, "/")] != '\0')
			return -ENOENT;
		else
			return tree_find(w.dir, name, strlen(name)) != NULL
				   ? 0
				   : add_leaf(p, w.dir, name, full, full, &st, how);
	}
	return code == 0 && how->tree ? add_tree(p, w.dir, w.real[0] != '\0' ? w.real : "/", w.real, how) : code;
}

int package_add_moved(struct package *p, const char *path, const char *guest, const struct package_how *how)
{
	char real[PATH_MAX];
	struct build_place place;
	struct tree_node *dir;
	struct stat st;
	int code;

	if (realpath(path, real) == NULL || lstat(real, &st) < 0)
		return err_set(p->err, -errno, "cannot add '%s'", path);
	if (S_ISDIR(st.st_mode)) {
		code = build_walk_dir(p->tree, guest, 0, 0, &dir);
		return code < 0 ? err_set(p->err, code, "cannot add '%s' as '%s'", path, guest)
				: add_tree(p, dir, real, strcmp(guest, "/") == 0 ? "" : guest, how);
	}
	if (!S_ISREG(st.st_mode))
		return err_set(p->err, -EINVAL, "cannot add '%s': it is neither a file nor a directory!", path);
	code = build_walk(p->tree, guest, BUILD_WALK_MAKE, 0, 0, &place);
	if (code == 0 && place.node != NULL)
		code = -EEXIST;
	return code < 0 ? err_set(p->err, code, "cannot add '%s' as '%s'", path, guest)
			: add_leaf(p, place.dir, place.name, real, guest, &st, how);
}

bool package_has(struct package *p, const char *path)
{
	struct build_place place;

	return build_walk(p->tree, path, BUILD_WALK_FOLLOW, 0, 0, &place) == 0 && place.node != NULL &&
	       S_ISREG(place.node->inode->mode);
}

int package_add_made(struct package *p, const char *path, const char *data, size_t bytes, const char *reason)
{
	struct build_place place;
	int code = build_walk(p->tree, path, BUILD_WALK_FOLLOW | BUILD_WALK_MAKE, 0, 0, &place);

	if (code == 0 && place.node != NULL)
		return 0;
	struct tree_node *node;
	if (code == 0)
		code = tree_add(p->tree, place.dir, place.name, strlen(place.name), S_IFREG | 0644, &node);
	if (code == 0)
		code = build_contents_add_memory(&p->contents, node->inode, data, bytes);
	return code < 0 ? err_set(p->err, code, "cannot make '%s'", path) : report(p, path, reason, 'm', bytes);
}
