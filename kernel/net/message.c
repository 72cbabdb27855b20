/* SPDX-License-Identifier: Apache-2.0 */
/* What goes with a message: places of data, control data (cmsg(3)), files under way. */
#include "kernel/mm/mm.h"
#include "kernel/net/socket.h"
#include "kernel/proc/process.h"

struct control_header { /* struct cmsghdr */
	uint64_t bytes;
	int level, type;
};
#define CONTROL_ALIGN(n) align_up((n), sizeof(uint64_t))

static int copy_vectors(const struct socket_io *io, uint64_t offset, uint8_t *kernel, uint64_t bytes, bool to_vectors)
{
	for (unsigned i = 0; i < io->count && bytes > 0; i++) {
		uint64_t length = io->vectors[i].iov_len;
		if (offset >= length) {
			offset -= length;
			continue;
		}
		struct io_buffer place = {.address = (uint64_t)io->vectors[i].iov_base, .user = io->user};
		uint64_t part = min_u64(length - offset, bytes);
		int r =
		    to_vectors ? io_write_to(&place, offset, kernel, part) : io_read_from(&place, offset, kernel, part);
		if (r != 0)
			return r;
		kernel += part;
		bytes -= part;
		offset = 0;
	}
	return 0;
}

int socket_io_read(const struct socket_io *io, uint64_t offset, void *to, uint64_t bytes)
{
	return copy_vectors(io, offset, to, bytes, false);
}

int socket_io_write(const struct socket_io *io, uint64_t offset, const void *from, uint64_t bytes)
{
	return copy_vectors(io, offset, (uint8_t *)(uint64_t)from, bytes, true);
}

/*
 * Files are let go one set after the other, not inside each other: a socket in a message may hold messages with
 * sockets, and so on, deeper than a kernel stack is.
 */
static struct socket_rights *rights_going;
static bool rights_busy;

void socket_rights_free(struct socket_rights *rights)
{
	if (rights == NULL)
		return;
	rights->next = rights_going;
	rights_going = rights;
	if (rights_busy)
		return;
	rights_busy = true;
	while (rights_going != NULL) {
		rights = rights_going;
		rights_going = rights->next;
		for (unsigned i = 0; i < rights->count; i++)
			file_put(rights->files[i]);
		kfree(rights);
	}
	rights_busy = false;
}

static int rights_read(struct socket_io *io, uint64_t va, uint64_t bytes)
{
	uint64_t count = bytes / sizeof(int), old = io->rights != NULL ? io->rights->count : 0;

	if (count == 0)
		return 0;
	if (old + count > SCM_RIGHTS_MAX)
		return -EINVAL;
	struct socket_rights *rights = krealloc(io->rights, sizeof(*rights) + (old + count) * sizeof(struct file *));
	if (rights == NULL)
		return -ENOMEM;
	if (old == 0)
		rights->count = 0;
	io->rights = rights;
	for (uint64_t i = 0; i < count; i++) {
		int fd;
		if (user_get(&fd, va + i * sizeof(fd)) != 0)
			return -EFAULT;
		struct file *file = fd_get(fd);
		if (file == NULL)
			return -EBADF;
		rights->files[rights->count++] = file;
	}
	return 0;
}

static int credentials_read(struct socket_io *io, uint64_t va)
{
	const struct credentials *mine = &current->process->credentials;
	bool root = mine->euid == 0;

	if (user_get(&io->credentials, va) != 0)
		return -EFAULT;
	if (!root && (io->credentials.pid != current->process->pid ||
		      (io->credentials.uid != mine->uid && io->credentials.uid != mine->euid) ||
		      (io->credentials.gid != mine->gid && io->credentials.gid != mine->egid)))
		return -EPERM;
	io->has_credentials = true;
	return 0;
}

int socket_control_read(struct socket_io *io, uint64_t control, uint64_t bytes)
{
	struct control_header header;
	uint64_t at = 0;
	int r;

	while (at + sizeof(header) <= bytes) {
		if (user_get(&header, control + at) != 0)
			return -EFAULT;
		if (header.bytes < sizeof(header) || header.bytes > bytes - at)
			return -EINVAL;
		uint64_t data = control + at + sizeof(header), length = header.bytes - sizeof(header);
		if (header.level == SOL_SOCKET) {
			if (header.type == SCM_RIGHTS)
				r = rights_read(io, data, length);
			else if (header.type == SCM_CREDENTIALS)
				r = length != sizeof(struct ucred) ? -EINVAL : credentials_read(io, data);
			else
				r = -EINVAL;
			if (r != 0)
				return r;
		}
		at += CONTROL_ALIGN(header.bytes);
	}
	return 0;
}

struct control_writer {
	uint64_t va, room, used;
};

/* One control message of known size; false: it does not fit. */
static bool control_put(struct control_writer *out, int type, const void *data, uint64_t bytes)
{
	struct control_header header = {.bytes = sizeof(header) + bytes, .level = SOL_SOCKET, .type = type};
	if (out->used + header.bytes > out->room)
		return false;
	if (user_put(out->va + out->used, &header) != 0 ||
	    user_write(out->va + out->used + sizeof(header), data, bytes) != 0)
		return false;
	out->used = min_u64(out->room, out->used + CONTROL_ALIGN(header.bytes));
	return true;
}

/* Makes descriptors of the files, as many as there is room for. */
static void rights_write(struct socket_io *io, struct control_writer *out)
{
	uint32_t flags = (io->flags & MSG_CMSG_CLOEXEC) != 0 ? O_CLOEXEC : 0;
	uint64_t header = sizeof(struct control_header);
	uint64_t room = out->room > out->used + header ? (out->room - out->used - header) / sizeof(int) : 0;
	unsigned count = 0;

	for (; count < io->rights->count && count < room; count++) {
		struct file *file = file_get(io->rights->files[count]);
		int fd = fd_install(file, 0, flags);
		if (fd < 0) {
			file_put(file);
			break;
		}
		if (user_put(out->va + out->used + header + count * sizeof(int), &fd) != 0) {
			fd_close(fd);
			break;
		}
	}
	if (count < io->rights->count)
		io->out_flags |= MSG_CTRUNC;
	if (count == 0)
		return;
	struct control_header head = {.bytes = header + count * sizeof(int), .level = SOL_SOCKET, .type = SCM_RIGHTS};
	if (user_put(out->va + out->used, &head) == 0)
		out->used = min_u64(out->room, out->used + CONTROL_ALIGN(head.bytes));
}

int socket_control_write(struct socket *socket, struct socket_io *io, uint64_t control, uint64_t *bytes)
{
	struct control_writer out = {.va = control, .room = *bytes};

	if (socket->pass_credentials && io->has_credentials &&
	    !control_put(&out, SCM_CREDENTIALS, &io->credentials, sizeof(io->credentials)))
		io->out_flags |= MSG_CTRUNC;
	if (io->rights != NULL)
		rights_write(io, &out);
	*bytes = out.used;
	return 0;
}
