/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image files being made: DIR/tmp/draft-..., locked by who writes it. A draft is removed if its writer fails or gets a
 * signal; those of killed processes are removed by whoever begins the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "image/store_internal.h"
#include "run/fd.h"

#define PATH_BYTES (sizeof(STORE_TMP) + sizeof(((struct store_draft *)0)->name))

static void draft_path(const char *name, char path[PATH_BYTES]) { snprintf(path, PATH_BYTES, STORE_TMP "/%s", name); }

/* ---- those of this process, for the signal handler ------------------------------------------------- */

static struct slot {
	_Atomic int state; /* 0 free, 1 being filled in, 2 in use */
	int dir_fd;
	char path[PATH_BYTES];
} slots[16];

static void slot_take(const struct store *store, const struct store_draft *draft)
{
	for (size_t i = 0; i < countof(slots); i++) {
		int empty = 0;
		if (!atomic_compare_exchange_strong(&slots[i].state, &empty, 1))
			continue;
		slots[i].dir_fd = store->dir_fd;
		draft_path(draft->name, slots[i].path);
		atomic_store(&slots[i].state, 2);
		return;
	}
	/* None left: should a signal come, the file stays for others to remove. */
}

static void slot_release(const struct store_draft *draft)
{
	char path[PATH_BYTES];

	draft_path(draft->name, path);
	for (size_t i = 0; i < countof(slots); i++)
		if (atomic_load(&slots[i].state) == 2 && strcmp(slots[i].path, path) == 0)
			atomic_store(&slots[i].state, 0);
}

void store_draft_abandon_all(void)
{
	for (size_t i = 0; i < countof(slots); i++)
		if (atomic_load(&slots[i].state) == 2)
			unlinkat(slots[i].dir_fd, slots[i].path, 0);
}

/* ---- opening ---------------------------------------------------------------------------------------- */

/* Removes a draft whose writer is dead. What cannot be removed now is no reason to fail. */
static int sweep_one(const struct store *store, const char *name, void *context, struct err *err)
{
	char path[PATH_BYTES];

	(void)context;
	(void)err;
	if (strncmp(name, STORE_DRAFT_PREFIX, strlen(STORE_DRAFT_PREFIX)) != 0)
		return 0;
	draft_path(name, path);
	FD_AUTO int fd = fd_open_beneath(store->dir_fd, path, O_RDONLY | O_NONBLOCK, 0);
	if (fd >= 0 && store_flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(store->dir_fd, path, 0);
	return 0;
}

/* Makes and locks a file. Between the two a sweeper may have taken it for rubbish: -EAGAIN. */
static int make_file(const struct store *store, struct store_draft *draft)
{
	uint64_t number;
	char path[PATH_BYTES];
	struct stat st;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return -EIO;
	snprintf(draft->name, sizeof(draft->name), STORE_DRAFT_PREFIX "%016llx", (unsigned long long)number);
	draft_path(draft->name, path);
	FD_AUTO int fd = fd_open_beneath(store->dir_fd, path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd == -EEXIST ? -EAGAIN : fd;
	int code = store_flock(fd, LOCK_EX | LOCK_NB);
	if (code == 0 && fstat(fd, &st) < 0)
		code = -errno;
	if (code == 0 && st.st_nlink == 0)
		code = -EAGAIN;
	if (code == 0)
		draft->fd = fd_take(&fd);
	else if (code != -EAGAIN)
		unlinkat(store->dir_fd, path, 0);
	return code;
}

int store_draft_open(struct store *store, struct store_draft *draft, struct err *err)
{
	int code = store_each_file(store, STORE_TMP, sweep_one, NULL, err);

	*draft = (struct store_draft){.fd = -1};
	if (code < 0)
		return code;
	code = -EAGAIN;
	for (int tries = 0; tries < 100 && code == -EAGAIN; tries++)
		code = make_file(store, draft);
	if (code < 0)
		return store_fail(store, code, err, "make a file in %s/" STORE_TMP, store->path);
	slot_take(store, draft);
	return 0;
}

void store_draft_discard(struct store *store, struct store_draft *draft)
{
	char path[PATH_BYTES];

	if (draft->fd < 0)
		return;
	draft_path(draft->name, path);
	unlinkat(store->dir_fd, path, 0);
	slot_release(draft);
	close(draft->fd);
	draft->fd = -1;
}

/* ---- committing --------------------------------------------------------------------------------------- */

/* The image is there, and every block of it is right. */
static bool present(struct store *store, const struct image_digest *digest)
{
	struct image_file image;
	struct err ignored;

	if (!store_has(store, digest) || store_image_open(store, digest, &image, &ignored) < 0)
		return false;
	bool good = image_file_verify(&image, NULL, NULL, &ignored) == 0;
	image_file_close(&image);
	return good;
}

/* A failed fsync means that what was written may be lost: it is not tried again, the file is given up. */
static int make_durable(struct store *store, const struct store_draft *draft, const struct image_digest *digest,
			struct err *err)
{
	int code = store_check_footer(draft->fd, digest, err);

	if (code < 0)
		return err_wrap(err, "cannot keep the new image");
	if (fchmod(draft->fd, 0444) < 0 || fsync(draft->fd) < 0)
		return store_fail(store, -errno, err, "write the new image to the disk");
	return 0;
}

/* With the index lock held, which makes this and store_quarantine() exclude each other. */
static int place(struct store *store, const struct store_draft *draft, const struct image_digest *digest, bool keep,
		 struct err *err)
{
	char from[PATH_BYTES], to[STORE_IMAGE_PATH];

	draft_path(draft->name, from);
	store_image_path(digest, to);
	if (keep && store_has(store, digest))
		unlinkat(store->dir_fd, from, 0);
	else if (renameat(store->dir_fd, from, store->dir_fd, to) < 0)
		return store_fail(store, -errno, err, "put the new image into %s/" STORE_IMAGES, store->path);
	/* Also if it was there: who put it there may not have come so far. */
	return store_sync_dir(store, STORE_IMAGES, err);
}

static int commit(struct store *store, const struct store_draft *draft, const struct image_digest *digest,
		  const char *name, const struct store_origin *origin, struct err *err)
{
	char plain[REFERENCE_MAX];
	struct store_index index;
	int code = name != NULL ? store_plain_name(name, plain, err) : 0;

	if (code == 0)
		code = make_durable(store, draft, digest, err);
	if (code < 0)
		return code;
	bool keep = present(store, digest);
	FD_AUTO int lock = store_index_lock(store, err);
	if (lock < 0)
		return lock;
	code = place(store, draft, digest, keep, err);
	if (code < 0 || name == NULL)
		return code;
	code = store_index_read(store, &index, err);
	if (code == 0)
		code = store_index_set(&index, plain, digest, origin, err);
	if (code == 0)
		code = store_index_write(store, &index, err);
	store_index_free(&index);
	return code;
}

int store_draft_commit(struct store *store, struct store_draft *draft, const struct image_digest *digest,
		       const char *name, const struct store_origin *origin, struct err *err)
{
	int code = commit(store, draft, digest, name, origin, err);

	store_draft_discard(store, draft);
	return code;
}
