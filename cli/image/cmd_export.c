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

/* Where the archive goes: standard output, a pipe or device that is there, or a file without a name, which gets it when
 * it is complete. */
struct target {
	const char *path; /* NULL: it has its name */
	int fd;
};

static int target_open(struct target *target, const char *path, struct err *err)
{
	char directory[4096];
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
		const char *slash = strrchr(path, '/');
		int n = slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path);
		if (strlen(path) + 8 >= sizeof(directory))
			return err_set(err, -ENAMETOOLONG, "cannot write %s", path);
		snprintf(directory, sizeof(directory), "%.*s", n, slash == NULL ? "." : path);
		target->path = path;
		target->fd = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	}
	if (target->fd >= 0)
		return 0;
	int code = err_set(err, -errno, "cannot write %s", path != NULL ? path : "to standard output");
	return code == -EOPNOTSUPP ? err_hint(err, "this file system has no files without a name: use '-o - > FILE'")
				   : code;
}

/* A name beside that which it is to have, and then that one: there is never half an archive under it. */
static int target_name(const struct target *target)
{
	char file[40], beside[4096];

	snprintf(file, sizeof(file), "/proc/self/fd/%d", target->fd);
	snprintf(beside, sizeof(beside), "%s.%d", target->path, (int)getpid());
	if (linkat(AT_FDCWD, file, AT_FDCWD, beside, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	if (rename(beside, target->path) == 0)
		return 0;
	int code = -errno;
	unlink(beside);
	return code;
}

static int target_close(struct target *target, int code, struct err *err)
{
	if (code == 0 && target->path != NULL) {
		code = target_name(target);
		if (code < 0)
			err_set(err, code, "cannot write %s", target->path);
	}
	if (close(target->fd) < 0 && code == 0)
		code = err_set(err, -errno, "cannot write the archive");
	return code;
}

static int export_image(struct store *store, struct image_file *image, const struct arguments *arguments,
			struct export_options options, struct err *err)
{
	struct progress_display display;
	struct target target;

	int code = target_open(&target, arguments_value(arguments, "output"), err);
	if (code < 0)
		return code;
	progress_display_init(&display, arguments_have(arguments, "quiet"));
	options.progress = &display.progress;
	code = image_export(store, image, &options, target.fd, err);
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
		code = export_image(&store, &image, arguments, options, err);
		image_file_close(&image);
	}
	store_close(&store);
	return code < 0 ? err_wrap(err, "cannot export %s", arguments->rest[0]) : 0;
}
