/* SPDX-License-Identifier: Apache-2.0 */
/* System calls as a test of kernel/fs/ makes them: results or -errno. */
#ifndef TESTS_KERNEL_FS_CALLS_H
#define TESTS_KERNEL_FS_CALLS_H

#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>

#include <sys/types.h>

#include "kernel/fs/vfs.h"
#include "kernel/sys/syscall.h"
#include "tests/unit/kernel_fs.h"
#include "tests/unit/kernel_host.h"

#define P(pointer) ((uint64_t)(uintptr_t)(pointer))
#define CALL(name, ...)                                                                                                \
	({                                                                                                             \
		int64_t sys_##name(const struct syscall_args *);                                                       \
		struct syscall_args args_ = {.arg = {__VA_ARGS__}};                                                    \
		sys_##name(&args_);                                                                                    \
	})

static inline int64_t g_open(const char *path, uint32_t flags)
{
	return CALL(openat, (uint64_t)AT_FDCWD, P(path), flags, 0644);
}
static inline int64_t g_close(int64_t fd) { return CALL(close, (uint64_t)fd); }
static inline int64_t g_pread(int64_t fd, void *to, uint64_t n, uint64_t at)
{
	return CALL(pread64, (uint64_t)fd, P(to), n, at);
}
static inline int64_t g_pwrite(int64_t fd, const void *from, uint64_t n, uint64_t at)
{
	return CALL(pwrite64, (uint64_t)fd, P(from), n, at);
}
static inline int64_t g_write(int64_t fd, const void *from, uint64_t n)
{
	return CALL(write, (uint64_t)fd, P(from), n);
}
static inline int64_t g_unlink(const char *path) { return CALL(unlink, P(path)); }
static inline int64_t g_rmdir(const char *path) { return CALL(rmdir, P(path)); }
static inline int64_t g_mkdir(const char *path) { return CALL(mkdir, P(path), 0755); }
static inline int64_t g_rename(const char *a, const char *b) { return CALL(rename, P(a), P(b)); }
static inline int64_t g_link(const char *a, const char *b) { return CALL(link, P(a), P(b)); }
static inline int64_t g_symlink(const char *target, const char *path) { return CALL(symlink, P(target), P(path)); }
static inline int64_t g_truncate(const char *path, uint64_t size) { return CALL(truncate, P(path), size); }
static inline int64_t g_access(const char *path) { return CALL(access, P(path), 0); }
static inline int64_t g_stat(const char *path, struct statx *st)
{
	return CALL(statx, (uint64_t)AT_FDCWD, P(path), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, P(st));
}

/* Content of a file, or "(errno)". */
static inline const char *g_content(const char *path)
{
	static char text[4][8192];
	static unsigned next;
	char *to = text[next++ % 4];
	int64_t fd = g_open(path, O_RDONLY), n = fd < 0 ? fd : g_pread(fd, to, sizeof(text[0]) - 1, 0);

	if (fd >= 0)
		g_close(fd);
	if (n < 0)
		ksnprintf(to, sizeof(text[0]), "(%d)", (int)-n);
	else
		to[n] = '\0';
	return to;
}

static inline int64_t g_put(const char *path, const char *text)
{
	int64_t fd = g_open(path, O_WRONLY | O_CREAT | O_TRUNC), n;

	if (fd < 0)
		return fd;
	n = g_write(fd, text, strlen(text));
	g_close(fd);
	return n;
}

pid_t fork(void);
pid_t waitpid(pid_t pid, int *status, int options);
_Noreturn void _exit(int status);

/* Runs each test in a process of its own; those named random_* with `seeds` seeds. Number of failures. */
static inline int kernel_fs_run(const struct CMUnitTest *tests, size_t count, uint64_t *seed, unsigned seeds)
{
	int failed = 0;

	for (size_t i = 0; i < count; i++) {
		unsigned runs = seed != NULL && strncmp(tests[i].name, "random_", 7) == 0 ? seeds : 1;

		for (unsigned k = 0; k < runs; k++) {
			int status = 0;
			pid_t child = fork();

			if (child == 0) {
				if (seed != NULL)
					*seed += k;
				_exit(_cmocka_run_group_tests(tests[i].name, &tests[i], 1, NULL, NULL));
			}
			if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
				failed++;
		}
	}
	return failed;
}

#endif
