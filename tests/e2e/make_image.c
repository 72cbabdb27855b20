/* SPDX-License-Identifier: Apache-2.0 */
/* make_image IMAGE CONFIG HOST=TARGET...: an image file of files and directories of the host, for tests. Everything
 * belongs to root, so that the image is the same whoever makes it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/layer.h"

static int add(struct tree *tree, struct image_writer *writer, const char *host, const char *target, struct err *err)
{
	char path[PATH_MAX];

	if (realpath(host, path) == NULL)
		return err_set(err, -errno, "cannot find %s", host);
	char *name = strrchr(path, '/');
	*name++ = '\0';
	int dir_fd = open(path[0] != '\0' ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = dir_fd < 0 ? err_set(err, -errno, "cannot open %s", path)
			   : layer_add_host(tree, writer, dir_fd, name, target, 0, 0, err);
	close(dir_fd);
	return r;
}

static int add_all(struct tree *tree, struct image_writer *writer, char **pairs, struct err *err)
{
	int r = 0;

	for (; r == 0 && *pairs != NULL; pairs++) {
		char *equals = strchr(*pairs, '=');

		if (equals == NULL)
			return err_set(err, -EINVAL, "not HOST=TARGET: %s!", *pairs);
		*equals = '\0';
		r = add(tree, writer, *pairs, equals + 1, err);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct image_writer *writer = NULL;
	struct image_digest digest;
	char text[IMAGE_DIGEST_TEXT];

	if (argc < 4)
		return fputs("usage: make_image IMAGE CONFIG HOST=TARGET...\n", stderr), 2;
	/* A new file: the old one may be in use. */
	unlink(argv[1]);
	int fd = open(argv[1], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct tree *tree = tree_new();
	int r = fd < 0 || tree == NULL ? err_set(&err, -errno, "cannot make %s", argv[1]) : 0;
	if (r == 0)
		r = image_writer_open(&writer, fd, &IMAGE_LIMITS_DEFAULT, &err);
	if (r == 0)
		r = add_all(tree, writer, argv + 3, &err);
	if (r == 0)
		r = image_writer_finish(writer, tree, argv[2], &digest, &err);
	image_writer_close(writer);
	tree_free(tree);
	if (r < 0)
		return err_print(&err, "make_image"), 1;
	image_digest_format(&digest, text);
	puts(text);
	return 0;
}
