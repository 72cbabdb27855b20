/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data of AF_UNIX sockets. All bytes sent to a socket lie in its ring. On a stream they have no structure, and
 * a record tells what came beside them (descriptors); of the other kinds each record is a message.
 */
#include <linux/eventpoll.h>

#include "kernel/mm/page.h"
#include "kernel/net/unix.h"
#include "kernel/proc/process.h"

#define STREAM_PIECE_BYTES 32768u

static bool write_shut(const struct socket *socket) { return (socket->shutdown & 1u << SHUT_WR) != 0; }
static bool read_shut(const struct socket *socket) { return (socket->shutdown & 1u << SHUT_RD) != 0; }

void unix_wake_senders(struct unix_socket *local)
{
	wait_wake(&local->room_wait, 0, 0);
	list_for_each(node, &local->clients)
	{
		struct unix_socket *client = list_entry(node, struct unix_socket, client_node);
		if (client->socket != NULL)
			wait_wake(&client->socket->queue, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND, 0);
	}
}

void unix_record_free(struct unix_socket *local, struct unix_record *record)
{
	list_remove(&record->node);
	local->record_count--;
	unix_name_put(record->from);
	socket_rights_free(record->rights);
	kfree(record);
}

void unix_purge(struct unix_socket *local)
{
	mutex_lock(&local->read_lock);
	while (!list_empty(&local->records)) {
		struct unix_record *record = list_first(&local->records, struct unix_record, node);
		ring_drop(&local->ring, record->bytes);
		local->taken += record->bytes;
		unix_record_free(local, record);
	}
	mutex_unlock(&local->read_lock);
	unix_wake_senders(local);
}

/* ---- sending ---- */

/* Copies the message's bytes [offset, offset + bytes) into the ring as far as there is room. The buffers
 * may make it sleep; what is in the ring then stays invisible until `put` is moved. Returns the bytes; if these
 * are less than asked for, *error says why: -EFAULT, -ENOMEM, or 0: no room. */
static uint64_t ring_put_io(struct ring *ring, const struct socket_io *io, uint64_t offset, uint64_t bytes, int *error)
{
	uint64_t done = 0;

	for (unsigned i = 0; i < io->count && done < bytes; i++) {
		uint64_t length = io->vectors[i].iov_len;
		if (offset >= length) {
			offset -= length;
			continue;
		}
		struct io_buffer from = {.address = (uint64_t)io->vectors[i].iov_base, .user = io->user};
		while (offset < length && done < bytes) {
			uint64_t part = min_u64(length - offset, bytes - done);
			if (ring_prepare(&from, offset, &part, false) != 0) {
				*error = -EFAULT;
				return done;
			}
			uint64_t put = ring_put(ring, &from, offset, part);
			if (put == 0) {
				*error = ring_room(ring) > 0 ? -ENOMEM : 0;
				return done;
			}
			done += put;
			offset += put;
		}
		offset = 0;
	}
	return done;
}

static struct unix_record *record_new(struct socket_io *io, struct unix_socket *sender)
{
	struct unix_record *record = kzalloc(sizeof(*record));
	if (record == NULL)
		return NULL;
	record->rights = io->rights;
	if (io->has_credentials)
		record->credentials = io->credentials;
	else
		record->credentials = (struct ucred){
		    .pid = current->process->pid,
		    .uid = current->process->credentials.uid,
		    .gid = current->process->credentials.gid,
		};
	record->from = sender->name;
	if (record->from != NULL)
		record->from->references++;
	return record;
}

static void record_add(struct unix_socket *to, struct unix_record *record, uint64_t bytes)
{
	record->start = to->put;
	record->bytes = bytes;
	list_add_tail(&to->records, &record->node);
	to->record_count++;
}

/* Undoes record_new(); the files stay the caller's. */
static void record_cancel(struct unix_record *record)
{
	if (record == NULL)
		return;
	unix_name_put(record->from);
	kfree(record);
}

static int64_t stream_send(struct socket *socket, struct socket_io *io)
{
	struct unix_socket *local = unix_of(socket);
	uint64_t done = 0, deadline = socket_deadline(socket->send_timeout_ns);
	struct unix_record *record = NULL;
	int64_t r = 0;

	if (write_shut(socket))
		return -EPIPE; /* even if there is nothing to send */
	if (io->rights != NULL && (record = record_new(io, local)) == NULL)
		return -ENOMEM;
	while (done < io->bytes) {
		struct unix_socket *to = local->peer;
		if (write_shut(socket) || to == NULL) {
			r = -EPIPE;
			break;
		}
		unix_get(to);
		if (ring_room(&to->ring) == 0) {
			r = (io->flags & MSG_DONTWAIT) != 0
				? -EAGAIN
				: wait_until(&to->room_wait,
					     ring_room(&to->ring) > 0 || write_shut(socket) || to->socket == NULL,
					     deadline, true);
			unix_put(to);
			if (r != 0) {
				r = r == -EAGAIN ? r : socket_sleep_error((int)r, socket->send_timeout_ns);
				break;
			}
			continue;
		}
		mutex_lock(&to->write_lock);
		int error = 0;
		uint64_t put = ring_put_io(&to->ring, io, done, io->bytes - done, &error);
		/* A write as small as Linux makes one buffer of arrives whole or not at all. */
		if (error == -EFAULT && done == 0 && io->bytes <= STREAM_PIECE_BYTES) {
			ring_unput(&to->ring, put);
			put = 0;
		}
		if (put > 0) {
			if (record != NULL) {
				record_add(to, record, put);
				io->rights = NULL;
				record = NULL;
			}
			to->put += put;
			done += put;
			if (to->socket != NULL)
				wait_wake(&to->socket->queue, EPOLLIN | EPOLLRDNORM, 0);
		}
		mutex_unlock(&to->write_lock);
		unix_put(to);
		r = error;
		if (r < 0)
			break;
	}
	record_cancel(record);
	return done > 0 || r >= 0 ? (int64_t)done : r;
}

/* The receiver of a message: the named one, or the one connected to. A reference. */
static int message_target(struct socket *socket, const struct socket_io *io, struct unix_socket **to)
{
	struct unix_socket *local = unix_of(socket);

	if (socket->type == SOCK_DGRAM && io->name_bytes > 0) {
		int r = unix_name_find(io->name, io->name_bytes, socket->type, to);
		if (r != 0)
			return r;
		struct unix_socket *found = *to;
		if (found->socket == NULL || found->socket->type != SOCK_DGRAM)
			r = -EPROTOTYPE;
		else if (unix_is_taken(found, local))
			r = -EPERM;
		if (r != 0)
			unix_put(found);
		return r;
	}
	if (local->peer == NULL) {
		if (socket->type != SOCK_DGRAM)
			return socket->state == SOCKET_CONNECTED ? -EPIPE : -ENOTCONN;
		bool gone = local->peer_gone;
		local->peer_gone = false; /* told once */
		if (gone)
			unix_purge(local);
		return gone ? -ECONNREFUSED : -ENOTCONN;
	}
	*to = unix_get(local->peer);
	return 0;
}

static bool message_fits(const struct unix_socket *to, uint64_t bytes)
{
	return ring_room(&to->ring) >= bytes && to->record_count < UNIX_MESSAGES_MAX;
}

/* One whole message into `to`, which has room for it; write_lock is held. */
static int message_put(struct unix_socket *to, struct socket_io *io, struct unix_socket *sender)
{
	struct unix_record *record = record_new(io, sender);
	if (record == NULL)
		return -ENOMEM;
	int error = 0;
	uint64_t n = ring_put_io(&to->ring, io, 0, io->bytes, &error);
	if (n != io->bytes || to->socket == NULL) {
		/* Messages before this one may have been taken meanwhile, but nobody else has put anything. */
		ring_unput(&to->ring, n);
		record_cancel(record);
		return to->socket == NULL ? -ECONNREFUSED : error != 0 ? error : -ENOMEM;
	}
	record_add(to, record, io->bytes);
	io->rights = NULL;
	to->put += io->bytes;
	wait_wake(&to->socket->queue, EPOLLIN | EPOLLRDNORM, 0);
	return 0;
}

static int64_t message_send(struct socket *socket, struct socket_io *io)
{
	struct unix_socket *to;
	uint64_t deadline = socket_deadline(socket->send_timeout_ns);
	int r;

	if (socket->type == SOCK_SEQPACKET && socket->error != 0) {
		r = -socket->error;
		socket->error = 0;
		return r;
	}
	if (write_shut(socket) && (io->name_bytes > 0 || unix_of(socket)->peer != NULL))
		return -EPIPE;
	r = message_target(socket, io, &to);
	if (r != 0)
		return r;
	if (io->bytes > min_u64(socket->send_buffer, ring_size(&to->ring)) - 32) {
		unix_put(to);
		return -EMSGSIZE;
	}
	for (;;) {
		if (to->socket == NULL) {
			r = socket->type == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE;
			break;
		}
		if (write_shut(socket) || read_shut(to->socket)) {
			r = -EPIPE;
			break;
		}
		if (!message_fits(to, io->bytes)) {
			r = (io->flags & MSG_DONTWAIT) != 0
				? -EAGAIN
				: wait_until(&to->room_wait,
					     message_fits(to, io->bytes) || to->socket == NULL || write_shut(socket) ||
						 read_shut(to->socket),
					     deadline, true);
			if (r != 0) {
				r = r == -EAGAIN ? r : socket_sleep_error(r, socket->send_timeout_ns);
				break;
			}
			continue;
		}
		mutex_lock(&to->write_lock);
		bool still = to->socket != NULL && message_fits(to, io->bytes);
		if (still)
			r = message_put(to, io, unix_of(socket));
		mutex_unlock(&to->write_lock);
		if (still)
			break;
	}
	unix_put(to);
	return r != 0 ? r : (int64_t)io->bytes;
}

int64_t unix_send(struct socket *socket, struct socket_io *io)
{
	if (!unix_is_stream(socket))
		return message_send(socket, io);
	if (io->name_bytes > 0)
		return socket->state == SOCKET_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	if (socket->state != SOCKET_CONNECTED)
		return -ENOTCONN;
	return stream_send(socket, io);
}

/* ---- receiving ---- */

/* Copies from the ring, `skip` bytes behind its tail, to the message's places from `offset` on. Takes
 * what it copied off the ring if `drop`. Bytes or -EFAULT. */
static int64_t ring_take_io(struct unix_socket *local, const struct socket_io *io, uint64_t offset, uint64_t bytes,
			    bool drop)
{
	uint64_t done = 0;

	for (unsigned i = 0; i < io->count && done < bytes; i++) {
		uint64_t length = io->vectors[i].iov_len;
		if (offset >= length) {
			offset -= length;
			continue;
		}
		struct io_buffer to = {.address = (uint64_t)io->vectors[i].iov_base, .user = io->user};
		while (offset < length && done < bytes) {
			uint64_t part = min_u64(length - offset, bytes - done);
			if (ring_prepare(&to, offset, &part, true) != 0)
				return done > 0 ? (int64_t)done : -EFAULT;
			/* Only complete data: a sender may be in the middle of more. */
			uint64_t present = local->put - local->taken, skip = drop ? 0 : done;
			part = present > skip ? min_u64(part, present - skip) : 0;
			uint64_t got = ring_peek(&local->ring, skip, &to, offset, part);
			if (got == 0)
				return (int64_t)done;
			if (drop) {
				ring_drop(&local->ring, got);
				local->taken += got;
			}
			done += got;
			offset += got;
		}
		offset = 0;
	}
	return (int64_t)done;
}

static void fill_name(struct socket_io *io, const struct unix_name *name)
{
	io->name_bytes = 0;
	if (io->name != NULL && name != NULL)
		unix_name_fill(name, io->name, &io->name_bytes);
}

/* The files of a record go to the receiver; with MSG_PEEK copies of the references do. */
static void take_rights(struct socket_io *io, struct unix_record *record, bool peek)
{
	struct socket_rights *rights = record->rights;
	if (rights == NULL || io->rights != NULL)
		return;
	if (peek) {
		uint64_t bytes = sizeof(*rights) + rights->count * sizeof(struct file *);
		struct socket_rights *copy = kmalloc(bytes);
		if (copy == NULL)
			return;
		memcpy(copy, rights, bytes);
		for (unsigned i = 0; i < copy->count; i++)
			file_get(copy->files[i]);
		io->rights = copy;
		return;
	}
	io->rights = rights;
	record->rights = NULL;
}

/* Bytes of a stream that may be read in one go: up to the next record. The record at the very
 * beginning, if there is one, is given out. */
static uint64_t stream_run(struct unix_socket *local, struct socket_io *io, bool peek)
{
	uint64_t bytes = local->put - local->taken;

	list_for_each_safe(node, &local->records)
	{
		struct unix_record *record = list_entry(node, struct unix_record, node);
		if (record->start > local->taken)
			return min_u64(bytes, record->start - local->taken);
		take_rights(io, record, peek);
		bytes = min_u64(bytes, record->bytes);
		if (!peek)
			unix_record_free(local, record);
		return bytes;
	}
	return bytes;
}

static int64_t stream_receive(struct socket *socket, struct socket_io *io)
{
	struct unix_socket *local = unix_of(socket);
	bool peek = (io->flags & MSG_PEEK) != 0;
	uint64_t done = 0, deadline = socket_deadline(socket->receive_timeout_ns);
	int r;

	/* Asked for nothing, it waits all the same. */
	while (done < io->bytes || io->bytes == 0) {
		if (io->bytes == 0 && local->put != local->taken)
			break;
		if (local->put == local->taken) {
			if (done > 0 && (io->flags & MSG_WAITALL) == 0)
				break;
			if (socket->error != 0) {
				if (done > 0)
					break;
				r = -socket->error;
				socket->error = 0;
				return r;
			}
			if (read_shut(socket) || local->peer_gone)
				break;
			if ((io->flags & MSG_DONTWAIT) != 0)
				return done > 0 ? (int64_t)done : -EAGAIN;
			r = wait_until(&socket->queue,
				       local->put != local->taken || read_shut(socket) || local->peer_gone ||
					   socket->error != 0,
				       deadline, true);
			if (r != 0)
				return done > 0 ? (int64_t)done : socket_sleep_error(r, socket->receive_timeout_ns);
			continue;
		}
		bool had_rights = io->rights != NULL;
		mutex_lock(&local->read_lock);
		uint64_t run = min_u64(stream_run(local, io, peek), io->bytes - done);
		int64_t n = ring_take_io(local, io, done, run, !peek);
		mutex_unlock(&local->read_lock);
		if (n < 0)
			return done > 0 ? (int64_t)done : n;
		done += (uint64_t)n;
		if (!peek)
			unix_wake_senders(local);
		/* Descriptors end a read, so that they stay with their bytes. */
		if (peek || (!had_rights && io->rights != NULL))
			break;
		if ((io->flags & MSG_WAITALL) == 0 && n > 0)
			break;
	}
	io->has_credentials = true;
	io->credentials = local->peer_credentials;
	fill_name(io, local->peer != NULL ? local->peer->name : local->gone_name);
	return (int64_t)done;
}

/* Waits for a message: 0; 1: there will be none; -errno. */
static int message_wait(struct socket *socket, bool nonblock)
{
	struct unix_socket *local = unix_of(socket);
	bool connected_kind = socket->type != SOCK_DGRAM;

	for (;;) {
		if (socket->error != 0) {
			int error = -socket->error;
			socket->error = 0;
			return error;
		}
		if (!list_empty(&local->records))
			return 0;
		/* As Linux has it: of a shut down datagram socket only a blocking call learns it. */
		if ((read_shut(socket) && (connected_kind || !nonblock)) || (local->peer_gone && connected_kind))
			return 1;
		if (nonblock)
			return -EAGAIN;
		int r = wait_until(&socket->queue,
				   !list_empty(&local->records) || read_shut(socket) || socket->error != 0 ||
				       (local->peer_gone && connected_kind),
				   socket_deadline(socket->receive_timeout_ns), true);
		if (r != 0)
			return socket_sleep_error(r, socket->receive_timeout_ns);
	}
}

/* The first message; read_lock is held, so it stays the first while copying sleeps. */
static int64_t message_take(struct socket *socket, struct socket_io *io, bool peek)
{
	struct unix_socket *local = unix_of(socket);
	struct unix_record *record = list_first(&local->records, struct unix_record, node);
	uint64_t whole = record->bytes, wanted = min_u64(whole, io->bytes);
	int64_t n = wanted > 0 ? ring_take_io(local, io, 0, wanted, !peek) : 0;

	if (wanted < whole)
		io->out_flags |= MSG_TRUNC;
	io->has_credentials = true;
	io->credentials = record->credentials;
	fill_name(io, record->from);
	take_rights(io, record, peek);
	if (!peek) {
		uint64_t rest = whole - (n > 0 ? (uint64_t)n : 0);
		ring_drop(&local->ring, rest);
		local->taken += rest;
		unix_record_free(local, record);
		unix_wake_senders(local);
	}
	if (n < 0)
		return n;
	return (io->flags & MSG_TRUNC) != 0 ? (int64_t)whole : n;
}

static int64_t message_receive(struct socket *socket, struct socket_io *io)
{
	struct unix_socket *local = unix_of(socket);

	for (;;) {
		int r = message_wait(socket, (io->flags & MSG_DONTWAIT) != 0);
		if (r != 0)
			return r < 0 ? r : 0;
		mutex_lock(&local->read_lock);
		bool present = !list_empty(&local->records);
		int64_t n = present ? message_take(socket, io, (io->flags & MSG_PEEK) != 0) : 0;
		mutex_unlock(&local->read_lock);
		if (present)
			return n;
	}
}

int64_t unix_receive(struct socket *socket, struct socket_io *io)
{
	if (socket->type != SOCK_DGRAM && socket->state != SOCKET_CONNECTED)
		return unix_is_stream(socket) ? -EINVAL : -ENOTCONN;
	return unix_is_stream(socket) ? stream_receive(socket, io) : message_receive(socket, io);
}
