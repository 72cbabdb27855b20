/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A monitor without a VM, for tests of the command line: it runs the program as a process of the host,
 * and misbehaves on request. What the real monitor cannot be made to do at a given point: crash, hang,
 * send nonsense, never answer. LAMPO_VMM names it; LAMPO_FAKE says what it does:
 *
 *   (none)       run the program; exit code and signals as the real one has them
 *   error        report an error with a hint, code 125
 *   silent       exit without a report
 *   crash        SIGSEGV before READY
 *   garbage      a report of the wrong size
 *   hang         READY, then answer nothing, SIGTERM or control
 *   slow-end     linger 0.3 s after EXIT, as the end of a real VM does
 *   show         print arguments, environment and descriptors, exit 0
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>

#include "base/host/vm_protocol.h"

static int report_fd = -1, control_fd = -1, state_fd = -1;
static int detach;
static pid_t child;

static void report(uint32_t kind, int code, const char *text, const char *hint)
{
	struct vm_report r = {.version = VM_PROTOCOL_VERSION, .kind = kind, .code = code};

	snprintf(r.text, sizeof(r.text), "%s", text);
	snprintf(r.hint, sizeof(r.hint), "%s", hint);
	send(report_fd, &r, sizeof(r), MSG_NOSIGNAL);
}

static void report_timing(void)
{
	struct vm_report r = {.version = VM_PROTOCOL_VERSION, .kind = VM_REPORT_TIMING, .stage_count = 2};

	strcpy(r.stages[0].name, "command line");
	strcpy(r.stages[1].name, "program");
	r.stages[0].monotonic_ns = 1000000;
	r.stages[1].monotonic_ns = 1250500;
	send(report_fd, &r, sizeof(r), MSG_NOSIGNAL);
}

static void end(int code, const char *mode)
{
	if (state_fd >= 0) {
		int fd = openat(state_fd, "exit", O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dprintf(fd, "%d\n", code);
	}
	report(VM_REPORT_EXIT, code, "", "");
	if (strcmp(mode, "slow-end") == 0)
		usleep(300000);
	_exit(0);
}

static void serve(int fd)
{
	struct vm_request q;
	struct vm_reply a = {.version = VM_PROTOCOL_VERSION,
			     .cpus = 1,
			     .pid = (uint32_t)getpid(),
			     .memory_bytes = 1 << 30,
			     .resident_bytes = 3 << 20,
			     .cpu_ns = 42000000};

	if (recv(fd, &q, sizeof(q), 0) != (ssize_t)sizeof(q)) {
		close(fd);
		return;
	}
	if (q.op == VM_OP_SIGNAL)
		kill(child, (int)q.arg);
	if (q.op == VM_OP_RESIZE)
		dprintf(2, "resize %u %u\n", (unsigned)(q.arg & 0xffff), (unsigned)(q.arg >> 16));
	send(fd, &a, sizeof(a), MSG_NOSIGNAL);
	if (q.op == VM_OP_END) {
		kill(child, SIGKILL);
		end(137, "");
	}
}

static void show(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("%s\n", argv[i]);
	for (char **p = environ; *p != NULL; p++)
		printf("%s\n", *p);
	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("open %d\n", fd);
	printf("session %d\n", getsid(0) == getpid());
	fflush(stdout);
}

static void wait_child(const char *mode)
{
	int status;

	if (waitpid(child, &status, WNOHANG) != child)
		return;
	end(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), mode);
}

static void loop(const char *mode)
{
	struct pollfd fds[16] = {{.fd = control_fd, .events = POLLIN}, {.fd = report_fd, .events = 0}};
	int n = 2;

	for (;;) {
		wait_child(mode);
		poll(fds, (nfds_t)n, 2);
		if ((fds[1].revents & POLLHUP) != 0) {
			if (!detach) {
				kill(child, SIGKILL);
				_exit(0);
			}
			fds[1].fd = -1;
		}
		if (fds[0].revents != 0 && n < 16) {
			fds[n].fd = accept(control_fd, NULL, NULL);
			fds[n].revents = 0;
			fds[n++].events = POLLIN;
		}
		for (int i = 2; i < n; i++)
			if (fds[i].revents != 0) {
				if ((fds[i].revents & POLLIN) != 0)
					serve(fds[i].fd);
				if ((fds[i].revents & POLLHUP) != 0) {
					close(fds[i].fd);
					fds[i] = fds[--n];
				}
			}
	}
}

int main(int argc, char **argv)
{
	const char *mode = getenv("LAMPO_FAKE");
	int i, in = 0, timing = 0;

	mode = mode == NULL ? "" : mode;
	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";
		if (strcmp(argv[i], "--report-fd") == 0)
			report_fd = atoi(value);
		else if (strcmp(argv[i], "--control-fd") == 0)
			control_fd = atoi(value);
		else if (strcmp(argv[i], "--state-fd") == 0)
			state_fd = atoi(value);
		detach |= strcmp(argv[i], "--detach") == 0;
		in |= strcmp(argv[i], "--stdin") == 0;
		timing |= strcmp(argv[i], "--timing") == 0;
	}
	char **command = argv + i + 1;

	if (strcmp(mode, "error") == 0) {
		report(VM_REPORT_ERROR, 125, "cannot open /dev/kvm: no such device", "load the kvm module");
		return 0;
	}
	if (strcmp(mode, "silent") == 0)
		return 3;
	if (strcmp(mode, "crash") == 0)
		raise(SIGSEGV), abort();
	if (strcmp(mode, "garbage") == 0) {
		send(report_fd, "nonsense", 8, 0);
		pause();
	}
	if (strcmp(mode, "show") == 0) {
		show(argc, argv);
		report(VM_REPORT_EXIT, 0, "", "");
		return 0;
	}
	if (strcmp(mode, "hang") == 0) {
		report(VM_REPORT_READY, 0, "", "");
		for (;;)
			pause();
	}
	int devnull = open("/dev/null", O_RDONLY);
	int pair[2]; /* READY comes after the child can be killed and before the program runs */
	char byte = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 1;
	child = fork();
	if (child == 0) {
		setsid(); /* a guest knows nothing of the host's process groups */
		for (int s = 1; s < 32; s++)
			signal(s, SIG_DFL);
		if (!in)
			dup2(devnull, 0);
		if (write(pair[1], &byte, 1) != 1 || read(pair[1], &byte, 1) != 1)
			_exit(1);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		execvp(command[0], command);
		_exit(errno == ENOENT ? 127 : 126);
	}
	if (read(pair[0], &byte, 1) != 1)
		return 1;
	report(VM_REPORT_READY, 0, "", "");
	if (write(pair[0], &byte, 1) != 1)
		return 1;
	if (timing)
		report_timing();
	loop(mode);
}
