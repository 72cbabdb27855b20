/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/image_open.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run/fd.h"

int image_store_open(struct store *store, bool *there, struct err *err)
{
	int code = store_open(store, false, err);

	*there = code == 0;
	return code == -ENOENT ? 0 : code;
}

/* A regular file whose last block begins as that of an image; what else is wrong with it image_file_open() says. */
static int open_file(const char *path, uint64_t *bytes)
{
	uint64_t magic;
	struct stat st;

	FD_AUTO int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct image_footer))
		return -ENOENT;
	off_t at = st.st_size - (off_t)sizeof(struct image_footer);
	if (pread(fd, &magic, sizeof(magic), at) != (ssize_t)sizeof(magic) || magic != IMAGE_MAGIC)
		return -ENOENT;
	*bytes = (uint64_t)st.st_size;
	return fd_take(&fd);
}

int image_find(struct store *store, const char *text, struct image_found *found, struct err *err)
{
	int code = -ENOENT;

	*found = (struct image_found){.file_fd = -1};
	if (store != NULL)
		code = store_find(store, text, &found->entry, err);
	/* A text that cannot be the name of an image may still be that of a file. */
	if ((code != -ENOENT && code != -EINVAL) || strchr(text, '/') == NULL)
		goto out;
	found->entry = (struct store_entry){0};
	found->file_fd = open_file(text, &found->entry.bytes);
	if (found->file_fd >= 0)
		code = 0;
	else if (text[0] == '/' || text[0] == '.')
		code = -ENOENT;
out:
	if (code == -ENOENT) {
		err_set(err, code, "there is no image %s!", text);
		err_hint(err, "'lampo images' lists the images");
	}
	return code;
}

int image_open(struct store *store, struct image_found *found, struct image_file *image, struct err *err)
{
	if (found->file_fd < 0)
		return store_image_open(store, &found->entry.digest, image, err);
	int code = image_file_open(image, found->file_fd, NULL, err);
	found->file_fd = -1;
	if (code == 0)
		found->entry.digest = image->digest;
	return code;
}
