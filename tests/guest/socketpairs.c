/* SPDX-License-Identifier: Apache-2.0 */
/* Socket pairs: streams, datagrams with their borders, shutdown, passing descriptors, and what a socket is asked. */
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static void stream(void)
{
	int s[2], n = 0;
	char buf[64];

	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
	CHECK_EQ(write(s[0], "abc", 3), 3);
	CHECK_EQ(send(s[0], "def", 3, 0), 3);
	CHECK_OK(ioctl(s[1], FIONREAD, &n));
	CHECK_EQ(n, 6);
	CHECK_EQ(recv(s[1], buf, 2, MSG_PEEK), 2);
	CHECK_EQ(read(s[1], buf, sizeof(buf)), 6); /* no borders */
	CHECK(memcmp(buf, "abcdef", 6) == 0);
	CHECK_EQ(write(s[1], "back", 4), 4); /* both ways */
	CHECK_EQ(read(s[0], buf, 64), 4);
	CHECK_ERR(recv(s[0], buf, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_EQ(write(s[0], "12345678", 8), 8);
	CHECK_EQ(write(s[0], "90", 2), 2);
	CHECK_EQ(recv(s[1], buf, 10, MSG_WAITALL), 10);
	CHECK_OK(shutdown(s[0], SHUT_WR));
	CHECK_EQ(read(s[1], buf, 1), 0);
	CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(write(s[1], "still", 5), 5);
	CHECK_EQ(read(s[0], buf, 64), 5);
	close(s[1]);
	CHECK_EQ(read(s[0], buf, 1), 0);
	struct pollfd p = {.fd = s[0], .events = POLLIN};
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK(p.revents & POLLHUP);
	close(s[0]);
}

static void borders(int type)
{
	int s[2];
	char buf[64];

	NEED(socketpair(AF_UNIX, type, 0, s) == 0);
	CHECK_EQ(write(s[0], "first", 5), 5);
	CHECK_EQ(write(s[0], "second", 6), 6);
	CHECK_EQ(read(s[1], buf, sizeof(buf)), 5);
	CHECK_EQ(recv(s[1], buf, 3, MSG_TRUNC), 6); /* the rest of a record is lost */
	CHECK_ERR(recv(s[1], buf, 3, MSG_DONTWAIT), EAGAIN);
	struct iovec v[2] = {{"scat", 4}, {"tered", 5}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
	CHECK_EQ(sendmsg(s[1], &m, 0), 9);
	struct iovec in = {buf, 4};
	m = (struct msghdr){.msg_iov = &in, .msg_iovlen = 1};
	CHECK_EQ(recvmsg(s[0], &m, 0), 4);
	CHECK(m.msg_flags & MSG_TRUNC);
	int got = 0;
	socklen_t len = sizeof(got);
	CHECK_OK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &got, &len));
	CHECK_EQ(got, type);
	close(s[0]);
	if (type == SOCK_SEQPACKET)
		CHECK_EQ(read(s[1], buf, 1), 0);
	close(s[1]);
}

static void descriptors_pass(void)
{
	int s[2], file[2], got = -1;
	char c = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec v = {&c, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *cm = CMSG_FIRSTHDR(&m);

	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(file) == 0);
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &file[0], sizeof(int));
	CHECK_EQ(sendmsg(s[0], &m, 0), 1);
	close(file[0]); /* it lives on in the message */
	memset(control, 0, sizeof(control));
	m.msg_controllen = sizeof(control);
	CHECK_EQ(recvmsg(s[1], &m, MSG_CMSG_CLOEXEC), 1);
	cm = CMSG_FIRSTHDR(&m);
	NEED(cm != NULL && cm->cmsg_type == SCM_RIGHTS);
	memcpy(&got, CMSG_DATA(cm), sizeof(int));
	CHECK(got >= 0 && (fcntl(got, F_GETFD) & FD_CLOEXEC));
	CHECK_EQ(write(file[1], "via", 3), 3);
	char buf[8];
	CHECK_EQ(read(got, buf, 8), 3);
	/* A message that nobody reads gives its descriptors back. */
	m.msg_controllen = sizeof(control);
	CHECK_EQ(sendmsg(s[0], &m, 0), 1);
	close(got);
	close(s[0]);
	close(s[1]);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERR(write(file[1], "x", 1), EPIPE);
	close(file[1]);
}

static void asked(void)
{
	int s[2], value = 0;
	socklen_t len = sizeof(value);
	struct sockaddr_un name;

	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
	CHECK(fcntl(s[0], F_GETFL) & O_NONBLOCK);
	CHECK_OK(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &value, &len));
	CHECK_EQ(value, 0);
	CHECK_OK(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &value, &len));
	CHECK_EQ(value, AF_UNIX);
	struct ucred cred;
	len = sizeof(cred);
	CHECK_OK(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &cred, &len));
	CHECK_EQ(cred.pid, getpid());
	len = sizeof(name);
	CHECK_OK(getsockname(s[0], (void *)&name, &len));
	CHECK_EQ(name.sun_family, AF_UNIX);
	len = sizeof(name);
	CHECK_OK(getpeername(s[0], (void *)&name, &len));
	struct stat st;
	CHECK_OK(fstat(s[0], &st));
	CHECK(S_ISSOCK(st.st_mode));
	CHECK_ERR(lseek(s[0], 0, SEEK_SET), ESPIPE);
	/* Full: EAGAIN, and writable again when read. */
	char block[4096] = {0};
	long total = 0;
	for (ssize_t n; (n = write(s[0], block, sizeof(block))) > 0;)
		total += n;
	CHECK_EQ(errno, EAGAIN);
	CHECK(total >= 65536);
	struct pollfd p = {.fd = s[0], .events = POLLOUT};
	CHECK_EQ(poll(&p, 1, 0), 0);
	while (read(s[1], block, sizeof(block)) > 0)
		;
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_ERR(socketpair(AF_UNIX, 9, 0, s), ESOCKTNOSUPPORT);
	CHECK(socketpair(AF_INET, SOCK_STREAM, 0, s) == -1 && (errno == EOPNOTSUPP || errno == EAFNOSUPPORT));
	CHECK_ERR(send(1000, "x", 1, 0), EBADF);
	int fd = open("/dev/null", O_RDWR);
	CHECK_ERR(send(fd, "x", 1, 0), ENOTSOCK);
	close(fd);
}

int main(void)
{
	stream();
	borders(SOCK_DGRAM);
	borders(SOCK_SEQPACKET);
	descriptors_pass();
	asked();
	return check_done();
}
