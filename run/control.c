/* SPDX-License-Identifier: Apache-2.0 */
#include "run/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "run/fd.h"

/* Socket addresses are short and know no directory descriptor: the way over /proc serves both. */
static void address(struct sockaddr_un *addr, int dir_fd)
{
	addr->sun_family = AF_UNIX;
	snprintf(addr->sun_path, sizeof(addr->sun_path), "/proc/self/fd/%d/control", dir_fd);
}

int control_listen(int dir_fd)
{
	struct sockaddr_un addr;
	FD_AUTO int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	address(&addr, dir_fd);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 16) < 0)
		return -errno;
	return fd_take(&fd);
}

int control_connect(int dir_fd)
{
	struct sockaddr_un addr;
	/* Not blocking: the queue of a monitor that hangs may be full. */
	FD_AUTO int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	address(&addr, dir_fd);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return fd_take(&fd);
}

int control_send(int fd, enum vm_op op, uint64_t arg)
{
	struct vm_request request = {.version = VM_PROTOCOL_VERSION, .op = op, .arg = arg};

	return send(fd, &request, sizeof(request), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int control_receive(int fd, int timeout_ms, struct vm_reply *reply)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int n;

	do
		n = poll(&poll_fd, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -ETIMEDOUT;
	ssize_t size = recv(fd, reply, sizeof(*reply), 0);
	if (size < 0)
		return -errno;
	if (size == 0)
		return -ECONNRESET;
	if (size != (ssize_t)sizeof(*reply) || reply->version != VM_PROTOCOL_VERSION)
		return -EPROTO;
	return reply->error > 0 ? -EPROTO : reply->error;
}

int control_request(int dir_fd, enum vm_op op, uint64_t arg, int timeout_ms, struct vm_reply *reply)
{
	struct vm_reply unused;
	FD_AUTO int fd = control_connect(dir_fd);

	if (fd < 0)
		return fd;
	int code = control_send(fd, op, arg);
	return code < 0 ? code : control_receive(fd, timeout_ms, reply == NULL ? &unused : reply);
}
