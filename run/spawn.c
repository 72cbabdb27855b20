/* SPDX-License-Identifier: Apache-2.0 */
#include "run/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "run/fd.h"

/* The child runs in our memory beside us: no libc function that keeps state, not even errno. */
static long raw(long number, long a, long b, long c, long d, long e)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}

/* As the kernel has it: glibc's struct sigaction is another. */
struct raw_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

/* What the terminal and timeout(1) send to the whole process group is for the CLI, which forwards it. As
 * first process of a pid namespace the monitor ignores these anyway; not so where there is none. */
static void child_ignore_signals(void)
{
	static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGUSR1, SIGUSR2, SIGTSTP};
	struct raw_sigaction action = {.handler = (void *)SIG_IGN};

	for (size_t i = 0; i < countof(ignored); i++)
		raw(SYS_rt_sigaction, ignored[i], (long)&action, 0, sizeof(uint64_t), 0);
}

/* Keeps over the exec what the monitor hides the host's files with (vmm/jail.c): with our own id mapped to
 * itself, not to 0, an exec drops all capabilities but the ambient ones. */
static void child_keep_capabilities(void)
{
	static const unsigned kept[] = {CAP_SYS_ADMIN, CAP_SYS_CHROOT};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (raw(SYS_capget, (long)&header, (long)data, 0, 0, 0) < 0)
		return;
	for (size_t i = 0; i < countof(kept); i++)
		data[0].inheritable |= data[0].permitted & (1u << kept[i]);
	if (raw(SYS_capset, (long)&header, (long)data, 0, 0, 0) < 0)
		return;
	for (size_t i = 0; i < countof(kept); i++)
		raw(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0);
}

/* All at once, or else one by one those that are allowed: the monitor finds out what it has. */
static void child_unshare(void)
{
	static const int flags[] = {CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS};
	long all = 0;

	for (size_t i = 0; i < countof(flags); i++)
		all |= flags[i];
	if (raw(SYS_unshare, all, 0, 0, 0, 0) == 0)
		return;
	for (size_t i = 0; i < countof(flags); i++)
		raw(SYS_unshare, flags[i], 0, 0, 0, 0);
}

union fd_message {
	char bytes[CMSG_SPACE((SPAWN_FDS_MAX + 3) * sizeof(int))];
	struct cmsghdr align;
};

/* The message of spawn_go(): its descriptors take the lowest free numbers, in order. */
static long child_receive(const struct spawn *s)
{
	union fd_message control = {.bytes = {0}};
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	long n = raw(SYS_recvmsg, SPAWN_SOCKET, (long)&message, 0, 0, 0);

	if (n != 1)
		return n < 0 ? n : -EPIPE;
	/* The limit of open files, or of memory, cuts the descriptors off. Only the message tells that
	 * fd_count and stdio_given are set. */
	size_t count = s->fd_count;
	for (int i = 0; i < 3; i++)
		count += s->stdio_given[i];
	return control.align.cmsg_len == CMSG_LEN(count * sizeof(int)) ? 0 : -EMFILE;
}

static long child_set_up(struct spawn *s)
{
	long n;

	/* Nothing of ours is left but this socket; above all not our end of it, which would keep it open. */
	if (s->child_socket != SPAWN_SOCKET)
		n = raw(SYS_dup3, s->child_socket, SPAWN_SOCKET, 0, 0, 0);
	else
		n = raw(SYS_fcntl, SPAWN_SOCKET, F_SETFD, 0, 0, 0);
	if (n >= 0)
		n = raw(SYS_close_range, SPAWN_FDS, ~0u, 0, 0, 0);
	if (n < 0)
		return n;
	if (s->new_session)
		raw(SYS_setsid, 0, 0, 0, 0, 0);
	child_ignore_signals();
	child_unshare();
	n = child_receive(s);
	if (n < 0)
		return n;
	int next = SPAWN_FDS + (int)s->fd_count;
	for (int i = 0; i < 3; i++)
		if (s->stdio_given[i] && (n = raw(SYS_dup3, next++, i, 0, 0, 0)) < 0)
			return n;
	raw(SYS_close_range, SPAWN_FDS + s->fd_count, ~0u, 0, 0, 0);
	if (s->own_ids_only)
		child_keep_capabilities();
	raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)s->signal_mask, 0, sizeof(uint64_t), 0);
	return raw(SYS_execve, (long)s->path, (long)s->argv, (long)s->envp, 0, 0);
}

static int child_main(void *arg)
{
	struct spawn *s = arg;

	s->exec_error = (int)child_set_up(s);
	raw(SYS_exit_group, 127, 0, 0, 0, 0);
	return 127; /* not reached */
}

static int write_map(pid_t pid, const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	FD_AUTO int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* Every id that we have ourselves, mapped to itself. We may be in a user namespace ourselves, where the
 * simple line for all ids is refused. */
static int write_full_map(pid_t pid, const char *file)
{
	char own[4096], lines[4096];
	size_t used = 0;
	unsigned long inside, outside, count;
	int skip;

	int code = write_map(pid, file, "0 0 4294967295\n");
	if (code != -EPERM && code != -EINVAL)
		return code;
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/%s", file);
	FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, own, sizeof(own) - 1);
	if (n <= 0)
		return -EPERM;
	own[n] = '\0';
	for (const char *p = own; sscanf(p, "%lu %lu %lu%n", &inside, &outside, &count, &skip) == 3; p += skip) {
		int len = snprintf(lines + used, sizeof(lines) - used, "%lu %lu %lu\n", inside, inside, count);
		if (len < 0 || (size_t)len >= sizeof(lines) - used)
			return -EPERM;
		used += (size_t)len;
	}
	return write_map(pid, file, lines);
}

static int map_ids(struct spawn *s)
{
	char line[64];
	int code;

	if (!s->own_ids_only) {
		code = write_full_map(s->pid, "uid_map");
		return code < 0 ? code : write_full_map(s->pid, "gid_map");
	}
	code = write_map(s->pid, "setgroups", "deny");
	if (code < 0 && code != -ENOENT)
		return code;
	snprintf(line, sizeof(line), "%u %u 1\n", geteuid(), geteuid());
	code = write_map(s->pid, "uid_map", line);
	if (code < 0)
		return code;
	snprintf(line, sizeof(line), "%u %u 1\n", getegid(), getegid());
	return write_map(s->pid, "gid_map", line);
}

void spawn_kill(struct spawn *s)
{
	kill(s->pid, SIGKILL);
	while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
		;
	fd_close_scope(&s->socket);
	s->socket = -1;
}

/* In a user namespace of its own (with the pid namespace, which can only be made here), or not. */
static int try_level(struct spawn *s, int flags)
{
	/* Static: the child may still be on it when we have gone on. */
	static char stack[16384] __attribute__((aligned(64)));
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	s->exec_error = 0;
	s->socket = pair[0];
	s->child_socket = pair[1];
	s->user_namespace = (flags & CLONE_NEWUSER) != 0;
	s->own_ids_only = s->user_namespace && geteuid() != 0;
	s->pid = clone(child_main, stack + sizeof(stack), flags | CLONE_VM | SIGCHLD, s);
	int code = s->pid < 0 ? -errno : 0;
	close(pair[1]);
	if (code < 0) {
		close(pair[0]);
		return code;
	}
	if (s->user_namespace)
		code = map_ids(s);
	if (code < 0)
		spawn_kill(s);
	return code;
}

int spawn_start(struct spawn *s, struct err *err)
{
	const int levels[] = {CLONE_NEWUSER | CLONE_NEWPID, CLONE_NEWPID, 0};
	int code = 0;

	for (size_t i = 0; i < countof(levels); i++) {
		code = try_level(s, levels[i]);
		if (code == 0)
			return 0;
		if (code == -EAGAIN || code == -ENOMEM || code == -EMFILE)
			break;
	}
	err_set(err, code, "cannot start a process for the monitor");
	if (code == -EAGAIN)
		err_hint(err, "the limit of processes is reached: see 'ulimit -u' and the pids limit of the cgroup");
	return code;
}

int spawn_go(struct spawn *s, const int *fds, unsigned count, const int stdio[3])
{
	union fd_message control = {.bytes = {0}};
	struct iovec iov = {.iov_base = (char[]){'g'}, .iov_len = 1};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
	int all[SPAWN_FDS_MAX + 3];
	unsigned n = count;

	if (count > SPAWN_FDS_MAX)
		return -E2BIG;
	memcpy(all, fds, count * sizeof(int));
	s->fd_count = count;
	for (int i = 0; i < 3; i++) {
		s->stdio_given[i] = stdio[i] >= 0;
		if (s->stdio_given[i])
			all[n++] = stdio[i];
	}
	message.msg_controllen = CMSG_SPACE(n * sizeof(int));
	struct cmsghdr *head = &control.align;
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(head), all, n * sizeof(int));
	return sendmsg(s->socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}
