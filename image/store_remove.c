/* SPDX-License-Identifier: Apache-2.0 */
/* Removing files: images without a name, and rubbish. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/store_internal.h"
#include "run/fd.h"

/* The store's lock alone, so that nobody is about to name an image that has no name yet. flock() gives up the shared
 * lock before it takes the other: two who do this do not wait for each other for ever. */
static int lock_alone(struct store *store, bool wait, struct err *err)
{
	int code = store_flock(store->lock_fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB);

	if (code == 0)
		return 0;
	store_flock(store->lock_fd, LOCK_SH);
	if (code != -EWOULDBLOCK)
		return store_fail(store, code, err, "lock %s/lock", store->path);
	err_set(err, -EBUSY, "others are using the images in %s now!", store->path);
	return err_hint(err, "try again when they have ended");
}

static void unlock(struct store *store) { store_flock(store->lock_fd, LOCK_SH); }

struct collection {
	struct store_index index;
	struct store_pruned pruned;
	const char *dir;
};

static int remove_file(const struct store *store, struct collection *collection, const char *name, struct err *err)
{
	char path[512];
	struct stat st;

	int n = snprintf(path, sizeof(path), "%s/%s", collection->dir, name);
	if (n < 0 || (size_t)n >= sizeof(path) || fstatat(store->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (unlinkat(store->dir_fd, path, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0) {
		if (errno == ENOENT || errno == ENOTEMPTY)
			return 0;
		return store_fail(store, -errno, err, "remove %s/%s", store->path, path);
	}
	if (S_ISREG(st.st_mode))
		collection->pruned.bytes += (uint64_t)st.st_size;
	return 1;
}

static int prune_image(const struct store *store, const char *name, void *context, struct err *err)
{
	struct collection *collection = context;
	struct image_digest digest;

	if (!store_image_name(name, &digest) || store_index_digest(&collection->index, &digest) != NULL)
		return 0;
	int removed = remove_file(store, collection, name, err);
	if (removed > 0)
		collection->pruned.images++;
	return removed < 0 ? removed : 0;
}

static int prune_rubbish(const struct store *store, const char *name, void *context, struct err *err)
{
	int removed = remove_file(store, context, name, err);

	return removed < 0 ? removed : 0;
}

static int prune_dir(struct store *store, struct collection *collection, const char *dir,
		     int (*function)(const struct store *, const char *, void *, struct err *), struct err *err)
{
	collection->dir = dir;
	int code = store_each_file(store, dir, function, collection, err);
	return code == 0 ? store_sync_dir(store, dir, err) : code;
}

/* With the store for ourselves no draft has a living writer; the index lock is for those who only change names. */
static int prune_all(struct store *store, struct collection *collection, struct err *err)
{
	FD_AUTO int lock = store_index_lock(store, err);
	if (lock < 0)
		return lock;
	/* Without a good index nothing says which images are not wanted. */
	int code = store_index_read(store, &collection->index, err);
	if (code == 0)
		code = prune_dir(store, collection, STORE_IMAGES, prune_image, err);
	if (code == 0)
		code = prune_dir(store, collection, STORE_TMP, prune_rubbish, err);
	if (code == 0)
		code = prune_dir(store, collection, STORE_QUARANTINE, prune_rubbish, err);
	store_index_free(&collection->index);
	return code;
}

int store_prune(struct store *store, bool wait, struct store_pruned *pruned, struct err *err)
{
	struct collection collection = {0};
	int code = lock_alone(store, wait, err);

	if (code < 0)
		return code;
	code = prune_all(store, &collection, err);
	unlock(store);
	*pruned = collection.pruned;
	return code;
}

static int remove_one(struct store *store, const struct image_digest *digest, struct err *err)
{
	char path[STORE_IMAGE_PATH];
	struct store_index index;

	FD_AUTO int lock = store_index_lock(store, err);
	if (lock < 0)
		return lock;
	int code = store_index_read(store, &index, err);
	if (code < 0)
		return code;
	const struct store_entry *entry = store_index_digest(&index, digest);
	if (entry != NULL)
		code = err_set(err, -EEXIST, "the image has the name %s!", entry->name);
	store_index_free(&index);
	if (code < 0)
		return code;
	store_image_path(digest, path);
	if (unlinkat(store->dir_fd, path, 0) < 0 && errno != ENOENT)
		return store_fail(store, -errno, err, "remove %s/%s", store->path, path);
	return store_sync_dir(store, STORE_IMAGES, err);
}

int store_remove(struct store *store, const struct image_digest *digest, struct err *err)
{
	int code = lock_alone(store, false, err);

	if (code < 0)
		return code;
	code = remove_one(store, digest, err);
	unlock(store);
	return code;
}
