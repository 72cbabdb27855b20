/* SPDX-License-Identifier: Apache-2.0 */
/* A root file system, a directory or a tar archive of one, as an image that says nothing about how to run it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/config.h"
#include "image/import.h"
#include "image/layer.h"
#include "run/fd.h"

struct archive_file {
	int fd;
	const char *path;
	uint64_t done, total;
	struct progress *progress;
};

static int64_t archive_read_some(void *context, void *to, size_t bytes, struct err *err)
{
	struct archive_file *file = context;
	ssize_t n;

	do
		n = read(file->fd, to, bytes);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, -errno, "cannot read %s", file->path);
	file->done += (uint64_t)n;
	progress_set(file->progress, 0, "files", "unpacking", file->done, file->total);
	return n;
}

static int tree_fill(const char *path, struct tree *tree, struct image_writer *writer, struct progress *progress,
		     struct err *err)
{
	bool is_input = strcmp(path, "-") == 0;
	struct stat st;

	FD_AUTO int fd =
	    is_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, -errno, "cannot open %s", path);
	progress_set(progress, 0, "files", "unpacking", 0, 0);
	if (S_ISDIR(st.st_mode))
		return layer_add_host(tree, writer, fd, ".", "/", -1, -1, err);
	struct archive_file file = {
	    .fd = fd, .path = path, .total = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0, .progress = progress};
	struct layer_source source = {
	    .read = archive_read_some, .context = &file, .name = is_input ? "standard input" : path};
	return layer_apply(tree, writer, 1, &source, &LAYER_LIMITS_DEFAULT, err);
}

static int image_write(const char *path, int fd, struct image_digest *digest, struct progress *progress,
		       struct err *err)
{
	struct image_writer *writer = NULL;
	struct image_config config;
	struct tree *tree = tree_new();
	char *json = NULL;

	if (image_config_new(&config) == 0)
		json = image_config_dump(&config);
	int r = tree == NULL || json == NULL ? err_set(err, -ENOMEM, "cannot make an image")
					     : image_writer_open(&writer, fd, &IMAGE_LIMITS_DEFAULT, err);
	if (r == 0)
		r = tree_fill(path, tree, writer, progress, err);
	if (r == 0)
		r = image_writer_finish(writer, tree, json, digest, err);
	progress_set(progress, 0, "files", "done", 0, 0);
	image_writer_close(writer);
	tree_free(tree);
	image_config_free(&config);
	free(json);
	return r;
}

int image_import_rootfs(struct store *store, const char *path, const char *name, struct progress *progress,
			struct image_digest *digest, struct err *err)
{
	struct store_draft draft;

	int r = store_draft_open(store, &draft, err);
	if (r < 0)
		return r;
	r = image_write(path, draft.fd, digest, progress, err);
	if (r == 0)
		return store_draft_commit(store, &draft, digest, name, NULL, err);
	store_draft_discard(store, &draft);
	return r;
}
