/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What files ask for: libraries and the loader of ELF files, the interpreter of scripts. Libraries are looked for as
 * ld.so(8) does: DT_RPATH of the object and of those that needed it, DT_RUNPATH, the cache, default directories.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "image/elf_needs.h"
#include "image/ld_cache.h"
#include "image/package.h"
#include "run/fd.h"

/* Where glibc's loaders of Debian and Fedora, and musl's, look without being told. */
static const char *const default_directories[] = {"/lib/x86_64-linux-gnu",
						  "/usr/lib/x86_64-linux-gnu",
						  "/lib64",
						  "/usr/lib64",
						  "/lib",
						  "/usr/lib",
						  "/usr/lib/x86_64-linux-musl",
						  "/usr/local/lib"};

struct elf_file {
	int fd;
};

static int64_t read_file(void *context, uint64_t offset, void *to, uint64_t bytes)
{
	const struct elf_file *file = context;
	ssize_t n;

	do
		n = pread(file->fd, to, bytes, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* 0, -ENOEXEC: no ELF file; others with *err. */
static int read_needs(struct package *p, const char *path, struct elf_needs *needs, struct err *err)
{
	struct stat st;
	FD_AUTO int fd = package_open(p, path, &st);
	struct elf_file file = {fd};
	struct elf_source source = {read_file, &file, 0};

	if (fd < 0)
		return err_set(err, fd, "cannot read '%s'", path);
	source.bytes = (uint64_t)st.st_size;
	int code = elf_needs_read(needs, &source, err);
	return code < 0 && code != -ENOEXEC ? err_wrap(err, "'%s'", path) : code;
}

/* ---- libraries ---- */

struct search {
	struct package *p;
	size_t object; /* index, that needs it */
	const char *name;
	char found[PATH_MAX];
};

/* Is it a library for this machine? The loader passes over others. */
static bool is_library(struct search *s, const char *path)
{
	struct err ignored = {0};
	struct elf_needs needs;
	int code = read_needs(s->p, path, &needs, &ignored);
	bool good = code == 0 && !needs.foreign;

	if (code == 0)
		elf_needs_free(&needs);
	return good;
}

static bool try_path(struct search *s, const char *directory)
{
	int n = snprintf(s->found, sizeof(s->found), "%s/%s", directory, s->name);

	return n < (int)sizeof(s->found) && s->found[0] == '/' &&
	       (package_has(s->p, s->found) || is_library(s, s->found));
}

/* A list of directories, separated by colons. */
static bool try_list(struct search *s, const char *list)
{
	char directory[PATH_MAX];

	while (*list != '\0') {
		size_t length = strcspn(list, ":");
		if (length > 0 && length < sizeof(directory)) {
			memcpy(directory, list, length);
			directory[length] = '\0';
			if (try_path(s, directory))
				return true;
		}
		list += length + (list[length] == ':');
	}
	return false;
}

static bool find_library(struct search *s, const struct elf_needs *needs, const char *runpath)
{
	struct package *p = s->p;
	const char *cached;

	if (strchr(s->name, '/') != NULL) {
		snprintf(s->found, sizeof(s->found), "%s", s->name);
		return s->name[0] == '/' && is_library(s, s->found);
	}
	/* DT_RPATH is inherited, and does not count beside DT_RUNPATH. */
	for (size_t i = s->object + 1; runpath == NULL && i != 0; i = p->objects[i - 1].parent)
		if (p->objects[i - 1].rpath != NULL && try_list(s, p->objects[i - 1].rpath))
			return true;
	if (runpath != NULL && try_list(s, runpath))
		return true;
	if (needs->no_defaults)
		return false;
	cached = ld_cache_find(p->cache, p->cache_bytes, s->name);
	if (cached != NULL && cached[0] == '/' && strlen(cached) < sizeof(s->found) && is_library(s, cached)) {
		strcpy(s->found, cached);
		return string_list_add_string(&p->libraries, cached) == 0;
	}
	for (size_t i = 0; i < countof(default_directories); i++)
		if (try_path(s, default_directories[i]))
			return string_list_add_string(&p->libraries, s->found) == 0;
	return false;
}

/* Replaces $ORIGIN, $LIB and $PLATFORM: in place of what the loader would put. The object's place in the image counts.
 */
static int expand_path(struct package *p, const char *guest, const char *list, char **expanded)
{
	static const char *const names[][2] = {{"$ORIGIN", NULL},
					       {"${ORIGIN}", NULL},
					       {"$LIB", "lib/x86_64-linux-gnu"},
					       {"${LIB}", "lib/x86_64-linux-gnu"},
					       {"$PLATFORM", "x86_64"},
					       {"${PLATFORM}", "x86_64"}};
	size_t origin = (size_t)(strrchr(guest, '/') - guest);
	struct text out = {0};
	int code = 0;

	*expanded = NULL;
	if (list == NULL)
		return 0;
	while (*list != '\0' && code == 0) {
		size_t i = 0;
		while (i < countof(names) && strncmp(list, names[i][0], strlen(names[i][0])) != 0)
			i++;
		if (i == countof(names)) {
			code = text_add_char(&out, *list++);
			continue;
		}
		code = names[i][1] != NULL ? text_add_string(&out, names[i][1]) : text_add(&out, guest, origin);
		list += strlen(names[i][0]);
	}
	if (code == 0)
		*expanded = text_take(&out);
	text_free(&out);
	return *expanded == NULL ? err_set(p->err, code < 0 ? code : -ENOMEM, "cannot pack '%s'", guest) : 0;
}

/* Is a library of that name in the image, in a place where the loader would not look for this object? Then something
 * else that knows the place has loaded it before, as java does with libjvm.so. */
static bool is_elsewhere(const struct package *p, const char *name)
{
	for (size_t i = 0; i < p->object_count; i++)
		if (strcmp(strrchr(p->objects[i].guest, '/') + 1, name) == 0)
			return true;
	return false;
}

static int add_library(struct package *p, size_t index, const char *name, const struct elf_needs *needs,
		       const char *runpath)
{
	struct search s = {.p = p, .object = index, .name = name};
	char reason[PATH_MAX + 32];
	const struct package_object *object = &p->objects[index];

	if (!find_library(&s, needs, runpath)) {
		if (!object->required && is_elsewhere(p, name))
			return 0;
		if (!object->required)
			return package_note(p, "%s needs the library %s, which was not found", object->guest, name);
		err_set(p->err, -ENOENT, "'%s' needs the library %s, which was not found!", object->guest, name);
		return err_hint(p->err, "'ldd %s' shows what the loader finds", object->host);
	}
	if (package_has(p, s.found))
		return 0;
	snprintf(reason, sizeof(reason), "library of %s", object->guest);
	struct package_how how = {.reason = reason, .required = object->required, .parent = index + 1};
	int code = package_add(p, s.found, &how);
	return code == -ENOENT ? err_set(p->err, code, "cannot add '%s'", s.found) : code;
}

static int add_interpreter(struct package *p, size_t index, const char *path, const char *what)
{
	char reason[PATH_MAX + 64];
	const struct package_object *object = &p->objects[index];
	struct package_how how = {.reason = reason, .required = object->required};

	snprintf(reason, sizeof(reason), "%s of %s", what, object->guest);
	int code = package_has(p, path) ? 0 : package_add(p, path, &how);
	if (code != -ENOENT || p->err->code != 0)
		return code;
	object = &p->objects[index]; /* the list may have moved */
	if (!object->required)
		return package_note(p, "%s needs %s, which is not there", object->guest, path);
	return err_set(p->err, code, "'%s' needs %s, which is not there!", object->guest, path);
}

static int use_needs(struct package *p, size_t index, const struct elf_needs *needs)
{
	char *runpath = NULL, *rpath = NULL;
	int code = expand_path(p, p->objects[index].guest, needs->runpath, &runpath);

	if (code == 0 && needs->runpath == NULL)
		code = expand_path(p, p->objects[index].guest, needs->rpath, &rpath);
	p->objects[index].rpath = rpath;
	if (code == 0 && needs->interpreter != NULL)
		code = add_interpreter(p, index, needs->interpreter, "ELF interpreter");
	for (size_t i = 0; i < needs->needed.count && code == 0; i++)
		code = add_library(p, index, needs->needed.items[i], needs, runpath);
	free(runpath);
	return code;
}

/* ---- scripts ---- */

/* "/usr/bin/env [-S] [NAME=VALUE...] PROGRAM": the program is looked for as env would. */
static int add_env_program(struct package *p, size_t index, char *arguments)
{
	char *save = NULL, path[PATH_MAX];
	struct stat st;
	static const char *const directories[] = {"/usr/local/bin",  "/usr/bin",  "/bin",
						  "/usr/local/sbin", "/usr/sbin", "/sbin"};

	for (char *word = strtok_r(arguments, " \t", &save); word != NULL; word = strtok_r(NULL, " \t", &save)) {
		if (word[0] == '-' || strchr(word, '=') != NULL)
			continue;
		for (size_t i = 0; i < countof(directories); i++) {
			snprintf(path, sizeof(path), "%s/%s", directories[i], word);
			int fd = package_open(p, path, &st);
			if (fd < 0)
				continue;
			close(fd);
			return add_interpreter(p, index, path, "script interpreter");
		}
		return add_interpreter(p, index, word, "script interpreter");
	}
	return 0;
}

/* line: what follows "#!", terminated. */
static int use_script(struct package *p, size_t index, char *line)
{
	line[strcspn(line, "\r\n")] = '\0';
	char *path = line + strspn(line, " \t");
	size_t length = strcspn(path, " \t");
	char *arguments = path + length;

	if (*arguments != '\0')
		*arguments++ = '\0';
	if (path[0] != '/')
		return package_note(p, "%s is a script without an absolute interpreter", p->objects[index].guest);
	int code = add_interpreter(p, index, path, "script interpreter");
	const char *base = strrchr(path, '/') + 1;
	return code == 0 && strcmp(base, "env") == 0 ? add_env_program(p, index, arguments) : code;
}

/* ---- all of them ---- */

static int examine(struct package *p, size_t index)
{
	struct package_object *object = &p->objects[index];
	char head[PATH_MAX + 2] = "";
	struct stat st;
	FD_AUTO int fd = package_open(p, object->host, &st);
	ssize_t n = fd >= 0 ? pread(fd, head, sizeof(head) - 1, 0) : 0;

	if (fd < 0 || n < 0)
		return err_set(p->err, fd < 0 ? fd : -errno, "cannot read '%s'", object->host);
	int code = package_apply_rules(p, object);
	if (code < 0)
		return code;
	object = &p->objects[index]; /* the list may have moved */
	if (n >= 2 && head[0] == '#' && head[1] == '!')
		return object->scripts && (st.st_mode & 0111) != 0 ? use_script(p, index, head + 2) : 0;
	if (n < 4 || memcmp(head, "\177ELF", 4) != 0)
		return 0;
	struct elf_needs needs;
	struct err err = {0};
	code = read_needs(p, object->host, &needs, &err);
	if (code < 0 && object->required) {
		*p->err = err;
		return code;
	}
	if (code < 0)
		return package_note(p, "%s", err.text);
	code = needs.foreign ? (object->required ? err_set(p->err, -ENOEXEC, "'%s' is not for x86-64!", object->host)
						 : package_note(p, "%s is not for x86-64", object->guest))
			     : use_needs(p, index, &needs);
	elf_needs_free(&needs);
	return code;
}

int package_examine_all(struct package *p)
{
	int code = 0;

	while (p->examined < p->object_count && code == 0)
		code = examine(p, p->examined++);
	return code;
}
