/* SPDX-License-Identifier: Apache-2.0 */
/* Finding damaged images, and putting them out of the way. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/store_internal.h"
#include "run/fd.h"

/* The very file that was found damaged is what lies there: another may have healed it meanwhile. */
static bool same_file(const struct store *store, const char *path, int fd)
{
	struct stat here, opened;

	return fstatat(store->dir_fd, path, &here, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &opened) == 0 &&
	       here.st_ino == opened.st_ino && here.st_dev == opened.st_dev;
}

static int quarantine(const struct store *store, const char *from, int fd, struct err *err)
{
	char to[sizeof(STORE_QUARANTINE) + 1 + STORE_HEX];

	snprintf(to, sizeof(to), STORE_QUARANTINE "/%s", from + strlen(STORE_IMAGES "/"));
	FD_AUTO int lock = store_index_lock(store, err);
	if (lock < 0)
		return lock;
	if (!same_file(store, from, fd))
		return 0;
	if (renameat(store->dir_fd, from, store->dir_fd, to) < 0)
		return store_fail(store, -errno, err, "move the damaged %s/%s to " STORE_QUARANTINE, store->path, from);
	int code = store_sync_dir(store, STORE_QUARANTINE, err);
	return code == 0 ? store_sync_dir(store, STORE_IMAGES, err) : code;
}

static int verify(int fd, const struct image_digest *digest, void (*progress)(void *, uint64_t, uint64_t),
		  void *context, struct err *err)
{
	struct image_file image;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return err_set(err, -errno, "cannot open the image");
	int code = image_file_open(&image, copy, digest, err);
	if (code < 0)
		return code;
	code = image_file_verify(&image, progress, context, err);
	image_file_close(&image);
	return code;
}

int store_verify(struct store *store, const struct image_digest *digest,
		 void (*progress)(void *, uint64_t done, uint64_t total), void *context, struct err *err)
{
	char path[STORE_IMAGE_PATH];
	struct err why;

	store_image_path(digest, path);
	FD_AUTO int fd = fd_open_beneath(store->dir_fd, path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0) {
		err_set(err, fd, "cannot open the image file %s/%s", store->path, path);
		store_hint_heal(store, digest, err);
		return fd;
	}
	int code = verify(fd, digest, progress, context, &why);
	if (code != -EUCLEAN && code != -EINVAL && code != -EIO) {
		if (code < 0)
			*err = why;
		return code;
	}
	code = quarantine(store, path, fd, err);
	if (code < 0)
		return code;
	err_set(err, -EUCLEAN, "the image is damaged (%s) and was put aside!", why.text);
	store_hint_heal(store, digest, err);
	return err->code;
}
