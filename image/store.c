/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the store, and what its other files share. */
#include "image/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "image/store_internal.h"
#include "run/fd.h"

int store_flock(int fd, int operation)
{
	int r;

	do
		r = flock(fd, operation);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int store_fail(const struct store *store, int code, struct err *err, const char *format, ...)
{
	char what[512];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	err_set(err, code, "cannot %s", what);
	switch (code) {
	case -ENOSPC:
	case -EDQUOT:
		return err_hint(err,
				"make room in %s ('lampo prune' removes images that have no name), or name another "
				"directory in LAMPO_DATA",
				store->path);
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return err_hint(err, "name a directory that you may write to in LAMPO_DATA; the store is %s",
				store->path);
	case -EIO:
		return err_hint(err, "the disk under %s may be failing: see 'dmesg', then 'lampo image verify --all'",
				store->path);
	case -ELOOP:
	case -ENOTDIR:
		return err_hint(err, "within %s there must be no symbolic links", store->path);
	default:
		return code;
	}
}

void store_image_path(const struct image_digest *digest, char path[STORE_IMAGE_PATH])
{
	char text[IMAGE_DIGEST_TEXT];

	image_digest_format(digest, text);
	snprintf(path, STORE_IMAGE_PATH, STORE_IMAGES "/%s", text + strlen("sha256:"));
}

bool store_image_name(const char *name, struct image_digest *digest)
{
	char text[IMAGE_DIGEST_TEXT];

	if (strlen(name) != STORE_HEX)
		return false;
	snprintf(text, sizeof(text), "sha256:%s", name);
	return image_digest_parse(digest, text) == 0;
}

int store_sync_dir(const struct store *store, const char *path, struct err *err)
{
	FD_AUTO int fd = fd_open_beneath(store->dir_fd, path, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0 || fsync(fd) < 0)
		return store_fail(store, fd < 0 ? fd : -errno, err, "write %s/%s to the disk", store->path, path);
	return 0;
}

int store_each_file(const struct store *store, const char *path,
		    int (*function)(const struct store *store, const char *name, void *context, struct err *err),
		    void *context, struct err *err)
{
	int fd = fd_open_beneath(store->dir_fd, path, O_RDONLY | O_DIRECTORY, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int code = 0;

	if (dir == NULL) {
		code = fd < 0 ? fd : -errno;
		fd_close_scope(&fd);
		return store_fail(store, code, err, "list %s/%s", store->path, path);
	}
	while (code == 0) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (entry == NULL) {
			if (errno != 0)
				code = store_fail(store, -errno, err, "list %s/%s", store->path, path);
			break;
		}
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			code = function(store, entry->d_name, context, err);
	}
	closedir(dir);
	return code;
}

/* ---- opening ---------------------------------------------------------------------------------- */

static int set_path(struct store *store, struct err *err)
{
	const char *given = getenv("LAMPO_DATA"), *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	int n;

	if (given != NULL && given[0] != '\0')
		n = snprintf(store->path, sizeof(store->path), "%s", given);
	else if (geteuid() == 0)
		n = snprintf(store->path, sizeof(store->path), "/var/lib/lampo/images");
	else if (xdg != NULL && xdg[0] == '/')
		n = snprintf(store->path, sizeof(store->path), "%s/lampo/images", xdg);
	else if (home != NULL && home[0] == '/')
		n = snprintf(store->path, sizeof(store->path), "%s/.local/share/lampo/images", home);
	else {
		err_set(err, -ENOENT, "cannot tell where your images are: HOME is not set!");
		return err_hint(err, "name the directory in LAMPO_DATA");
	}
	if (n < 0 || (size_t)n >= sizeof(store->path))
		return err_set(err, -ENAMETOOLONG, "cannot use the directory for images");
	while (n > 1 && store->path[n - 1] == '/')
		store->path[--n] = '\0';
	return 0;
}

static int sync_path(const char *path)
{
	FD_AUTO int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* A parent that we may pass but not read was not made by us. */
	if (fd < 0)
		return errno == EACCES ? 0 : -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

/* The store's directory and, as far as they are missing, its parents; each is durable before something is in it. */
static int make_path(const struct store *store, struct err *err)
{
	char path[sizeof(store->path)];
	int code = 0;

	memcpy(path, store->path, sizeof(path));
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash != NULL)
			*slash = '\0';
		bool made = mkdir(path, slash != NULL ? 0755 : 0700) == 0;
		if (!made && errno != EEXIST && (slash == NULL || (errno != EACCES && errno != EROFS)))
			code = -errno;
		if (code == 0 && (made || slash == NULL)) {
			char *last = strrchr(path, '/');
			char saved = last != NULL ? last[last == path] : '\0';
			if (last != NULL)
				last[last == path] = '\0';
			code = sync_path(last != NULL ? path : ".");
			if (last != NULL)
				last[last == path] = saved;
		}
		if (code < 0) {
			store_fail(store, code, err, "make the directory for images %s", path);
			return err->hint[0] != '\0' ? code : err_hint(err, "name another directory in LAMPO_DATA");
		}
		if (slash == NULL)
			return 0;
		*slash = '/';
	}
}

/* Whoever else can write there can give us any image. */
static int check_owner(const struct store *store, struct err *err)
{
	struct stat st;

	if (fstat(store->dir_fd, &st) < 0)
		return store_fail(store, -errno, err, "examine %s", store->path);
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		err_set(err, -EPERM, "cannot use the images in %s: others than you own it or may write to it!",
			store->path);
		return err_hint(err, "correct that with chown and chmod, or name another directory in LAMPO_DATA");
	}
	return 0;
}

static int make_index(const struct store *store, struct err *err)
{
	struct store_index empty = {0};

	FD_AUTO int lock = store_index_lock(store, err);
	if (lock < 0)
		return lock;
	if (faccessat(store->dir_fd, STORE_INDEX, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return store_index_write(store, &empty, err);
}

/* The directories, an empty index, and last the lock: where that is, all the others were, too. */
static int make_store(const struct store *store, struct err *err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = {{"images", 0755}, {STORE_IMAGES, 0755}, {STORE_TMP, 0700}, {STORE_QUARANTINE, 0700}};
	bool made = false, complete = faccessat(store->dir_fd, "lock", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	int code;

	for (size_t i = 0; i < countof(dirs); i++) {
		if (mkdirat(store->dir_fd, dirs[i].name, dirs[i].mode) == 0)
			made = true;
		else if (errno != EEXIST)
			return complete ? 0 : store_fail(store, -errno, err, "make %s/%s", store->path, dirs[i].name);
	}
	if (made || !complete) {
		code = store_sync_dir(store, "images", err);
		if (code == 0)
			code = store_sync_dir(store, ".", err);
		if (code < 0)
			return code;
	}
	if (complete)
		return 0;
	code = make_index(store, err);
	if (code < 0)
		return code;
	FD_AUTO int fd = fd_open_beneath(store->dir_fd, "lock", O_RDONLY | O_CREAT, 0644);
	return fd < 0 ? store_fail(store, fd, err, "make %s/lock", store->path) : 0;
}

static int open_all(struct store *store, bool make, struct err *err)
{
	int code = set_path(store, err);

	if (code == 0) {
		store->dir_fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		code = store->dir_fd < 0 ? -errno : 0;
		if (code == -ENOENT && make) {
			code = make_path(store, err);
			if (code < 0)
				return code;
			store->dir_fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			code = store->dir_fd < 0 ? -errno : 0;
		}
		if (code < 0)
			return store_fail(store, code, err, "open the directory for images %s", store->path);
		code = check_owner(store, err);
	}
	if (code == 0 && make)
		code = make_store(store, err);
	if (code < 0)
		return code;
	store->lock_fd = fd_open_beneath(store->dir_fd, "lock", O_RDONLY, 0);
	if (store->lock_fd < 0)
		return store_fail(store, store->lock_fd, err, "open %s/lock", store->path);
	code = store_flock(store->lock_fd, LOCK_SH);
	return code < 0 ? store_fail(store, code, err, "lock %s/lock", store->path) : 0;
}

int store_open(struct store *store, bool make, struct err *err)
{
	store->dir_fd = store->lock_fd = -1;
	store->path[0] = '\0';
	int code = open_all(store, make, err);
	if (code < 0)
		store_close(store);
	return code;
}

void store_close(struct store *store)
{
	fd_close_scope(&store->lock_fd);
	fd_close_scope(&store->dir_fd);
	store->lock_fd = store->dir_fd = -1;
}

/* ---- image files ------------------------------------------------------------------------------- */

int store_check_footer(int fd, const struct image_digest *digest, struct err *err)
{
	struct image_footer footer;
	struct image_digest found;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "cannot examine the image file");
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(footer))
		return err_set(err, -EUCLEAN, "the image file is too short!");
	ssize_t n = pread(fd, &footer, sizeof(footer), st.st_size - (off_t)sizeof(footer));
	if (n != (ssize_t)sizeof(footer))
		return err_set(err, n < 0 ? -errno : -EIO, "cannot read the image file");
	int code = image_footer_check(&footer, (uint64_t)st.st_size, &found, err);
	if (code < 0)
		return code;
	if (memcmp(found.bytes, digest->bytes, sizeof(found.bytes)) != 0) {
		char text[IMAGE_DIGEST_TEXT];
		image_digest_format(&found, text);
		return err_set(err, -EUCLEAN, "the image file's digest is %s!", text);
	}
	return 0;
}

bool store_has(struct store *store, const struct image_digest *digest)
{
	char path[STORE_IMAGE_PATH];
	struct err ignored;

	store_image_path(digest, path);
	FD_AUTO int fd = fd_open_beneath(store->dir_fd, path, O_RDONLY | O_NONBLOCK, 0);
	return fd >= 0 && store_check_footer(fd, digest, &ignored) == 0;
}

void store_hint_heal(const struct store *store, const struct image_digest *digest, struct err *err)
{
	struct store_index index;
	struct err ignored;

	if (store_index_read(store, &index, &ignored) < 0)
		return;
	const struct store_entry *entry = store_index_digest(&index, digest);
	if (entry == NULL)
		err_hint(err, "'lampo image verify --all' finds damaged images");
	else if (entry->origin.reference[0] != '\0')
		err_hint(err, "'lampo pull %s' fetches it again", entry->origin.reference);
	else
		err_hint(err, "build or import %s again, or remove it with 'lampo rmi %s'", entry->name, entry->name);
	store_index_free(&index);
}

int store_image_open(struct store *store, const struct image_digest *digest, struct image_file *image, struct err *err)
{
	char path[STORE_IMAGE_PATH], text[IMAGE_DIGEST_TEXT];

	store_image_path(digest, path);
	image_digest_format(digest, text);
	int fd = fd_open_beneath(store->dir_fd, path, O_RDONLY | O_NONBLOCK, 0);
	int code = fd;
	if (fd < 0)
		err_set(err, fd, "cannot open the image %s", text);
	else if ((code = image_file_open(image, fd, digest, err)) < 0)
		err_wrap(err, "image %s", text);
	if (code < 0) {
		store_hint_heal(store, digest, err);
		return code;
	}
	return 0;
}
