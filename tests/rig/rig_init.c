/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first program of the rig's Linux: loads modules, mounts the host's files read-only with a memory overlay
 * on top, runs one command, passes its streams and its exit status through one virtio-serial port.
 *
 * Frames on the port, both directions: u8 type, 3 bytes zero, u32 length (little endian), then the payload.
 *   host to guest: 'd' working directory, 'e' NAME=VALUE, 'a' argument, 't' directory to cover with a tmpfs,
 *                  'r' run, '0' stdin (length 0 = end), 's' signal number as text
 *   guest to host: 'b' the port is up, '1' stdout, '2' stderr, 'x' exit status as text, 'm' message of this program
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAYLOAD_MAX 65536
#define WORDS_MAX 4096
#define DRAIN_MS 1000 /* how long output of left-over children is awaited after the command's end */

struct frame_header {
	uint8_t type;
	uint8_t zero[3];
	uint32_t len;
};

static int port_fd = -1;
static char *args[WORDS_MAX + 1], *envs[WORDS_MAX + 1], *covers[16];
static int nargs, nenvs, ncovers;
static char *work_dir;

static void port_write(const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(port_fd, p, len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

static void frame_write(char type, const void *data, size_t len)
{
	struct frame_header h = {.type = (uint8_t)type, .len = (uint32_t)len};
	static char buf[sizeof(h) + PAYLOAD_MAX];

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), data, len);
	port_write(buf, sizeof(h) + len);
}

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(line))
		n = (int)sizeof(line) - 1;
	if (port_fd >= 0)
		frame_write('m', line, (size_t)n);
	dprintf(2, "rig-init: %s\n", line);
}

static void die(const char *what)
{
	say("cannot %s: %s", what, strerror(errno));
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void mount_or_die(const char *src, const char *dst, const char *type, unsigned long flags, const char *data)
{
	mkdir(dst, 0755);
	if (mount(src, dst, type, flags, data) != 0) {
		say("cannot mount %s on %s", type, dst);
		die("set up the files");
	}
}

/* /modules lists the module files in load order. */
static void modules_load(void)
{
	FILE *f = fopen("/modules", "re");
	char line[256];

	if (f == NULL)
		die("open /modules");
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = 0;
		int fd = open(line, O_RDONLY | O_CLOEXEC);
		const char *params = strstr(line, "kvm-amd") != NULL ? "nested=1" : "";
		if (fd < 0 || (syscall(SYS_finit_module, fd, params, 0) != 0 && errno != EEXIST))
			dprintf(2, "rig-init: cannot load %s: %s\n", line, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	fclose(f);
}

static void port_open(void)
{
	for (int i = 0; i < 500 && port_fd < 0; i++) {
		port_fd = open("/dev/vport0p1", O_RDWR | O_CLOEXEC);
		if (port_fd < 0)
			usleep(10000);
	}
	if (port_fd < 0)
		die("open the port to the host");
}

static void loopback_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	if (fd >= 0) {
		ioctl(fd, SIOCSIFFLAGS, &req);
		close(fd);
	}
}

static void root_mount(void)
{
	mount_or_die("host", "/lower", "virtiofs", MS_RDONLY, NULL);
	mount_or_die("tmpfs", "/rw", "tmpfs", 0, "mode=0755,size=75%");
	mkdir("/rw/upper", 0755);
	mkdir("/rw/work", 0755);
	mount_or_die("overlay", "/new", "overlay", 0, "lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work");
	mount_or_die("devtmpfs", "/new/dev", "devtmpfs", 0, NULL);
	mount_or_die("proc", "/new/proc", "proc", 0, NULL);
	mount_or_die("sysfs", "/new/sys", "sysfs", 0, NULL);
	mount_or_die("tmpfs", "/new/run", "tmpfs", 0, "mode=0755");
	mount_or_die("tmpfs", "/new/dev/shm", "tmpfs", 0, "mode=1777");
	mount_or_die("devpts", "/new/dev/pts", "devpts", 0, "ptmxmode=0666");
	mount("cgroup2", "/new/sys/fs/cgroup", "cgroup2", 0, NULL);
	for (int i = 0; i < ncovers; i++) {
		char path[512];
		snprintf(path, sizeof(path), "/new%s", covers[i]);
		mount_or_die("tmpfs", path, "tmpfs", 0, "mode=1777");
	}
	if (chdir("/new") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0)
		die("change the root");
	/* What udev does on a host: descriptors by name, and /dev/kvm for ordinary users. */
	if (symlink("/proc/self/fd", "/dev/fd") || symlink("fd/0", "/dev/stdin") || symlink("fd/1", "/dev/stdout") ||
	    symlink("fd/2", "/dev/stderr"))
		say("cannot make /dev/fd: %s", strerror(errno));
	chmod("/dev/kvm", 0666);
	loopback_up();
	if (sethostname("rig", 3) != 0)
		say("cannot set the host name: %s", strerror(errno));
}

/* Reads exactly len bytes of the port (blocking); used before the command runs. */
static void port_read(void *buf, size_t len)
{
	char *p = buf;

	while (len > 0) {
		ssize_t n = read(port_fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) { /* host side not connected yet */
			usleep(10000);
			continue;
		}
		p += n;
		len -= (size_t)n;
	}
}

static void command_receive(void)
{
	for (;;) {
		struct frame_header h;

		port_read(&h, sizeof(h));
		if (h.len > (1u << 20))
			die("understand the host");
		char *text = calloc(1, h.len + 1);
		if (text == NULL)
			die("allocate");
		port_read(text, h.len);
		if (h.type == 'a' && nargs < WORDS_MAX)
			args[nargs++] = text;
		else if (h.type == 'e' && nenvs < WORDS_MAX)
			envs[nenvs++] = text;
		else if (h.type == 't' && ncovers < 16)
			covers[ncovers++] = text;
		else if (h.type == 'd')
			work_dir = text;
		else if (h.type == 'r')
			return;
	}
}

static pid_t command_start(int fds[3])
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		die("make pipes");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		setsid();
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		if (work_dir != NULL && chdir(work_dir) != 0)
			dprintf(2, "rig: cannot enter %s: %s\n", work_dir, strerror(errno));
		environ = envs;
		execvp(args[0], args);
		int code = errno == ENOENT ? 127 : 126;
		dprintf(2, "rig: cannot run %s: %s\n", args[0], strerror(errno));
		_exit(code);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	fds[0] = in[1];
	fds[1] = out[0];
	fds[2] = err[0];
	return pid;
}

static uint8_t inbuf[PAYLOAD_MAX * 4]; /* bytes of the port not handled yet */
static size_t inlen;

/* Handles the frames in inbuf; stops at one whose stdin bytes the command does not take now. */
static void input_handle(int *stdin_fd, pid_t pid)
{
	while (inlen >= sizeof(struct frame_header)) {
		struct frame_header h;

		memcpy(&h, inbuf, sizeof(h));
		if (h.len > PAYLOAD_MAX)
			die("understand the host");
		size_t total = sizeof(h) + h.len;
		if (inlen < total)
			return;
		uint8_t *data = inbuf + sizeof(h);
		if (h.type == '0' && *stdin_fd >= 0) {
			ssize_t n = h.len > 0 ? write(*stdin_fd, data, h.len) : 0;
			if (n < 0 && errno == EAGAIN)
				return;
			if (h.len == 0 || n < 0) {
				close(*stdin_fd);
				*stdin_fd = -1;
			} else if ((size_t)n < h.len) { /* keep the rest as a shorter frame */
				memmove(data, data + n, inlen - sizeof(h) - (size_t)n);
				h.len -= (uint32_t)n;
				memcpy(inbuf, &h, sizeof(h));
				inlen -= (size_t)n;
				return;
			}
		} else if (h.type == 's') {
			char text[16] = {0};
			memcpy(text, data, h.len < 15 ? h.len : 15);
			kill(-pid, atoi(text));
		}
		inlen -= total;
		memmove(inbuf, inbuf + total, inlen);
	}
}

static void output_pass(int *fd, char type)
{
	static char buf[PAYLOAD_MAX];
	ssize_t n = read(*fd, buf, sizeof(buf));

	if (n > 0) {
		frame_write(type, buf, (size_t)n);
	} else if (n == 0 || errno != EINTR) {
		close(*fd);
		*fd = -1;
	}
}

/* Passes streams until the command has ended and its output is drained. Returns its wait status. */
static int command_serve(void)
{
	int fds[3], status = 0, idle_ms = 0;
	bool ended = false;
	pid_t pid = command_start(fds);

	while (!ended || ((fds[1] >= 0 || fds[2] >= 0) && idle_ms < DRAIN_MS)) {
		struct pollfd p[4] = {
		    {.fd = inlen < sizeof(inbuf) / 2 ? port_fd : -1, .events = POLLIN},
		    {.fd = fds[1], .events = POLLIN},
		    {.fd = fds[2], .events = POLLIN},
		    {.fd = inlen > 0 ? fds[0] : -1, .events = POLLOUT},
		};
		int n = poll(p, 4, 20);

		idle_ms = n == 0 && ended ? idle_ms + 20 : 0;
		if (p[1].revents)
			output_pass(&fds[1], '1');
		if (p[2].revents)
			output_pass(&fds[2], '2');
		if (p[0].revents & POLLIN) {
			ssize_t got = read(port_fd, inbuf + inlen, sizeof(inbuf) - inlen);
			if (got > 0)
				inlen += (size_t)got;
		}
		input_handle(&fds[0], pid);
		int s;
		for (pid_t got; (got = waitpid(-1, &s, WNOHANG)) > 0;) {
			if (got == pid) {
				ended = true;
				status = s;
			}
		}
	}
	return status;
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	mount_or_die("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	modules_load();
	port_open();
	frame_write('b', "", 0);
	command_receive();
	root_mount();
	/* More than the default, as a host's service manager gives. */
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){65536, 1048576});
	int status = command_serve();
	char text[16];
	int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	snprintf(text, sizeof(text), "%d", code);
	frame_write('x', text, strlen(text));
	pause();
	return 0;
}
