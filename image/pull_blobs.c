/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "image/pull.h"
#include "image/store_internal.h"
#include "run/fd.h"

/* The file of a blob, locked. -EAGAIN: it vanished meanwhile. -EWOULDBLOCK: somebody else is fetching it. */
static int open_partial(const struct store *store, const char *path)
{
	struct stat ours, named;
	FD_AUTO int fd = fd_open_beneath(store->dir_fd, path, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		return fd;
	int code = store_flock(fd, LOCK_EX | LOCK_NB);
	if (code < 0)
		return code == -EAGAIN ? -EWOULDBLOCK : code;
	if (fstat(fd, &ours) < 0)
		return -errno;
	/* Who had it before may have removed it between our open and our lock. */
	if (fstatat(store->dir_fd, path, &named, AT_SYMLINK_NOFOLLOW) < 0 || named.st_ino != ours.st_ino ||
	    named.st_dev != ours.st_dev)
		return -ESTALE;
	return fd_take(&fd);
}

/* Opens the file for blob `i`. Two who fetch the same blob do not wait for each other: the second gets a file without a
 * name. */
static int open_blob(struct pull_blobs *blobs, size_t i, struct err *err)
{
	const char *digits = blobs->blobs[i].digest + strlen("sha256:");
	char *path = blobs->paths[i];
	int fd = -ESTALE;

	snprintf(path, sizeof(blobs->paths[i]), STORE_TMP "/blob-%s", digits);
	for (int tries = 0; tries < 16 && fd == -ESTALE; tries++)
		fd = open_partial(blobs->store, path);
	if (fd == -EWOULDBLOCK || fd == -ESTALE) {
		path[0] = '\0';
		fd = fd_open_beneath(blobs->store->dir_fd, STORE_TMP, O_RDWR | O_TMPFILE, 0600);
	}
	if (fd < 0)
		return store_fail(blobs->store, fd, err, "make a file in %s/" STORE_TMP, blobs->store->path);
	blobs->blobs[i].fd = fd;
	return 0;
}

static int check_room(const struct pull_blobs *blobs, struct err *err)
{
	struct statvfs fs;
	struct stat info;
	uint64_t wanted = 0;

	for (size_t i = 0; i < blobs->count; i++) {
		uint64_t have = fstat(blobs->blobs[i].fd, &info) == 0 ? (uint64_t)info.st_size : 0;
		uint64_t bytes = blobs->blobs[i].bytes;
		if (__builtin_add_overflow(wanted, bytes > have ? bytes - have : 0, &wanted))
			wanted = UINT64_MAX;
	}
	if (fstatvfs(blobs->store->dir_fd, &fs) < 0)
		return store_fail(blobs->store, -errno, err, "look at the disk of %s", blobs->store->path);
	uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (wanted <= room)
		return 0;
	return store_fail(blobs->store, -ENOSPC, err, "fetch %llu MiB into %s/" STORE_TMP " (%llu MiB are free)",
			  (unsigned long long)(wanted >> 20), blobs->store->path, (unsigned long long)(room >> 20));
}

/* Layers may be the same (empty ones often are). */
static bool known(const struct pull_blobs *blobs, const char *digest)
{
	for (size_t i = 0; i < blobs->count; i++)
		if (strcmp(blobs->blobs[i].digest, digest) == 0)
			return true;
	return false;
}

int pull_blobs_get(struct pull_blobs *blobs, struct store *store, struct registry *registry,
		   const struct manifest_descriptor *const *descriptors, size_t count, struct progress *progress,
		   struct err *err)
{
	*blobs = (struct pull_blobs){.store = store};
	blobs->blobs = calloc(count, sizeof(*blobs->blobs));
	blobs->paths = calloc(count, sizeof(*blobs->paths));
	if (!blobs->blobs || !blobs->paths)
		return err_set(err, -ENOMEM, "cannot fetch %zu blobs", count);
	for (size_t i = 0; i < count; i++) {
		if (known(blobs, descriptors[i]->digest))
			continue;
		struct registry_blob *blob = &blobs->blobs[blobs->count];
		snprintf(blob->digest, sizeof(blob->digest), "%s", descriptors[i]->digest);
		blob->bytes = descriptors[i]->bytes;
		blob->item = (unsigned)i;
		int code = open_blob(blobs, blobs->count, err);
		if (code < 0)
			return code;
		blobs->count++;
	}
	int code = check_room(blobs, err);
	return code < 0 ? code : registry_blobs_get(registry, blobs->blobs, blobs->count, progress, err);
}

void pull_blobs_close(struct pull_blobs *blobs, bool done)
{
	struct stat info;

	for (size_t i = 0; i < blobs->count; i++) {
		/* An empty file is of no use to the next pull. */
		if (blobs->paths[i][0] != '\0' && (done || fstat(blobs->blobs[i].fd, &info) < 0 || info.st_size == 0))
			unlinkat(blobs->store->dir_fd, blobs->paths[i], 0);
		close(blobs->blobs[i].fd);
	}
	free(blobs->blobs);
	free(blobs->paths);
	*blobs = (struct pull_blobs){0};
}

int pull_blobs_fd(const struct pull_blobs *blobs, const char *digest)
{
	for (size_t i = 0; i < blobs->count; i++)
		if (strcmp(blobs->blobs[i].digest, digest) == 0)
			return blobs->blobs[i].fd;
	return -1;
}
