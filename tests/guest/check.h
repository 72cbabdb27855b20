/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every guest test uses. A guest test is an ordinary Linux program: run on the host it proves itself, run with
 * `lampo run` it proves nucleo. Each failed check prints one line; the exit status is 1 when any failed, 77 = skipped.
 */
#ifndef TESTS_GUEST_CHECK_H
#define TESTS_GUEST_CHECK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define countof(a) (sizeof(a) / sizeof((a)[0]))

static int check_failed; /* raised with atomics: threads check too */

__attribute__((unused)) static void check_fail(const char *file, int line, const char *text, long long got,
					       bool has_got)
{
	int e = errno;

	__atomic_add_fetch(&check_failed, 1, __ATOMIC_RELAXED);
	if (has_got)
		printf("%s:%d: failed: %s (got %lld = %#llx, errno %d %s)\n", file, line, text, got,
		       (unsigned long long)got, e, strerror(e));
	else
		printf("%s:%d: failed: %s (errno %d %s)\n", file, line, text, e, strerror(e));
	fflush(stdout);
	errno = e;
}

#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			check_fail(__FILE__, __LINE__, #cond, 0, false);                                               \
	} while (0)

/* Both as long long; prints what came. */
#define CHECK_EQ(expr, want)                                                                                           \
	do {                                                                                                           \
		long long got_ = (long long)(expr);                                                                    \
		if (got_ != (long long)(want))                                                                         \
			check_fail(__FILE__, __LINE__, #expr " == " #want, got_, true);                                \
	} while (0)

/* A call that must fail with -1 and this errno. */
#define CHECK_ERR(expr, want_errno)                                                                                    \
	do {                                                                                                           \
		errno = 0;                                                                                             \
		long long got_ = (long long)(expr);                                                                    \
		if (got_ != -1 || errno != (want_errno))                                                               \
			check_fail(__FILE__, __LINE__, #expr " fails with " #want_errno, got_, true);                  \
	} while (0)

/* A call that must not return -1. */
#define CHECK_OK(expr)                                                                                                 \
	do {                                                                                                           \
		errno = 0;                                                                                             \
		long long got_ = (long long)(expr);                                                                    \
		if (got_ == -1)                                                                                        \
			check_fail(__FILE__, __LINE__, #expr " succeeds", got_, true);                                 \
	} while (0)

/* Without this the rest of the test makes no sense. */
#define NEED(cond)                                                                                                     \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			check_fail(__FILE__, __LINE__, #cond, 0, false);                                               \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

#define SKIP(reason)                                                                                                   \
	do {                                                                                                           \
		printf("%s\n", reason);                                                                                \
		exit(77);                                                                                              \
	} while (0)

static inline int check_done(void) { return check_failed ? 1 : 0; }

/* ---- time ------------------------------------------------------------------------------------ */

static inline long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static inline void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, (ms % 1000) * 1000000};

	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

/* ---- faults ------------------------------------------------------------------------------------
 * FAULTS(statement): the signal that the statement raised, 0 if none; fault_info and fault_regs tell of it.
 */
static __thread sigjmp_buf fault_jump;
static __thread volatile sig_atomic_t fault_armed;
static __thread siginfo_t fault_info;
static __thread gregset_t fault_regs;

__attribute__((unused)) static void fault_handler(int sig, siginfo_t *info, void *context)
{
	if (!fault_armed) {
		static const char text[] = "unexpected fault\n";
		if (write(1, text, sizeof(text) - 1) < 0)
			_exit(98);
		_exit(99);
	}
	fault_info = *info;
	memcpy(fault_regs, ((ucontext_t *)context)->uc_mcontext.gregs, sizeof(fault_regs));
	fault_armed = 0;
	siglongjmp(fault_jump, sig);
}

__attribute__((unused)) static void faults_catch(int flags)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	struct sigaction sa = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO | flags};

	for (size_t i = 0; i < countof(signals); i++)
		sigaction(signals[i], &sa, NULL);
}

#define FAULTS(...)                                                                                                    \
	({                                                                                                             \
		int sig_ = sigsetjmp(fault_jump, 1);                                                                   \
		if (sig_ == 0) {                                                                                       \
			fault_armed = 1;                                                                               \
			__VA_ARGS__;                                                                                   \
			fault_armed = 0;                                                                               \
		}                                                                                                      \
		sig_;                                                                                                  \
	})

#define TOUCH_READ(p) ((void)*(volatile const char *)(p))
#define TOUCH_WRITE(p) ((void)(*(volatile char *)(p) = 1))

/* ---- a directory of the test's own, also its working directory; removed at exit ---------------- */

static char scratch_path[64];

__attribute__((unused)) static void scratch_empty(const char *dir)
{
	char path[4096];
	DIR *d = opendir(dir);

	if (d == NULL)
		return;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (unlink(path) != 0 && (errno == EISDIR || errno == EPERM)) {
			scratch_empty(path);
			rmdir(path);
		}
	}
	closedir(d);
}

__attribute__((unused)) static void scratch_remove(void)
{
	if (chdir("/") == 0)
		scratch_empty(scratch_path);
	rmdir(scratch_path);
}

__attribute__((unused)) static void scratch_enter(void)
{
	strcpy(scratch_path, "/tmp/lampo-test-XXXXXX");
	NEED(mkdtemp(scratch_path) != NULL);
	NEED(chdir(scratch_path) == 0);
	atexit(scratch_remove);
}

/* Makes a file with this text. */
__attribute__((unused)) static void file_make(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	NEED(fd >= 0);
	NEED(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* The file's content is this text. */
__attribute__((unused)) static bool file_is(const char *path, const char *text)
{
	char buf[8192];
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return false;
	ssize_t n = read(fd, buf, sizeof(buf));
	close(fd);
	return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

#endif
