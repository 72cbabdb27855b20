/* SPDX-License-Identifier: Apache-2.0 */
/* send and receive in all their forms. */
#include "kernel/mm/mm.h"
#include "kernel/net/socket.h"
#include "kernel/net/socket_call.h"
#include "kernel/proc/clock.h"
#include "kernel/proc/process.h"
#include "kernel/sys/syscall.h"

#define VECTORS_INLINE 8u
#define TRANSFER_MAX 0x7ffff000ull /* MAX_RW_COUNT */

int64_t socket_send(struct socket *socket, struct socket_io *io)
{
	if ((io->flags & MSG_OOB) != 0 || socket->ops->send == NULL)
		return -EOPNOTSUPP;
	int64_t n = socket->ops->send(socket, io);
	if (n == -EPIPE && socket->type != SOCK_DGRAM && (io->flags & MSG_NOSIGNAL) == 0)
		signal_pipe();
	return n;
}

int64_t socket_receive(struct socket *socket, struct socket_io *io)
{
	if ((io->flags & MSG_OOB) != 0)
		return -EOPNOTSUPP;
	if (socket->ops->receive == NULL)
		return -EOPNOTSUPP;
	int64_t n = socket->ops->receive(socket, io);
	if (!io->want_rights && io->rights != NULL) {
		socket_rights_free(io->rights);
		io->rights = NULL;
	}
	return n;
}

static int flags_of(const struct file *file, uint64_t argument)
{
	return (int)argument | ((file->flags & O_NONBLOCK) != 0 ? MSG_DONTWAIT : 0);
}

SYSCALL(sendto)
{
	uint8_t name[SOCKET_ADDRESS_BYTES];
	uint64_t bytes = min_u64(args->arg[2], TRANSFER_MAX);
	struct iovec vector = {.iov_base = (void *)args->arg[1], .iov_len = bytes};
	struct socket_io io = {.vectors = &vector, .count = 1, .user = true, .bytes = bytes};
	struct file *file;
	int r;
	struct socket *socket = socket_get(args->arg[0], &file, &r);
	if (socket == NULL)
		return r;
	io.flags = flags_of(file, args->arg[3]);
	if (args->arg[4] != 0) {
		r = socket_name_read(name, args->arg[4], args->arg[5] & 0xffffffff);
		io.name = name;
		io.name_bytes = (unsigned)args->arg[5];
	}
	int64_t n = r != 0 ? r : socket_send(socket, &io);
	file_put(file);
	return n;
}

SYSCALL(recvfrom)
{
	uint8_t name[SOCKET_ADDRESS_BYTES];
	uint64_t bytes = min_u64(args->arg[2], TRANSFER_MAX);
	struct iovec vector = {.iov_base = (void *)args->arg[1], .iov_len = bytes};
	struct socket_io io = {.vectors = &vector, .count = 1, .user = true, .bytes = bytes, .name = name};
	struct file *file;
	int r;
	struct socket *socket = socket_get(args->arg[0], &file, &r);
	if (socket == NULL)
		return r;
	io.flags = flags_of(file, args->arg[3]);
	int64_t n = socket_receive(socket, &io);
	if (n >= 0 && args->arg[4] != 0) {
		r = socket_name_write(args->arg[4], args->arg[5], name, io.name_bytes);
		n = r != 0 ? r : n;
	}
	file_put(file);
	return n;
}

/* ---- message headers ---- */

/* Header and places of a message, in kernel memory. */
struct message {
	struct user_msghdr header;
	struct iovec inline_vectors[VECTORS_INLINE], *vectors;
	uint8_t name[SOCKET_ADDRESS_BYTES];
	struct socket_io io;
};

static void message_fini(struct message *message)
{
	if (message->vectors != message->inline_vectors)
		kfree(message->vectors);
	kfree(message);
}

static int message_vectors(struct message *message)
{
	struct user_msghdr *header = &message->header;

	if (header->vector_count > IOV_MAX)
		return -EMSGSIZE;
	if (header->vector_count > VECTORS_INLINE) {
		message->vectors = kmalloc(header->vector_count * sizeof(struct iovec));
		if (message->vectors == NULL)
			return -ENOMEM;
	}
	if (user_read(message->vectors, header->vectors, header->vector_count * sizeof(struct iovec)) != 0)
		return -EFAULT;
	for (unsigned i = 0; i < header->vector_count; i++) {
		uint64_t length = message->vectors[i].iov_len;
		if ((int64_t)length < 0)
			return -EINVAL;
		/* Cut like read(2) and write(2), so that sums do not overflow. */
		message->vectors[i].iov_len = min_u64(length, TRANSFER_MAX - message->io.bytes);
		message->io.bytes += message->vectors[i].iov_len;
	}
	message->io.vectors = message->vectors;
	message->io.count = (unsigned)header->vector_count;
	message->io.user = true;
	message->io.name = message->name;
	return 0;
}

/* header = NULL: the program's at va. */
static int message_init(struct message **message, uint64_t va, const struct user_msghdr *header)
{
	struct message *m = kzalloc(sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	m->vectors = m->inline_vectors;
	int r = 0;
	if (header != NULL)
		m->header = *header;
	else if (user_get(&m->header, va) != 0)
		r = -EFAULT;
	if (r == 0)
		r = message_vectors(m);
	if (r != 0) {
		if (m->vectors == NULL)
			m->vectors = m->inline_vectors;
		message_fini(m);
		return r;
	}
	*message = m;
	return 0;
}

static int64_t message_send(struct socket *socket, int flags, uint64_t va)
{
	struct message *message;
	int64_t n = message_init(&message, va, NULL);
	if (n != 0)
		return n;
	struct user_msghdr *header = &message->header;
	message->io.flags = flags;
	if (header->name != 0 && header->name_bytes != 0) {
		n = socket_name_read(message->name, header->name, (uint32_t)header->name_bytes);
		message->io.name_bytes = (unsigned)header->name_bytes;
	}
	if (n == 0 && header->control_bytes > 0)
		n = socket_control_read(&message->io, header->control, min_u64(header->control_bytes, INT32_MAX));
	if (n == 0)
		n = socket_send(socket, &message->io);
	socket_rights_free(message->io.rights); /* what the family has not taken */
	message_fini(message);
	return n;
}

static int64_t message_receive(struct socket *socket, int flags, uint64_t va)
{
	struct message *message;
	int64_t n = message_init(&message, va, NULL);
	if (n != 0)
		return n;
	struct user_msghdr *header = &message->header;
	message->io.flags = flags;
	message->io.want_rights = true;
	n = socket_receive(socket, &message->io);
	if (n >= 0) {
		uint64_t control_bytes = header->control != 0 ? header->control_bytes : 0;
		socket_control_write(socket, &message->io, header->control, &control_bytes);
		header->control_bytes = control_bytes;
		header->flags = (uint32_t)message->io.out_flags | ((uint32_t)flags & MSG_CMSG_CLOEXEC);
		int room = header->name_bytes;
		header->name_bytes = (int)message->io.name_bytes;
		if (header->name != 0 && room > 0 &&
		    user_write(header->name, message->name, min_u64((uint64_t)room, message->io.name_bytes)) != 0)
			n = -EFAULT;
		if (user_put(va, header) != 0)
			n = -EFAULT;
	}
	socket_rights_free(message->io.rights);
	message_fini(message);
	return n;
}

int64_t socket_vector(struct file *file, uint64_t iovec_va, uint64_t count, bool write)
{
	struct user_msghdr header = {.vectors = iovec_va, .vector_count = count};
	struct message *message;
	int64_t n = message_init(&message, 0, &header);
	if (n != 0)
		return n;
	struct socket *socket = socket_of_file(file);
	message->io.flags = flags_of(file, 0);
	/* Nothing to move is nothing to do, unlike with sendmsg and recvmsg. */
	if (message->io.bytes > 0)
		n = write ? socket_send(socket, &message->io) : socket_receive(socket, &message->io);
	message_fini(message);
	return n;
}

static int64_t message_call(const struct syscall_args *args, int64_t (*call)(struct socket *, int, uint64_t))
{
	struct file *file;
	int r;
	struct socket *socket = socket_get(args->arg[0], &file, &r);
	if (socket == NULL)
		return r;
	int64_t n = call(socket, flags_of(file, args->arg[2]), args->arg[1]);
	file_put(file);
	return n;
}

SYSCALL(sendmsg) { return message_call(args, message_send); }

SYSCALL(recvmsg) { return message_call(args, message_receive); }

struct user_mmsghdr {
	struct user_msghdr header;
	uint32_t bytes, padding;
};

/* sendmmsg, recvmmsg: until something goes wrong; messages done, or the first one's error. */
static int64_t message_many(const struct syscall_args *args, int64_t (*call)(struct socket *, int, uint64_t),
			    uint64_t deadline)
{
	uint64_t count = min_u64(args->arg[2] & 0xffffffff, IOV_MAX), done = 0;
	struct file *file;
	int r;
	struct socket *socket = socket_get(args->arg[0], &file, &r);
	if (socket == NULL)
		return r;
	int flags = flags_of(file, args->arg[3]);
	int64_t n = 0;
	for (; done < count; done++) {
		uint64_t va = args->arg[1] + done * sizeof(struct user_mmsghdr);
		n = call(socket, flags & ~MSG_WAITFORONE, va);
		if (n < 0)
			break;
		uint32_t bytes = (uint32_t)n;
		n = user_put(va + offsetof(struct user_mmsghdr, bytes), &bytes);
		if (n < 0)
			break;
		if ((flags & MSG_WAITFORONE) != 0)
			flags |= MSG_DONTWAIT;
		/* As on Linux the time is only looked at between messages. */
		if (deadline != WAIT_FOREVER && clock_monotonic() >= deadline) {
			done++;
			break;
		}
	}
	file_put(file);
	return done > 0 ? (int64_t)done : n;
}

SYSCALL(sendmmsg) { return message_many(args, message_send, WAIT_FOREVER); }

SYSCALL(recvmmsg)
{
	uint64_t relative, deadline = WAIT_FOREVER;
	if (args->arg[4] != 0) {
		int r = timespec_read(args->arg[4], &relative);
		if (r != 0)
			return r;
		deadline = clock_deadline(relative);
	}
	return message_many(args, message_receive, deadline);
}
