/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/image/image_cli.h"
#include "cli/image_open.h"
#include "image/export.h"
#include "run/fd.h"

static int read_format(const struct arguments *arguments, enum export_format *format, struct err *err)
{
	static const char *const names[] = {[EXPORT_LAMPO] = "lampo", [EXPORT_OCI] = "oci", [EXPORT_DOCKER] = "docker"};
	const char *text = arguments_value(arguments, "format");

	*format = EXPORT_LAMPO;
	for (size_t i = 0; i < countof(names); i++)
		if (text == NULL || strcmp(text, names[i]) == 0) {
			*format = (enum export_format)i;
			return 0;
		}
	return err_set(err, -EINVAL, "there is no format '%s': it is lampo, oci or docker!", text);
}

/* Where the archive goes: standard output, a pipe or device that is there, or a new file beside the one that it will
 * be. */
struct target {
	const char *path; /* NULL: not to be renamed */
	char temporary[4096];
	int fd;
};

static int target_open(struct target *target, const char *path, struct err *err)
{
	struct stat st;

	*target = (struct target){.fd = -1};
	if (path == NULL || strcmp(path, "-") == 0) {
		if (isatty(STDOUT_FILENO) == 1) {
			err_set(err, -EINVAL, "an archive is nothing for a terminal!");
			return err_hint(err, "name a file with -o");
		}
		target->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	} else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		target->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	} else {
		int n = snprintf(target->temporary, sizeof(target->temporary), "%s.XXXXXX", path);
		if (n < 0 || (size_t)n >= sizeof(target->temporary))
			return err_set(err, -ENAMETOOLONG, "cannot write %s", path);
		target->path = path;
		target->fd = mkostemp(target->temporary, O_CLOEXEC);
	}
	return target->fd < 0 ? err_set(err, -errno, "cannot write %s", path != NULL ? path : "to standard output") : 0;
}

/* What is half-written is removed again. */
static int target_close(struct target *target, int code, struct err *err)
{
	mode_t mask = umask(0);

	umask(mask);
	if (code == 0 && target->path != NULL &&
	    (fchmod(target->fd, 0666 & ~mask) < 0 || rename(target->temporary, target->path) < 0))
		code = err_set(err, -errno, "cannot write %s", target->path);
	if (code < 0 && target->path != NULL)
		unlink(target->temporary);
	if (close(target->fd) < 0 && code == 0)
		code = err_set(err, -errno, "cannot write the archive");
	return code;
}

static int export_image(struct store *store, struct image_file *image, const struct arguments *arguments,
			struct export_options *options, struct err *err)
{
	struct progress_display display;
	struct target target;

	int code = target_open(&target, arguments_value(arguments, "output"), err);
	if (code < 0)
		return code;
	progress_display_init(&display, arguments_have(arguments, "quiet"));
	options->progress = &display.progress;
	code = image_export(store, image, options, target.fd, err);
	progress_display_fini(&display);
	return target_close(&target, code, err);
}

int cmd_export(const struct arguments *arguments, uint64_t start_ns, struct err *err)
{
	struct export_options options = {.compress = arguments_have(arguments, "compress")};
	struct image_found found;
	struct image_file image;
	struct store store;
	char name[REFERENCE_MAX];

	(void)start_ns;
	int code = read_format(arguments, &options.format, err);
	if (code == 0)
		code = store_open(&store, true, err);
	if (code < 0)
		return code;
	code = image_find(&store, arguments->rest[0], &found, err);
	if (code == 0) {
		snprintf(name, sizeof(name), "%s", found.entry.name);
		options.name = name;
		code = image_open(&store, &found, &image, err);
	}
	if (code == 0) {
		code = export_image(&store, &image, arguments, &options, err);
		image_file_close(&image);
	}
	store_close(&store);
	return code < 0 ? err_wrap(err, "cannot export %s", arguments->rest[0]) : 0;
}
