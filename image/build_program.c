/* SPDX-License-Identifier: Apache-2.0 */
#include "image/build_program.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "image/json.h"
#include "image/ld_cache.h"
#include "image/package.h"

/* Files that libraries expect, with nothing of the host in them. */
static const struct {
	const char *path, *content;
} made_files[] = {
    {"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
    {"/etc/group", "root:x:0:\nnogroup:x:65534:\n"},
    {"/etc/nsswitch.conf",
     "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
    {"/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n"},
};

static const struct {
	const char *path;
	uint32_t mode;
} made_directories[] = {{"/tmp", 01777}, {"/root", 0700}, {"/dev", 0755},     {"/proc", 0755},
			{"/sys", 0755},  {"/run", 0755},  {"/var/tmp", 01777}};

/* ---- names ---- */

/* "." and double slashes are taken out; ".." is left to the file system. Malloc'd, NULL: no memory. */
static char *absolute_path(const char *path)
{
	char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);
	struct text out = {0};
	int code = cwd == NULL && *path != '/' ? -ENOMEM : 0;
	const char *parts[2] = {cwd != NULL ? cwd : "", path};

	for (size_t i = 0; i < 2 && code == 0; i++) {
		for (const char *at = parts[i]; *at != '\0' && code == 0;) {
			size_t length = strcspn(at, "/");
			if (length > 0 && !(length == 1 && *at == '.')) {
				code = text_add_char(&out, '/');
				if (code == 0)
					code = text_add(&out, at, length);
			}
			at += length + (at[length] == '/');
		}
	}
	if (code == 0 && out.length == 0)
		code = text_add_char(&out, '/');
	free(cwd);
	char *result = code == 0 ? text_take(&out) : NULL;
	text_free(&out);
	return result;
}

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Version managers (pyenv, rbenv, asdf) put directories "shims" into PATH, with scripts that look for the program that
 * is meant: in an image they would find none. */
static bool is_shim(const char *directory, size_t length)
{
	while (length > 0 && directory[length - 1] == '/')
		length--;
	return length >= 6 && memcmp(directory + length - 6, "/shims", 6) == 0;
}

/* The absolute path of the program; malloc'd. */
static int find_program(const char *name, char **path, struct err *err)
{
	const char *list = getenv("PATH");
	char full[PATH_MAX];

	if (*name == '\0')
		return err_set(err, -EINVAL, "the program's name is empty!");
	if (strchr(name, '/') != NULL) {
		*path = absolute_path(name);
		if (*path == NULL)
			return err_set(err, -ENOMEM, "cannot pack '%s'", name);
		if (access(*path, F_OK) < 0)
			return err_set(err, -errno, "cannot pack '%s'", name);
		return is_program(*path) ? 0
					 : err_set(err, -EACCES, "cannot pack '%s': it is no executable file!", name);
	}
	for (list = list != NULL ? list : BUILD_PATH_DEFAULT; *list != '\0';) {
		size_t length = strcspn(list, ":");
		int n = snprintf(full, sizeof(full), "%.*s/%s", (int)length, length > 0 ? list : ".", name);
		if (n < (int)sizeof(full) && !is_shim(list, length) && is_program(full)) {
			*path = absolute_path(full);
			return *path == NULL ? err_set(err, -ENOMEM, "cannot pack '%s'", name) : 0;
		}
		list += length + (list[length] == ':');
	}
	return err_set(err, -ENOENT, "there is no program '%s' in $PATH!", name);
}

/* ---- --add ---- */

/* Takes "HOST[:GUEST]" apart: a colon counts if an absolute path follows. guest: "" if not given. */
static int split_add(const char *text, char host[PATH_MAX], char guest[PATH_MAX], struct err *err)
{
	const char *colon = strstr(text, ":/");
	size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);

	if (length == 0 || length >= PATH_MAX || (colon != NULL && strlen(colon + 1) >= PATH_MAX) ||
	    (colon == NULL && text[length - 1] == ':')) {
		err_set(err, -EINVAL, "--add '%.100s' is not HOST or HOST:GUEST!", text);
		return err_hint(err, "GUEST is an absolute path in the image, such as ./data:/srv/data");
	}
	memcpy(host, text, length);
	host[length] = '\0';
	snprintf(guest, PATH_MAX, "%s", colon != NULL ? colon + 1 : "");
	for (const char *at = guest; (at = strstr(at, "..")) != NULL; at += 2)
		if (at[-1] == '/' && (at[2] == '/' || at[2] == '\0'))
			return err_set(err, -EINVAL, "--add '%.100s': '..' is not allowed in the image's path!", text);
	return 0;
}

/* A relative directory's contents are /app, a relative file goes into it; an absolute path stays as it is. *workdir:
 * where the first directory went that did not stay, if that is "" yet. */
static int add_host(struct package *p, const char *text, char workdir[PATH_MAX])
{
	char host[PATH_MAX], guest[PATH_MAX] = "", reason[PATH_MAX + 16];
	struct stat st;
	int code = split_add(text, host, guest, p->err);

	if (code < 0)
		return code;
	if (stat(host, &st) < 0)
		return err_set(p->err, -errno, "cannot add '%s'", host);
	snprintf(reason, sizeof(reason), "--add %s", host);
	struct package_how how = {.reason = reason, .tree = S_ISDIR(st.st_mode), .scripts = true};
	if (host[0] == '/' && guest[0] == '\0') {
		code = package_add(p, host, &how);
		return code == -ENOENT && p->err->code == 0 ? err_set(p->err, code, "cannot add '%s'", host) : code;
	}
	char *plain = absolute_path(guest[0] != '\0' ? guest : "/app");
	if (plain == NULL)
		return err_set(p->err, -ENOMEM, "cannot add '%s'", host);
	bool into = !S_ISDIR(st.st_mode) && (guest[0] == '\0' || guest[strlen(guest) - 1] == '/');
	const char *slash = strrchr(host, '/'), *base = slash != NULL ? slash + 1 : host;
	int n = snprintf(guest, sizeof(guest), "%s%s%s", into && strcmp(plain, "/") == 0 ? "" : plain, into ? "/" : "",
			 into ? base : "");
	free(plain);
	if (n >= (int)sizeof(guest))
		return err_set(p->err, -ENAMETOOLONG, "cannot add '%s'", host);
	if (S_ISDIR(st.st_mode) && workdir[0] == '\0')
		snprintf(workdir, PATH_MAX, "%s", guest);
	return package_add_moved(p, host, guest, &how);
}

/* ---- virtual environments of Python ---- */

/* A pyvenv.cfg beside the program's directory says that its packages are below ../lib. */
static int add_venv(struct package *p, const char *program)
{
	char path[PATH_MAX];
	const char *base = strrchr(program, '/') + 1;
	int prefix = (int)(base - program) - 1;
	struct package_how how = {.reason = "virtual environment of Python", .leave_out = "pip pip-*", .scripts = true};
	static const char *const parts[] = {"pyvenv.cfg", "lib"};

	while (prefix > 0 && program[--prefix] != '/')
		;
	if (strncmp(base, "python", 6) != 0 ||
	    snprintf(path, sizeof(path), "%.*s/pyvenv.cfg", prefix, program) >= (int)sizeof(path) ||
	    access(path, F_OK) < 0)
		return 0;
	for (size_t i = 0; i < countof(parts); i++) {
		snprintf(path, sizeof(path), "%.*s/%s", prefix, program, parts[i]);
		how.tree = i == 1;
		int code = package_add(p, path, &how);
		if (code < 0)
			return code == -ENOENT && p->err->code == 0 ? err_set(p->err, code, "cannot add '%s'", path)
								    : code;
	}
	return 0;
}

/* ---- the tree ---- */

static int add_made_things(struct package *p)
{
	struct tree_node *dir;
	void *cache;
	size_t bytes;
	int code = 0;

	for (size_t i = 0; i < countof(made_files) && code == 0; i++)
		code = package_add_made(p, made_files[i].path, made_files[i].content, strlen(made_files[i].content),
					"made for the image");
	for (size_t i = 0; i < countof(made_directories) && code == 0; i++) {
		if (build_walk_dir(p->tree, made_directories[i].path, 0, 0, &dir) == 0)
			dir->inode->mode = S_IFDIR | made_directories[i].mode;
	}
	if (code < 0 || p->libraries.count == 0)
		return code;
	string_list_sort(&p->libraries);
	code = ld_cache_make(&p->libraries, &cache, &bytes);
	if (code < 0)
		return err_set(p->err, code, "cannot make /etc/ld.so.cache");
	code = package_add_made(p, "/etc/ld.so.cache", cache, bytes,
				"made for the image: where the loader finds libraries");
	free(cache);
	return code;
}

static int fill(struct package *p, const char *program, const struct build_program_options *options,
		char workdir[PATH_MAX])
{
	struct package_how how = {.reason = "the program", .required = true, .scripts = true};
	int code = package_add(p, program, &how);

	if (code == -ENOENT && p->err->code == 0)
		return err_set(p->err, code, "cannot pack '%s'", program);
	if (code == 0)
		code = add_venv(p, program);
	for (char *const *add = options->add; code == 0 && add != NULL && *add != NULL; add++)
		code = add_host(p, *add, workdir);
	for (char *const *with = options->with; code == 0 && with != NULL && *with != NULL; with++)
		code = package_add_group(p, *with);
	/* Files bring links, links bring files. */
	while (code == 0 && p->examined < p->object_count) {
		code = package_examine_all(p);
		if (code == 0)
			code = package_resolve_links(p);
	}
	if (code == 0)
		code = add_made_things(p);
	return code == 0 ? package_note_dangling(p) : code;
}

/* ---- configuration ---- */

static int set_entrypoint(struct image_config *config, const char *program, const char *text, struct err *err)
{
	char *one[] = {(char *)(text != NULL ? text : program), NULL};
	struct string_list list = {0};
	json_t *array = NULL;
	int code;

	if (text == NULL || text[0] != '[')
		return image_config_set_list(config, "Entrypoint", one);
	code = image_json_parse(&array, text, strlen(text), TEXT_MAX, "the entry point", err);
	if (code == 0 && !json_is_array(array))
		code = -EINVAL;
	for (size_t i = 0; code == 0 && i < json_array_size(array); i++)
		code = json_is_string(json_array_get(array, i))
			   ? string_list_add_string(&list, json_string_value(json_array_get(array, i)))
			   : -EINVAL;
	if (code == 0)
		code = list.count > 0 ? image_config_set_list(config, "Entrypoint", list.items) : -EINVAL;
	json_decref(array);
	string_list_free(&list);
	if (code < 0 && code != -ENOMEM)
		err_set(err, code, "the entry point '%.60s' is no JSON array of strings!", text);
	return code;
}

static int set_env(struct image_config *config, char *const *env, struct err *err)
{
	int code = image_config_set_env(config, "PATH", BUILD_PATH_DEFAULT);

	if (code == 0)
		code = image_config_set_env(config, "LANG", "C.UTF-8");
	for (; code == 0 && env != NULL && *env != NULL; env++) {
		const char *equals = strchr(*env, '=');
		char *name = equals != NULL && equals != *env ? strndup(*env, (size_t)(equals - *env)) : NULL;
		if (name == NULL)
			return err_set(err, -EINVAL, "'%.60s' is not of the form NAME=VALUE!", *env);
		code = image_config_set_env(config, name, equals + 1);
		free(name);
	}
	return code;
}

static int configure(struct image_config *config, const char *program, const struct build_program_options *options,
		     const char *workdir, struct err *err)
{
	char history[PATH_MAX + 32];
	int code = set_entrypoint(config, program, options->entrypoint, err);

	if (code == 0)
		code = set_env(config, options->env, err);
	if (code == 0 && options->arguments != NULL && options->arguments[0] != NULL)
		code = image_config_set_list(config, "Cmd", options->arguments);
	if (code == 0)
		code = image_config_set_string(config, "WorkingDir", workdir[0] != '\0' ? workdir : "/");
	snprintf(history, sizeof(history), "lampo build --program %s", program);
	if (code == 0)
		code = image_config_add_history(config, history, false);
	return code < 0 && err->code == 0 ? err_set(err, code, "cannot make the configuration") : code;
}

static int compare_files(const void *a, const void *b)
{
	return strcmp(((const struct build_report_file *)a)->path, ((const struct build_report_file *)b)->path);
}

int build_program(const struct build_output *output, const struct build_program_options *options,
		  struct build_report *report, struct build_result *result, struct err *err)
{
	struct package package;
	struct image_config config = {0};
	char workdir[PATH_MAX] = "", *program = NULL;
	int code = find_program(options->program, &program, err);

	*report = (struct build_report){0};
	if (code < 0 || program == NULL) {
		free(program);
		return code;
	}
	code = package_init(&package, report, err);
	if (code == 0) {
		code = image_config_new(&config) < 0 ? err_set(err, -ENOMEM, "cannot pack '%s'", program)
						     : fill(&package, program, options, workdir);
		if (code == 0)
			code = configure(&config, program, options, workdir, err);
		if (code == 0 && report->file_count > 1)
			qsort(report->files, report->file_count, sizeof(report->files[0]), compare_files);
		if (code == 0 && output != NULL)
			code = build_output_write(output, package.tree, &package.contents, &config, result, err);
		image_config_free(&config);
		package_fini(&package);
	}
	free(program);
	return code;
}
