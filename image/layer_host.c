/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's own files as part of an image. Others may change them at the same time: each is opened beneath its
 * directory's descriptor, never through a symbolic link, and what counts is what the descriptor says.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "image/layer.h"
#include "image/layer_entry.h"
#include "run/fd.h"

#define CHUNK_BYTES (1u << 20)
#define XATTR_NAMES_MAX 65536u
#define XATTR_VALUE_MAX 65536u
#define DEPTH_MAX 512u /* each level holds a descriptor */

/* Inodes with several names that were met once. */
struct seen {
	dev_t dev;
	ino_t ino;
	struct tree_inode *inode; /* NULL: free */
};

struct adding {
	struct layer_writer to;
	int64_t uid, gid;
	struct seen *seen; /* open addressing, at most half full */
	size_t seen_count, seen_room;
	uint8_t *chunk; /* CHUNK_BYTES */
	unsigned depth;
};

static int add_child(struct adding *a, int dir_fd, const char *name, struct tree_node *dir, const char *as,
		     size_t as_length, struct err *err);

/* ---- several names of one file ---- */

static struct seen *seen_slot(struct seen *seen, size_t room, dev_t dev, ino_t ino)
{
	size_t i = (size_t)(((uint64_t)ino * 0x9e3779b97f4a7c15u) ^ (uint64_t)dev) & (room - 1);

	while (seen[i].inode != NULL && (seen[i].dev != dev || seen[i].ino != ino))
		i = (i + 1) & (room - 1);
	return &seen[i];
}

static int seen_add(struct adding *a, const struct stat *st, struct tree_inode *inode)
{
	if (2 * (a->seen_count + 1) > a->seen_room) {
		size_t room = a->seen_room > 0 ? 2 * a->seen_room : 64;
		struct seen *bigger = calloc(room, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		for (size_t i = 0; i < a->seen_room; i++)
			if (a->seen[i].inode != NULL)
				*seen_slot(bigger, room, a->seen[i].dev, a->seen[i].ino) = a->seen[i];
		free(a->seen);
		a->seen = bigger;
		a->seen_room = room;
	}
	*seen_slot(a->seen, a->seen_room, st->st_dev, st->st_ino) =
	    (struct seen){.dev = st->st_dev, .ino = st->st_ino, .inode = inode};
	a->seen_count++;
	return 0;
}

static struct tree_inode *seen_find(const struct adding *a, const struct stat *st)
{
	return a->seen_room > 0 ? seen_slot(a->seen, a->seen_room, st->st_dev, st->st_ino)->inode : NULL;
}

/* ---- attributes ---- */

/* path: of the open file's entry in /proc, so that links and devices, which are not opened, have attributes too. */
static int xattrs(struct tree_inode *inode, const char *path, struct err *err)
{
	char *names = malloc(XATTR_NAMES_MAX);
	char *value = malloc(XATTR_VALUE_MAX);
	ssize_t bytes = 0, n;
	int r = 0;

	tree_clear_xattrs(inode);
	if (names == NULL || value == NULL)
		r = err_set(err, -ENOMEM, "cannot read extended attributes");
	else if ((bytes = listxattr(path, names, XATTR_NAMES_MAX)) < 0 && errno != ENOTSUP)
		r = err_set(err, -errno, "cannot list extended attributes");
	if (bytes < 0)
		bytes = 0;
	for (char *name = names; r == 0 && name < names + bytes; name += strlen(name) + 1) {
		n = getxattr(path, name, value, XATTR_VALUE_MAX);
		if (n < 0 && (errno == ENODATA || errno == ENOTSUP))
			continue; /* gone meanwhile, or one that only the host's file system knows */
		if (n < 0)
			r = err_set(err, -errno, "cannot read the extended attribute %s", name);
		else if ((r = tree_set_xattr(inode, name, value, (size_t)n)) == -EOPNOTSUPP)
			r = 0;
		else if (r < 0)
			err_set(err, r, "cannot keep the extended attribute %s", name);
	}
	free(names);
	free(value);
	return r;
}

/* fd: of the file, or of its name only (O_PATH). */
static int attributes(struct adding *a, int fd, const struct stat *st, struct tree_inode *inode, struct err *err)
{
	char path[40];

	inode->mode = st->st_mode;
	inode->uid = a->uid >= 0 ? (uint32_t)a->uid : st->st_uid;
	inode->gid = a->gid >= 0 ? (uint32_t)a->gid : st->st_gid;
	inode->mtime = st->st_mtim.tv_sec;
	inode->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		inode->rdev_major = major(st->st_rdev);
		inode->rdev_minor = minor(st->st_rdev);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return xattrs(inode, path, err);
}

/* ---- contents ---- */

/* One piece of data; *at moves on. A file that shrinks meanwhile ends early. */
static int copy_data(struct adding *a, int fd, off_t *at, off_t end, struct err *err)
{
	while (*at < end) {
		size_t want = end - *at < (off_t)CHUNK_BYTES ? (size_t)(end - *at) : CHUNK_BYTES;
		ssize_t n = pread(fd, a->chunk, want, *at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, -errno, "cannot read it");
		if (n == 0)
			return err_set(err, -EBUSY, "it became shorter while it was read!");
		int r = image_writer_write(a->to.writer, a->chunk, (size_t)n, err);
		if (r < 0)
			return r;
		*at += n;
	}
	return 0;
}

static int contents(struct adding *a, int fd, off_t size, struct tree_inode *inode, struct err *err)
{
	off_t at = 0;

	if (size == 0)
		return 0;
	int r = image_writer_start(a->to.writer, err);
	while (r == 0 && at < size) {
		off_t data = lseek(fd, at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			data = size;
		else if (data < 0) /* no such thing there */
			data = at;
		if (data > size)
			data = size;
		if (data > at)
			r = image_writer_skip(a->to.writer, (uint64_t)(data - at), err);
		at = data;
		off_t hole = at < size ? lseek(fd, at, SEEK_HOLE) : size;
		if (hole < 0 || hole > size)
			hole = size;
		if (r == 0)
			r = copy_data(a, fd, &at, hole, err);
	}
	return r == 0 ? image_writer_end(a->to.writer, &inode->data, err) : r;
}

static int link_target(int fd, struct tree_inode *inode, struct err *err)
{
	char target[LAYER_PATH_MAX];

	ssize_t n = readlinkat(fd, "", target, sizeof(target));
	if (n <= 0 || n == sizeof(target))
		return err_set(err, n < 0 ? -errno : -ENAMETOOLONG, "cannot read the symbolic link");
	int r = tree_set_target(inode, target, (size_t)n);
	return r < 0 ? err_set(err, r, "cannot keep the symbolic link") : 0;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void names_free(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

/* Sorted: the image does not depend on the host's order. Takes over fd. */
static int names_read(int fd, char ***names, size_t *count, struct err *err)
{
	DIR *dir = fdopendir(fd);
	size_t room = 0;
	struct dirent *entry;

	*names = NULL;
	*count = 0;
	if (dir == NULL) {
		close(fd);
		return err_set(err, -errno, "cannot list it");
	}
	errno = 0;
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (*count == room) {
			room = room > 0 ? 2 * room : 32;
			char **bigger = reallocarray(*names, room, sizeof(**names));
			if (bigger == NULL)
				break;
			*names = bigger;
		}
		if (((*names)[*count] = strdup(entry->d_name)) == NULL)
			break;
		++*count;
		errno = 0;
	}
	int r = errno != 0 ? -errno : 0;
	closedir(dir);
	if (r < 0) {
		names_free(*names, *count);
		return err_set(err, r, "cannot list it");
	}
	if (*count > 0)
		qsort(*names, *count, sizeof(**names), compare_names);
	return 0;
}

static int children(struct adding *a, int fd, struct tree_node *dir, struct err *err)
{
	char **names = NULL;
	size_t count = 0;

	if (++a->depth > DEPTH_MAX)
		return err_set(err, -ELOOP, "more than %u directories in one another!", DEPTH_MAX);
	int listing = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = listing < 0 ? err_set(err, -errno, "cannot open it") : names_read(listing, &names, &count, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_child(a, fd, names[i], dir, names[i], strlen(names[i]), err);
	names_free(names, count);
	a->depth--;
	return r;
}

/* ---- one file ---- */

/* Opens it, for reading if it has contents. Devices and pipes are not touched. */
static int open_child(int dir_fd, const char *name, struct stat *st, struct err *err)
{
	int flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, st) < 0) {
		int r = -errno;
		if (fd >= 0)
			close(fd);
		return err_set(err, r, "cannot open it");
	}
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		return fd;
	close(fd);
	/* Access times stay as they are, where that is ours to say. */
	fd = openat(dir_fd, name, O_RDONLY | O_NOATIME | flags);
	if (fd < 0 && errno == EPERM)
		fd = openat(dir_fd, name, O_RDONLY | flags);
	if (fd < 0)
		return err_set(err, -errno, "cannot open it");
	if (fstat(fd, st) == 0 && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)))
		return fd;
	close(fd);
	return err_set(err, -EBUSY, "it became something else while it was read!");
}

/* The node: a directory that is there stays with what is in it, anything else is replaced. */
static int node_make(struct adding *a, struct tree_node *dir, const char *name, size_t length, const struct stat *st,
		     struct tree_node **node, struct err *err)
{
	struct tree_inode *other = S_ISDIR(st->st_mode) || st->st_nlink < 2 ? NULL : seen_find(a, st);
	int r;

	if (length == 0) { /* the root itself */
		*node = dir;
		return S_ISDIR(st->st_mode) ? 0 : err_set(err, -EISDIR, "it cannot become the root directory!");
	}
	*node = tree_find(dir, name, length);
	if (*node != NULL && S_ISDIR(st->st_mode) && S_ISDIR((*node)->inode->mode))
		return 0;
	if (*node != NULL && other != NULL && (*node)->inode == other)
		return 1;
	if (*node != NULL)
		tree_remove(a->to.names.tree, *node);
	if (other != NULL) {
		r = tree_link(a->to.names.tree, dir, name, length, other, node);
		return r < 0 ? err_set(err, r, "cannot make the hard link") : 1;
	}
	r = tree_add(a->to.names.tree, dir, name, length, st->st_mode, node);
	if (r == 0 && !S_ISDIR(st->st_mode) && st->st_nlink > 1)
		r = seen_add(a, st, (*node)->inode);
	return r < 0 ? err_set(err, r, "cannot put it into the image") : 0;
}

static int add_open(struct adding *a, int fd, const struct stat *st, struct tree_node *dir, const char *name,
		    size_t length, struct err *err)
{
	struct tree_node *node;

	if (S_ISSOCK(st->st_mode)) /* means nothing without the process behind it */
		return 0;
	int r = node_make(a, dir, name, length, st, &node, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = attributes(a, fd, st, node->inode, err);
	if (r == 0 && S_ISREG(st->st_mode))
		r = contents(a, fd, st->st_size, node->inode, err);
	else if (r == 0 && S_ISLNK(st->st_mode))
		r = link_target(fd, node->inode, err);
	else if (r == 0 && S_ISDIR(st->st_mode))
		r = children(a, fd, node, err);
	return r;
}

static int add_child(struct adding *a, int dir_fd, const char *name, struct tree_node *dir, const char *as,
		     size_t as_length, struct err *err)
{
	struct stat st;

	FD_AUTO int fd = open_child(dir_fd, name, &st, err);
	int r = fd < 0 ? fd : add_open(a, fd, &st, dir, as, as_length, err);
	/* "cannot add a/b: ..." grows from the inside; the depth bounds it. */
	return r < 0 ? err_wrap(err, "%s", name) : 0;
}

/* Opens the directory that `path` stands in, and moves *path to its last component. */
static int open_parent(int dir_fd, const char **path, char parent[LAYER_PATH_MAX], struct err *err)
{
	size_t length = strlen(*path);

	while (length > 1 && (*path)[length - 1] == '/')
		length--;
	size_t last = length;
	while (last > 0 && (*path)[last - 1] != '/')
		last--;
	if (length >= LAYER_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "cannot open it");
	memcpy(parent, *path, length);
	parent[length] = '\0';
	if (last > 0)
		parent[last - 1] = '\0';
	*path = parent + last;
	int fd = fd_open_beneath(dir_fd, last > 0 ? parent : ".", O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? err_set(err, fd, "cannot open its directory") : fd;
}

int layer_add_host(struct tree *tree, struct image_writer *writer, int dir_fd, const char *path, const char *target,
		   int64_t uid, int64_t gid, struct err *err)
{
	struct adding a = {
	    .to = {.names = {.tree = tree, .work_max = LAYER_WORK_BASE}, .writer = writer}, .uid = uid, .gid = gid};
	struct layer_place place;
	char parent[LAYER_PATH_MAX];
	const char *name = path;

	while (target[0] == '/')
		target++;
	int r = layer_names_find(&a.to.names, target[0] != '\0' ? target : ".", LAYER_MAKE, &place, err);
	if (r < 0)
		return err_wrap(err, "cannot put anything at \"%s\"", target);
	FD_AUTO int fd = open_parent(dir_fd, &name, parent, err);
	a.chunk = malloc(CHUNK_BYTES);
	if (fd >= 0 && a.chunk == NULL)
		r = err_set(err, -ENOMEM, "cannot read it");
	else if (fd >= 0)
		r = add_child(&a, fd, name, place.dir, place.name, place.length, err);
	else
		r = err_wrap(err, "%s", path);
	free(a.seen);
	free(a.chunk);
	return r < 0 ? err_wrap(err, "cannot put it into the image") : 0;
}
