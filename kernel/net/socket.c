/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets as files, and the system calls on them that carry no data (socket_io.c has the others). */
#include "kernel/net/socket.h"

#include <asm/ioctls.h>
#include <linux/eventpoll.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/net/socket_call.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define BUFFER_DEFAULT 212992u /* net.core.wmem_default */

static const struct socket_family *const families[AF_MAX] = {
    [AF_UNIX] = &unix_family,
};

struct socket *socket_new(int family, int type, int protocol)
{
	struct socket *socket = kzalloc(sizeof(*socket));
	if (socket == NULL)
		return NULL;
	socket->family = family;
	socket->type = type;
	socket->protocol = protocol;
	socket->send_buffer = socket->receive_buffer = BUFFER_DEFAULT;
	wait_queue_init(&socket->queue);
	return socket;
}

void socket_free(struct socket *socket)
{
	if (socket->ops != NULL && socket->ops->release != NULL)
		socket->ops->release(socket);
	kfree(socket);
}

uint64_t socket_deadline(uint64_t timeout_ns) { return timeout_ns == 0 ? WAIT_FOREVER : clock_deadline(timeout_ns); }

int socket_sleep_error(int error, uint64_t timeout_ns)
{
	if (error == -ETIMEDOUT)
		return -EAGAIN;
	return timeout_ns == 0 ? -ERESTARTSYS : -EINTR;
}

/* ---- the file ---- */

static int64_t socket_file_io(struct file *file, const struct io_buffer *buffer, uint64_t bytes, bool send)
{
	struct socket *socket = file->data;
	struct iovec vector = {.iov_base = (void *)buffer->address, .iov_len = bytes};
	struct socket_io io = {
	    .vectors = &vector,
	    .count = 1,
	    .user = buffer->user,
	    .bytes = bytes,
	    .flags = (file->flags & O_NONBLOCK) != 0 ? MSG_DONTWAIT : 0,
	};
	return send ? socket_send(socket, &io) : socket_receive(socket, &io);
}

static int64_t socket_file_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	(void)offset;
	/* As in System V: unlike recv(2), it does not wait for nothing. */
	return bytes == 0 ? 0 : socket_file_io(file, to, bytes, false);
}

static int64_t socket_file_write(struct file *file, const struct io_buffer *from, uint64_t bytes, uint64_t *offset)
{
	(void)offset;
	return socket_file_io(file, from, bytes, true);
}

static uint32_t socket_file_poll(struct file *file, struct poll_table *table)
{
	struct socket *socket = file->data;
	poll_wait(table, &socket->queue);
	return socket->ops->poll(socket);
}

static int64_t socket_file_ioctl(struct file *file, uint32_t command, uint64_t argument)
{
	struct socket *socket = file->data;
	int bytes;

	if (command == FIONREAD && socket->ops->readable != NULL) {
		if (socket->state == SOCKET_LISTENING)
			return -EINVAL;
		bytes = (int)socket->ops->readable(socket);
	} else if (command == TIOCOUTQ && socket->ops->unsent != NULL) {
		bytes = (int)socket->ops->unsent(socket);
	} else {
		return -ENOTTY;
	}
	return user_put(argument, &bytes);
}

static void socket_file_release(struct file *file)
{
	struct socket *socket = file->data;
	socket->file = NULL;
	socket_free(socket);
}

static void socket_file_describe(struct file *file, char *to, size_t size)
{
	ksnprintf(to, size, "socket:[%lu]", file->inode != NULL ? file->inode->ino : 0);
}

static const struct file_ops socket_file_ops = {
    .read = socket_file_read,
    .write = socket_file_write,
    .vector = socket_vector,
    .poll = socket_file_poll,
    .ioctl = socket_file_ioctl,
    .release = socket_file_release,
    .describe = socket_file_describe,
};

struct socket *socket_of_file(const struct file *file) { return file->ops == &socket_file_ops ? file->data : NULL; }

int socket_file(struct socket *socket, uint32_t flags, struct file **file)
{
	struct inode *inode = inode_new_anonymous(S_IFSOCK | 0777);
	if (inode == NULL)
		return -ENOMEM;
	int r = file_new(file, &socket_file_ops, inode, O_RDWR | (flags & O_NONBLOCK), socket);
	if (r != 0)
		inode_put(inode);
	else
		socket->file = *file;
	return r;
}

struct socket *socket_get(uint64_t fd, struct file **file, int *error)
{
	*file = fd_get((int)fd);
	if (*file == NULL) {
		*error = -EBADF;
		return NULL;
	}
	struct socket *socket = socket_of_file(*file);
	*error = 0;
	if (socket == NULL) {
		file_put(*file);
		*error = -ENOTSOCK;
	}
	return socket;
}

/* ---- making ---- */

static int socket_create(int family, int type, int protocol, struct socket **socket)
{
	if (family < 0 || family >= AF_MAX || families[family] == NULL)
		return -EAFNOSUPPORT;
	struct socket *s = socket_new(family, type, protocol);
	if (s == NULL)
		return -ENOMEM;
	int r = families[family]->create(s);
	if (r != 0) {
		kfree(s);
		return r;
	}
	*socket = s;
	return 0;
}

/* The file and descriptor of a new socket, which is consumed. */
static int socket_install(struct socket *socket, uint32_t flags)
{
	struct file *file;
	int r = socket_file(socket, flags, &file);
	if (r != 0) {
		socket_free(socket);
		return r;
	}
	r = fd_install(file, 0, flags & O_CLOEXEC);
	if (r < 0)
		file_put(file);
	return r;
}

static int socket_check_type(uint64_t argument)
{
	return (argument & 0xffffffff & ~(uint64_t)(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0 ? -EINVAL : 0;
}

SYSCALL(socket)
{
	struct socket *socket;
	int r = socket_check_type(args->arg[1]);
	if (r == 0)
		r = socket_create((int)args->arg[0], (int)args->arg[1] & SOCK_TYPE_MASK, (int)args->arg[2], &socket);
	return r != 0 ? r : socket_install(socket, (uint32_t)args->arg[1]);
}

SYSCALL(socketpair)
{
	int family = (int)args->arg[0], type = (int)args->arg[1] & SOCK_TYPE_MASK, fds[2];
	struct socket *a, *b;
	int r = socket_check_type(args->arg[1]);

	if (r == 0 && (family == AF_INET || family == AF_INET6))
		r = -EOPNOTSUPP; /* as where these families exist: none but AF_UNIX has pairs */
	if (r == 0)
		r = socket_create(family, type, (int)args->arg[2], &a);
	if (r != 0)
		return r;
	r = families[family]->pair == NULL ? -EOPNOTSUPP : socket_create(family, type, (int)args->arg[2], &b);
	if (r != 0) {
		socket_free(a);
		return r;
	}
	r = families[family]->pair(a, b);
	fds[0] = r == 0 ? socket_install(a, (uint32_t)args->arg[1]) : r;
	if (r != 0)
		socket_free(a);
	if (fds[0] < 0) {
		socket_free(b);
		return fds[0];
	}
	fds[1] = socket_install(b, (uint32_t)args->arg[1]);
	if (fds[1] < 0) {
		fd_close(fds[0]);
		return fds[1];
	}
	if (user_put(args->arg[3], &fds) == 0)
		return 0;
	fd_close(fds[0]);
	fd_close(fds[1]);
	return -EFAULT;
}

/* ---- names ---- */

int socket_name_read(uint8_t *name, uint64_t va, uint64_t bytes)
{
	if ((int)bytes < 0 || bytes > SOCKET_ADDRESS_BYTES)
		return -EINVAL;
	memset(name, 0, SOCKET_ADDRESS_BYTES);
	return user_read(name, va, bytes);
}

int socket_name_write(uint64_t va, uint64_t length_va, const uint8_t *name, unsigned bytes)
{
	int room;
	if (user_get(&room, length_va) != 0)
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	if (user_write(va, name, min_u64((uint64_t)room, bytes)) != 0)
		return -EFAULT;
	return user_put(length_va, &bytes);
}

SYSCALL(bind)
{
	uint8_t name[SOCKET_ADDRESS_BYTES];
	struct file *file;
	int r;
	struct socket *socket = socket_get(args->arg[0], &file, &r);
	if (socket == NULL)
		return r;
	r = socket_name_read(name, args->arg[1], args->arg[2] & 0xffffffff);
	if (r == 0)
		r = socket->ops->bind != NULL ? socket->ops->bind(socket, name, (unsigned)args->arg[2]) : -EOPNOTSUPP;
	file_put(file);
	return r;
}

SYSCALL(connect)
{
	uint8_t name[SOCKET_ADDRESS_BYTES];
	struct file *file;
	int r;
	struct socket *socket = socket_get(args->arg[0], &file, &r);
	if (socket == NULL)
		return r;
	r = socket_name_read(name, args->arg[1], args->arg[2] & 0xffffffff);
	if (r == 0)
		r = socket->ops->connect != NULL
			? socket->ops->connect(socket, name, (unsigned)args->arg[2], (file->flags & O_NONBLOCK) != 0)
			: -EOPNOTSUPP;
	file_put(file);
	return r;
}

SYSCALL(listen)
{
	struct file *file;
	int r;
	struct socket *socket = socket_get(args->arg[0], &file, &r);
	if (socket == NULL)
		return r;
	r = socket->ops->listen != NULL ? socket->ops->listen(socket, (int)args->arg[1]) : -EOPNOTSUPP;
	file_put(file);
	return r;
}

static int64_t socket_accept(const struct syscall_args *args, uint32_t flags)
{
	uint8_t name[SOCKET_ADDRESS_BYTES];
	unsigned bytes = SOCKET_ADDRESS_BYTES;
	struct socket *accepted;
	struct file *file;
	int r;

	if ((flags & ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0)
		return -EINVAL;
	struct socket *socket = socket_get(args->arg[0], &file, &r);
	if (socket == NULL)
		return r;
	r = socket->ops->accept != NULL ? socket->ops->accept(socket, (file->flags & O_NONBLOCK) != 0, &accepted)
					: -EOPNOTSUPP;
	file_put(file);
	if (r != 0)
		return r;
	int named = accepted->ops->name(accepted, true, name, &bytes);
	int fd = socket_install(accepted, flags);
	if (fd >= 0 && args->arg[1] != 0 && named == 0) {
		r = socket_name_write(args->arg[1], args->arg[2], name, bytes);
		if (r != 0) {
			fd_close(fd);
			return r;
		}
	}
	return fd;
}

SYSCALL(accept) { return socket_accept(args, 0); }

SYSCALL(accept4) { return socket_accept(args, (uint32_t)args->arg[3]); }

static int64_t socket_name_call(const struct syscall_args *args, bool peer)
{
	uint8_t name[SOCKET_ADDRESS_BYTES];
	unsigned bytes = SOCKET_ADDRESS_BYTES;
	struct file *file;
	int r;
	struct socket *socket = socket_get(args->arg[0], &file, &r);
	if (socket == NULL)
		return r;
	r = socket->ops->name(socket, peer, name, &bytes);
	if (r == 0)
		r = socket_name_write(args->arg[1], args->arg[2], name, bytes);
	file_put(file);
	return r;
}

SYSCALL(getsockname) { return socket_name_call(args, false); }

SYSCALL(getpeername) { return socket_name_call(args, true); }

SYSCALL(shutdown)
{
	struct file *file;
	int r, how = (int)args->arg[1];
	struct socket *socket = socket_get(args->arg[0], &file, &r);
	if (socket == NULL)
		return r;
	if (how < SHUT_RD || how > SHUT_RDWR)
		r = -EINVAL;
	else
		r = socket->ops->shutdown != NULL ? socket->ops->shutdown(socket, how) : -EOPNOTSUPP;
	file_put(file);
	return r;
}
