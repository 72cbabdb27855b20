/* SPDX-License-Identifier: Apache-2.0 */
#include "image/build_host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "image/text.h"
#include "run/fd.h"

#define XATTR_NAMES_MAX 65536u
#define XATTR_VALUE_MAX 65536u

static int take_xattr(struct tree_inode *inode, int fd, const char *name)
{
	char value[4096], *data = value;

	if (strncmp(name, "user.", 5) != 0 && strcmp(name, "security.capability") != 0)
		return 0;
	ssize_t n = fgetxattr(fd, name, value, sizeof(value));
	if (n < 0 && errno == ERANGE) {
		data = malloc(XATTR_VALUE_MAX);
		if (data == NULL)
			return -ENOMEM;
		n = fgetxattr(fd, name, data, XATTR_VALUE_MAX);
	}
	int code = n >= 0 ? tree_set_xattr(inode, name, data, (size_t)n) : errno == ENODATA ? 0 : -errno;
	if (data != value)
		free(data);
	return code;
}

int build_host_xattrs(struct tree_inode *inode, int fd)
{
	ssize_t bytes = flistxattr(fd, NULL, 0);
	int code = 0;

	if (bytes <= 0)
		return bytes == 0 || errno == ENOTSUP ? 0 : -errno;
	char *names = malloc(XATTR_NAMES_MAX + 1);
	if (names == NULL)
		return -ENOMEM;
	bytes = flistxattr(fd, names, XATTR_NAMES_MAX);
	if (bytes < 0)
		code = -errno;
	else
		names[bytes] = '\0';
	for (const char *name = names; code == 0 && name < names + bytes; name += strlen(name) + 1)
		code = take_xattr(inode, fd, name);
	free(names);
	return code;
}

static int take_link(struct tree_inode *inode, int parent_fd, const char *base)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(parent_fd, base, target, sizeof(target));

	if (n < 0)
		return -errno;
	return (size_t)n == sizeof(target) ? -ENAMETOOLONG : tree_set_target(inode, target, (size_t)n);
}

static int make_node(struct build_host *host, struct tree_node *dir, const char *name, int parent_fd, const char *base,
		     const char *path, const struct stat *st, struct tree_node **node)
{
	bool linked = st->st_nlink > 1 && !S_ISDIR(st->st_mode);
	struct tree_inode *known = linked ? build_links_find(&host->links, st->st_dev, st->st_ino) : NULL;

	if (known != NULL)
		return tree_link(host->tree, dir, name, strlen(name), known, node);
	int code = tree_add(host->tree, dir, name, strlen(name), st->st_mode & (S_IFMT | 07777), node);
	if (code < 0)
		return code;
	struct tree_inode *inode = (*node)->inode;
	inode->mtime = st->st_mtim.tv_sec;
	inode->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
	if (S_ISLNK(st->st_mode))
		code = take_link(inode, parent_fd, base);
	else if (S_ISREG(st->st_mode) && st->st_size > 0)
		code = build_contents_add_host(host->contents, inode, host->root_fd, path, st);
	else if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		inode->rdev_major = major(st->st_rdev);
		inode->rdev_minor = minor(st->st_rdev);
	}
	return code == 0 && linked ? build_links_add(&host->links, st->st_dev, st->st_ino, inode) : code;
}

int build_host_node(struct build_host *host, struct tree_node *dir, const char *name, int parent_fd, const char *base,
		    const char *path, const struct stat *st, struct tree_node **node)
{
	*node = NULL;
	if (S_ISSOCK(st->st_mode))
		return 0;
	int code = make_node(host, dir, name, parent_fd, base, path, st, node);
	return code < 0 ? err_set(host->err, code, "cannot take '%s' into the image", path) : 0;
}

int build_host_list(const struct build_host *host, const char *path, struct string_list *names, int *fd)
{
	int code = 0;

	*fd = fd_open_beneath(host->root_fd, path, O_RDONLY | O_DIRECTORY, 0);
	if (*fd < 0)
		return err_set(host->err, *fd, "cannot read the directory '%s'", path);
	int copy = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	if (dir == NULL) {
		code = -errno;
		if (copy >= 0)
			close(copy);
		return err_set(host->err, code, "cannot read the directory '%s'", path);
	}
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (entry == NULL) {
			code = -errno;
			break;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		code = string_list_add_string(names, entry->d_name);
		if (code < 0)
			break;
	}
	closedir(dir);
	string_list_sort(names);
	return code < 0 ? err_set(host->err, code, "cannot read the directory '%s'", path) : 0;
}

struct scan {
	struct build_host *host;
	const struct build_ignore *ignore;
};

static int scan_directory(struct scan *s, struct tree_node *dir, const char *path);

static int scan_entry(struct scan *s, struct tree_node *dir, int fd, const char *dir_path, const char *name)
{
	char path[PATH_MAX];
	struct tree_node *node;
	struct stat st;
	bool top = strcmp(dir_path, ".") == 0;

	int length = snprintf(path, sizeof(path), "%s%s%s", top ? "" : dir_path, top ? "" : "/", name);
	if (length >= (int)sizeof(path))
		return err_set(s->host->err, -ENAMETOOLONG, "cannot read '%.200s...'", path);
	bool ignored = build_ignore_match(s->ignore, path);
	/* An exception may bring back something inside. */
	if (ignored && !s->ignore->has_keep)
		return 0;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(s->host->err, -errno, "cannot read '%s'", path);
	if (ignored && !S_ISDIR(st.st_mode))
		return 0;
	int code = build_host_node(s->host, dir, name, fd, name, path, &st, &node);
	if (code < 0 || node == NULL || !S_ISDIR(st.st_mode))
		return code;
	code = scan_directory(s, node, path);
	if (code == 0 && ignored && node->child_count == 0)
		tree_remove(s->host->tree, node);
	return code;
}

/* Directories below are opened by their paths, so that deep trees need no more descriptors than flat ones. */
static int scan_directory(struct scan *s, struct tree_node *dir, const char *path)
{
	struct string_list names = {0};
	FD_AUTO int fd = -1;
	int code = build_host_list(s->host, path, &names, &fd);

	if (code == 0) {
		code = build_host_xattrs(dir->inode, fd);
		if (code < 0)
			err_set(s->host->err, code, "cannot read the attributes of '%s'", path);
	}
	for (size_t i = 0; i < names.count && code == 0; i++)
		code = scan_entry(s, dir, fd, path, names.items[i]);
	string_list_free(&names);
	return code;
}

int build_host_scan(struct build_host *host, const struct build_ignore *ignore)
{
	struct scan s = {host, ignore};
	struct stat st;

	if (fstat(host->root_fd, &st) < 0)
		return err_set(host->err, -errno, "cannot read the context");
	struct tree_inode *root = tree_root(host->tree)->inode;
	root->mode = st.st_mode & (S_IFMT | 07777);
	root->mtime = st.st_mtim.tv_sec;
	root->mtime_ns = (uint32_t)st.st_mtim.tv_nsec;
	return scan_directory(&s, tree_root(host->tree), ".");
}
