/* SPDX-License-Identifier: Apache-2.0 */
/* execve(2), execveat(2). */
#include "kernel/proc/exec.h"

#include <linux/fcntl.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define STRING_MAX (128u << 10)
#define STRINGS_MAX (6u << 20)
#define COUNT_MAX (STRINGS_MAX / sizeof(uint64_t))

static void strings_free(char **strings, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		kfree(strings[i]);
	kfree(strings);
}

/* A string of any length in kernel memory. */
static int copy_string(uint64_t va, char **copy, char *buffer, uint64_t *budget)
{
	int64_t n = user_string(buffer, va, PATH_BYTES);
	if (n >= 0) {
		*budget -= min_u64(*budget, (uint64_t)n + 1);
		*copy = kstrdup(buffer);
		return *copy == NULL ? -ENOMEM : *budget == 0 ? -E2BIG : 0;
	}
	if (n != -ENAMETOOLONG)
		return (int)n;
	*copy = kmalloc(STRING_MAX);
	if (*copy == NULL)
		return -ENOMEM;
	n = user_string(*copy, va, STRING_MAX);
	if (n < 0)
		return n == -ENAMETOOLONG ? -E2BIG : (int)n;
	*budget -= min_u64(*budget, (uint64_t)n + 1);
	char *shorter = krealloc(*copy, (size_t)n + 1);
	if (shorter != NULL)
		*copy = shorter;
	return *budget == 0 ? -E2BIG : 0;
}

/* The program's NULL-terminated array of strings; va = 0: none. */
static int copy_strings(uint64_t va, char ***strings, unsigned *count, char *buffer, uint64_t *budget)
{
	unsigned room = 32;
	*count = 0;
	*strings = kmalloc(room * sizeof(char *));
	if (*strings == NULL)
		return -ENOMEM;
	for (; va != 0; va += sizeof(uint64_t)) {
		uint64_t text;
		int r = user_get(&text, va);
		if (r != 0)
			return r;
		if (text == 0)
			break;
		if (*count + 1 >= room) {
			if (room >= COUNT_MAX)
				return -E2BIG;
			char **more = krealloc(*strings, 2ull * room * sizeof(char *));
			if (more == NULL)
				return -ENOMEM;
			*strings = more;
			room *= 2;
		}
		(*strings)[*count] = NULL;
		++*count;
		r = copy_string(text, &(*strings)[*count - 1], buffer, budget);
		if (r != 0)
			return r;
	}
	return 0;
}

/* `path` is consumed. */
static int64_t execute(char *path, uint64_t argv, uint64_t envp, struct regs *regs)
{
	struct exec_strings strings = {0};
	uint64_t budget = STRINGS_MAX;
	char *buffer = path_buffer_get();
	int r = buffer != NULL ? 0 : -ENOMEM;
	if (r == 0)
		r = copy_strings(argv, &strings.argv, &strings.argc, buffer, &budget);
	if (r == 0)
		r = copy_strings(envp, &strings.envp, &strings.envc, buffer, &budget);
	if (buffer != NULL)
		path_buffer_put(buffer);
	if (r == 0 && strings.argc == 0) { /* as Linux does since 5.18: never an empty argv */
		strings.argv[0] = kstrdup("");
		strings.argc = strings.argv[0] != NULL ? 1 : 0;
	}
	if (r == 0)
		r = exec_load(path, &strings, regs);
	strings_free(strings.argv, strings.argc);
	strings_free(strings.envp, strings.envc);
	path_buffer_put(path);
	return r;
}

SYSCALL(execve)
{
	char *path;
	int r = path_from_user(args->arg[0], &path);
	return r != 0 ? r : execute(path, args->arg[1], args->arg[2], args->regs);
}

SYSCALL(execveat)
{
	char *path;
	int r = path_from_user(args->arg[1], &path);
	if (r != 0)
		return r;
	if ((args->arg[4] & ~(uint64_t)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) != 0)
		r = -EINVAL;
	else if (path[0] == '\0' && (args->arg[4] & AT_EMPTY_PATH) == 0)
		r = -ENOENT;
	else if (path[0] == '\0')
		ksnprintf(path, PATH_BYTES, "/dev/fd/%d", (int)args->arg[0]);
	else if (path[0] != '/' && (int)args->arg[0] != AT_FDCWD) {
		/* As Linux names it to scripts: /dev/fd/N/path. */
		char *whole = path_buffer_get();
		if (whole == NULL)
			r = -ENOMEM;
		else if (ksnprintf(whole, PATH_BYTES, "/dev/fd/%d/%s", (int)args->arg[0], path) >= (int)PATH_BYTES)
			r = -ENAMETOOLONG;
		if (whole != NULL) {
			path_buffer_put(path);
			path = whole;
		}
	}
	if (r != 0) {
		path_buffer_put(path);
		return r;
	}
	return execute(path, args->arg[2], args->arg[3], args->regs);
}
