/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX sockets: making, connecting, closing (unix(7)). */
#include "kernel/net/unix.h"

#include <linux/eventpoll.h>

#include "kernel/mm/page.h"
#include "kernel/proc/process.h"

#define BACKLOG_MAX 4096

static const struct socket_ops unix_ops;

struct unix_socket *unix_get(struct unix_socket *local)
{
	local->references++;
	return local;
}

void unix_put(struct unix_socket *local)
{
	if (local == NULL || --local->references > 0)
		return;
	ring_fini(&local->ring);
	unix_name_put(local->gone_name);
	kfree(local);
}

bool unix_is_stream(const struct socket *socket) { return socket->type == SOCK_STREAM; }

static struct ucred own_credentials(void)
{
	const struct process *process = current->process;
	return (struct ucred){.pid = process->pid, .uid = process->credentials.euid, .gid = process->credentials.egid};
}

void unix_set_peer(struct unix_socket *local, struct unix_socket *peer)
{
	struct unix_socket *old = local->peer;
	if (peer != NULL)
		unix_get(peer);
	list_remove(&local->client_node);
	local->peer = peer;
	if (peer != NULL)
		list_add(&peer->clients, &local->client_node);
	unix_put(old);
}

static int unix_create(struct socket *socket)
{
	if (socket->protocol != 0 && socket->protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (socket->type == SOCK_RAW)
		socket->type = SOCK_DGRAM;
	if (socket->type != SOCK_STREAM && socket->type != SOCK_DGRAM && socket->type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	struct unix_socket *local = kzalloc(sizeof(*local));
	if (local == NULL)
		return -ENOMEM;
	if (ring_init(&local->ring, UNIX_RING_PAGES) != 0) {
		kfree(local);
		return -ENOMEM;
	}
	local->references = 1;
	local->socket = socket;
	list_init(&local->clients);
	list_init(&local->client_node);
	list_init(&local->records);
	list_init(&local->accept_queue);
	list_init(&local->accept_node);
	mutex_init(&local->write_lock);
	mutex_init(&local->read_lock);
	wait_queue_init(&local->room_wait);
	local->credentials = own_credentials();
	socket->ops = &unix_ops;
	socket->data = local;
	return 0;
}

static void unix_join(struct unix_socket *a, struct unix_socket *b)
{
	unix_set_peer(a, b);
	unix_set_peer(b, a);
	a->peer_credentials = b->credentials;
	b->peer_credentials = a->credentials;
	a->socket->state = b->socket->state = SOCKET_CONNECTED;
}

static int unix_pair(struct socket *a, struct socket *b)
{
	unix_join(unix_of(a), unix_of(b));
	return 0;
}

const struct socket_family unix_family = {
    .create = unix_create,
    .pair = unix_pair,
};

/* ---- connections ---- */

static int unix_listen(struct socket *socket, int backlog)
{
	struct unix_socket *local = unix_of(socket);
	if (socket->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	if (local->name == NULL || (socket->state != SOCKET_UNCONNECTED && socket->state != SOCKET_LISTENING))
		return -EINVAL;
	socket->state = SOCKET_LISTENING;
	local->backlog = backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : (unsigned)backlog;
	local->credentials = own_credentials();
	wait_wake(&local->room_wait, 0, 0);
	return 0;
}

static bool unix_is_listening(const struct unix_socket *local)
{
	return local->socket != NULL && local->socket->state == SOCKET_LISTENING &&
	       (local->socket->shutdown & 1u << SHUT_RD) == 0;
}

/* Waits for a place in the listener's queue and puts a new connection there. */
static int unix_connect_to(struct socket *socket, struct unix_socket *listener, bool nonblock)
{
	struct unix_socket *local = unix_of(socket);

	if (listener->socket != NULL && listener->socket->type != socket->type)
		return -EPROTOTYPE;
	while (unix_is_listening(listener) && listener->accept_count > listener->backlog) {
		if (nonblock)
			return -EAGAIN;
		int r = wait_until(&listener->room_wait,
				   !unix_is_listening(listener) || listener->accept_count <= listener->backlog,
				   socket_deadline(socket->send_timeout_ns), true);
		if (r != 0)
			return socket_sleep_error(r, socket->send_timeout_ns);
	}
	if (!unix_is_listening(listener))
		return -ECONNREFUSED;
	if (socket->state != SOCKET_UNCONNECTED)
		return socket->state == SOCKET_CONNECTED ? -EISCONN : -EINVAL;
	struct socket *other = socket_new(AF_UNIX, socket->type, socket->protocol);
	if (other == NULL)
		return -ENOMEM;
	int r = unix_create(other);
	if (r != 0) {
		kfree(other);
		return r;
	}
	struct unix_socket *accepted = unix_of(other);
	accepted->credentials = listener->credentials;
	accepted->name = listener->name;
	if (accepted->name != NULL)
		accepted->name->references++;
	local->credentials = own_credentials();
	other->pass_credentials = listener->socket->pass_credentials;
	unix_join(local, accepted);
	list_add_tail(&listener->accept_queue, &accepted->accept_node);
	listener->accept_count++;
	wait_wake(&listener->socket->queue, EPOLLIN | EPOLLRDNORM, 0);
	wait_wake(&socket->queue, EPOLLOUT | EPOLLWRNORM, 0);
	return 0;
}

static int unix_connect(struct socket *socket, const uint8_t *name, unsigned bytes, bool nonblock)
{
	struct unix_socket *local = unix_of(socket), *other;
	uint16_t family = 0;

	if (bytes >= sizeof(family))
		memcpy(&family, name, sizeof(family));
	if (socket->type == SOCK_DGRAM && family == AF_UNSPEC) {
		unix_set_peer(local, NULL);
		local->peer_gone = false;
		socket->state = SOCKET_UNCONNECTED;
		return 0;
	}
	int r = unix_name_find(name, bytes, socket->type, &other);
	if (r != 0)
		return r;
	if (socket->type != SOCK_DGRAM) {
		r = unix_connect_to(socket, other, nonblock);
	} else if (other->socket == NULL || other->socket->type != SOCK_DGRAM) {
		r = -EPROTOTYPE;
	} else if (unix_is_taken(other, local)) {
		r = -EPERM; /* it talks to somebody else only */
	} else {
		bool changed = local->peer_gone || (local->peer != NULL && local->peer != other);
		unix_set_peer(local, other);
		local->peer_gone = false;
		if (changed)
			unix_purge(local);
		local->peer_credentials = other->credentials;
		socket->state = SOCKET_CONNECTED;
		wait_wake(&socket->queue, EPOLLOUT | EPOLLWRNORM, 0);
	}
	unix_put(other);
	return r;
}

static int unix_accept(struct socket *socket, bool nonblock, struct socket **accepted)
{
	struct unix_socket *local = unix_of(socket);

	if (socket->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	if (socket->state != SOCKET_LISTENING)
		return -EINVAL;
	if (list_empty(&local->accept_queue)) {
		if ((socket->shutdown & 1u << SHUT_RD) != 0)
			return -EINVAL;
		if (nonblock)
			return -EAGAIN;
		int r = wait_until(&socket->queue,
				   !list_empty(&local->accept_queue) || (socket->shutdown & 1u << SHUT_RD) != 0,
				   socket_deadline(socket->receive_timeout_ns), true);
		if (r != 0)
			return socket_sleep_error(r, socket->receive_timeout_ns);
		if (list_empty(&local->accept_queue))
			return -EINVAL;
	}
	struct unix_socket *first = list_first(&local->accept_queue, struct unix_socket, accept_node);
	list_remove(&first->accept_node);
	local->accept_count--;
	wait_wake(&local->room_wait, 0, 0);
	*accepted = first->socket;
	return 0;
}

/* ---- the end ---- */

static int unix_shutdown(struct socket *socket, int how)
{
	struct unix_socket *local = unix_of(socket);
	bool reading = how != SHUT_WR, writing = how != SHUT_RD;

	socket->shutdown |= (reading ? 1u << SHUT_RD : 0) | (writing ? 1u << SHUT_WR : 0);
	struct unix_socket *peer = local->peer;
	if (peer != NULL && peer->socket != NULL && socket->type != SOCK_DGRAM) {
		peer->socket->shutdown |= (writing ? 1u << SHUT_RD : 0) | (reading ? 1u << SHUT_WR : 0);
		unix_wake_senders(local);
		wait_wake(&peer->socket->queue, 0, 0);
	}
	if (peer != NULL)
		unix_wake_senders(peer); /* own senders that wait for room there */
	unix_wake_senders(local);
	wait_wake(&socket->queue, 0, 0);
	return 0;
}

/* Those that were connected to this socket lose it. */
static void unix_leave_clients(struct unix_socket *local, bool unread)
{
	while (!list_empty(&local->clients)) {
		struct unix_socket *client = list_first(&local->clients, struct unix_socket, client_node);
		struct socket *socket = client->socket;
		client->peer_gone = true;
		unix_name_put(client->gone_name);
		client->gone_name = local->name;
		if (local->name != NULL)
			local->name->references++;
		unix_set_peer(client, NULL);
		if (socket == NULL)
			continue;
		if (socket->type != SOCK_DGRAM)
			socket->shutdown |= 1u << SHUT_RD | 1u << SHUT_WR;
		if (unread && socket->type != SOCK_DGRAM)
			socket->error = ECONNRESET;
		wait_wake(&socket->queue, EPOLLHUP, 0);
		unix_wake_senders(client);
	}
}

static void unix_release(struct socket *socket)
{
	struct unix_socket *local = unix_of(socket);
	bool unread = ring_bytes(&local->ring) > 0 || local->record_count > 0;

	local->socket = NULL;
	unix_leave_clients(local, unread);
	unix_set_peer(local, NULL);
	if (local->name != NULL) {
		if (local->name->owner == local) {
			local->name->owner = NULL;
			list_remove(&local->name->node);
		}
		unix_name_put(local->name);
		local->name = NULL;
	}
	while (!list_empty(&local->accept_queue)) {
		struct unix_socket *waiting = list_first(&local->accept_queue, struct unix_socket, accept_node);
		list_remove(&waiting->accept_node);
		/* Counts as unread: its client gets ECONNRESET. */
		unix_leave_clients(waiting, true);
		socket_free(waiting->socket);
	}
	wait_wake(&local->room_wait, 0, 0);
	while (!list_empty(&local->records))
		unix_record_free(local, list_first(&local->records, struct unix_record, node));
	unix_put(local);
}

/* ---- what is asked of it ---- */

static int unix_name(struct socket *socket, bool peer, uint8_t *name, unsigned *bytes)
{
	struct unix_socket *local = unix_of(socket);
	if (!peer) {
		unix_name_fill(local->name, name, bytes);
		return 0;
	}
	if (local->peer == NULL && !local->peer_gone)
		return -ENOTCONN;
	unix_name_fill(local->peer != NULL ? local->peer->name : local->gone_name, name, bytes);
	return 0;
}

static uint32_t unix_poll(struct socket *socket)
{
	struct unix_socket *local = unix_of(socket);
	uint32_t events = socket->error != 0 ? EPOLLERR : 0;
	bool read_shut = (socket->shutdown & 1u << SHUT_RD) != 0, write_shut = (socket->shutdown & 1u << SHUT_WR) != 0;

	if (read_shut)
		events |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
	if (read_shut && write_shut)
		events |= EPOLLHUP;
	if (socket->type != SOCK_DGRAM && socket->state == SOCKET_UNCONNECTED)
		events |= EPOLLHUP;
	if (unix_is_stream(socket) ? local->put != local->taken : local->record_count > 0)
		events |= EPOLLIN | EPOLLRDNORM;
	if (socket->state == SOCKET_LISTENING)
		return list_empty(&local->accept_queue) ? events : events | EPOLLIN | EPOLLRDNORM;
	const struct unix_socket *to = local->peer;
	/* As in Linux: while a quarter of the buffer is enough for what is under way. */
	if (to == NULL || (ring_bytes(&to->ring) * 4 <= socket->send_buffer && to->record_count < UNIX_MESSAGES_MAX))
		events |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
	return events;
}

static uint64_t unix_readable(struct socket *socket)
{
	struct unix_socket *local = unix_of(socket);
	if (unix_is_stream(socket))
		return local->put - local->taken;
	return list_empty(&local->records) ? 0 : list_first(&local->records, struct unix_record, node)->bytes;
}

static uint64_t unix_unsent(struct socket *socket)
{
	const struct unix_socket *peer = unix_of(socket)->peer;
	return peer != NULL ? ring_bytes(&peer->ring) : 0;
}

static int unix_get_option(struct socket *socket, int level, int option, void *value, unsigned *bytes)
{
	struct unix_socket *local = unix_of(socket);
	struct ucred credentials = {.pid = 0, .uid = UINT32_MAX, .gid = UINT32_MAX};

	if (level != SOL_SOCKET || option != SO_PEERCRED)
		return level != SOL_SOCKET ? -EOPNOTSUPP : -ENOPROTOOPT;
	if (local->peer != NULL || local->peer_gone)
		credentials = local->peer_credentials;
	else if (socket->state == SOCKET_LISTENING)
		credentials = local->credentials;
	memcpy(value, &credentials, sizeof(credentials));
	*bytes = sizeof(credentials);
	return 0;
}

static const struct socket_ops unix_ops = {
    .bind = unix_bind,
    .listen = unix_listen,
    .connect = unix_connect,
    .accept = unix_accept,
    .send = unix_send,
    .receive = unix_receive,
    .shutdown = unix_shutdown,
    .name = unix_name,
    .poll = unix_poll,
    .get_option = unix_get_option,
    .readable = unix_readable,
    .unsent = unix_unsent,
    .release = unix_release,
};
