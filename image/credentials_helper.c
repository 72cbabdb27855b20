/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's credential helpers: a program docker-credential-NAME, called with "get", reads the registry's name from
 * standard input and writes {"ServerURL", "Username", "Secret"} to standard output; on failure it writes a sentence
 * there, and ends with another status.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "image/auth.h"
#include "image/json.h"
#include "run/fd.h"

#define ANSWER_BYTES_MAX (64u << 10)
#define ANSWER_SECONDS 60 /* some ask their user */

extern char **environ;

/* Starts the program with pipes as its standard input and output, without a shell; what it has to say to people goes to
 * our stderr. */
static int start(const char *program, int in, int out, pid_t *pid)
{
	char *argv[] = {(char *)program, (char *)"get", NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t reset;

	int code = posix_spawn_file_actions_init(&actions);
	if (code != 0)
		return -code;
	code = posix_spawnattr_init(&attributes);
	if (code == 0) {
		sigemptyset(&reset);
		sigaddset(&reset, SIGPIPE);
		posix_spawnattr_setsigdefault(&attributes, &reset);
		posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
		posix_spawn_file_actions_adddup2(&actions, in, 0);
		posix_spawn_file_actions_adddup2(&actions, out, 1);
		code = posix_spawnp(pid, program, &actions, &attributes, argv, environ);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -code;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Up to the end or the deadline; bytes, or -errno. The text is terminated. */
static ssize_t read_answer(int fd, char *answer, size_t size)
{
	int64_t deadline = now_ms() + ANSWER_SECONDS * 1000;
	size_t done = 0;

	for (;;) {
		int64_t left = deadline - now_ms();
		struct pollfd poller = {.fd = fd, .events = POLLIN};
		if (left <= 0 || (poll(&poller, 1, (int)left) == 0))
			return -ETIMEDOUT;
		ssize_t n = read(fd, answer + done, size - 1 - done);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		done += n > 0 ? (size_t)n : 0;
		if (done == size - 1)
			return -EFBIG;
	}
	answer[done] = '\0';
	return (ssize_t)done;
}

/* Its exit status, or 128 if a signal ended it. One that does not end is killed. */
static int wait_end(pid_t pid, bool kill_it)
{
	int status = 0;

	for (int i = 0; !kill_it && i < 200; i++) {
		pid_t ended = waitpid(pid, &status, WNOHANG);
		if (ended == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return 128;
}

static int take_answer(struct credentials *credentials, const char *answer, size_t bytes, const char *program,
		       struct err *err)
{
	const char *user = "", *secret = "";
	json_t *root;

	int code = image_json_parse(&root, answer, bytes, ANSWER_BYTES_MAX, "its answer", err);
	if (code == 0) {
		code = image_json_string(root, "Username", &user, "its answer", err);
		if (code == 0)
			code = image_json_string(root, "Secret", &secret, "its answer", err);
		if (code == 0 && (strlen(user) >= sizeof(credentials->user) ||
				  strlen(secret) >= sizeof(credentials->secret) || strchr(user, ':')))
			code = err_set(err, -EINVAL, "a user name or secret like that cannot be used!");
		if (code == 0) {
			credentials->identity_token = strcmp(user, "<token>") == 0;
			snprintf(credentials->user, sizeof(credentials->user), "%s", user);
			snprintf(credentials->secret, sizeof(credentials->secret), "%s", secret);
		}
		json_decref(root);
	}
	return code < 0 ? err_wrap(err, "cannot get credentials from %s", program) : 0;
}

/* What it says has been read, or reading has failed (`bytes` is -errno). */
static int judge(struct credentials *credentials, const char *answer, ssize_t bytes, int status, const char *program,
		 struct err *err)
{
	if (bytes < 0)
		return err_set(err, (int)bytes, "cannot get credentials from %s", program);
	if (status == 0)
		return take_answer(credentials, answer, (size_t)bytes, program, err);
	if (strstr(answer, "credentials not found"))
		return -ENOENT;
	err_set(err, -EACCES, "%s ended with status %d: %.200s!", program, status, answer);
	return err_hint(err, "try 'echo REGISTRY | %s get'", program);
}

int credentials_ask_helper(struct credentials *credentials, const char *name, const char *registry, struct err *err)
{
	char program[96], question[300];
	int to[2], from[2];
	pid_t pid = -1;

	memset(credentials, 0, sizeof(*credentials));
	snprintf(program, sizeof(program), "docker-credential-%s", name);
	int length = snprintf(question, sizeof(question), "%s\n", registry);
	if (pipe2(to, O_CLOEXEC) < 0)
		return err_set(err, -errno, "cannot make a pipe for %s", program);
	FD_AUTO int to_read = to[0], to_write = to[1];
	if (pipe2(from, O_CLOEXEC) < 0)
		return err_set(err, -errno, "cannot make a pipe for %s", program);
	FD_AUTO int from_read = from[0], from_write = from[1];
	char *answer = malloc(ANSWER_BYTES_MAX);
	if (!answer)
		return err_set(err, -ENOMEM, "cannot ask %s", program);
	/* The question fits into the pipe, and is there before somebody could close the other end. */
	int code = fd_write_all(to_write, question, (size_t)length);
	if (code == 0)
		code = start(program, to_read, from_write, &pid);
	if (code < 0) {
		free(answer);
		/* -ENOENT would mean that it has nothing. */
		err_set(err, -ENOEXEC, "cannot run %s: %s!", program, strerror(-code));
		return err_hint(err, "install it, or take it out of the configuration of docker or podman");
	}
	close(fd_take(&to_write));
	close(fd_take(&to_read));
	close(fd_take(&from_write));
	ssize_t bytes = read_answer(from_read, answer, ANSWER_BYTES_MAX);
	code = judge(credentials, answer, bytes, wait_end(pid, bytes < 0), program, err);
	OPENSSL_cleanse(answer, ANSWER_BYTES_MAX);
	free(answer);
	return code;
}
