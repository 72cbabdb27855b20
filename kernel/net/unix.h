/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX: the sockets (unix.c), their names (unix_name.c), their data (unix_io.c). */
#ifndef NUCLEO_NET_UNIX_H
#define NUCLEO_NET_UNIX_H

#include "kernel/fs/ring.h"
#include "kernel/net/socket.h"

#define UNIX_RING_PAGES 52u /* 208 KiB, net.core.wmem_default */
#define UNIX_PATH_BYTES 108u
#define UNIX_MESSAGES_MAX 1024u /* datagrams waiting: their records cost memory too */

/* A bound name; shared by a listening socket and those it has accepted. */
struct unix_name {
	struct list node; /* in the list of names, while its socket lives */
	uint32_t references;
	struct unix_socket *owner; /* NULL: the socket is gone */
	struct inode *inode;       /* path names; a reference */
	int type;                  /* of the socket */
	unsigned bytes;            /* of sun_path */
	uint8_t path[UNIX_PATH_BYTES];
};

/* What came with data: a datagram, or, on a stream, something beside the bytes from `start` on. */
struct unix_record {
	struct list node;
	uint64_t start, bytes;
	struct socket_rights *rights;
	struct ucred credentials;
	struct unix_name *from; /* a reference, or NULL */
};

/* One socket's side. Lives until its socket is gone and nobody refers to it. */
struct unix_socket {
	uint32_t references;
	struct socket *socket; /* NULL: closed */
	struct unix_name *name;
	struct unix_socket *peer;         /* a reference */
	struct list clients, client_node; /* sockets whose peer this is */
	struct ucred credentials, peer_credentials;

	/* Data sent to this socket. */
	struct ring ring;
	uint64_t put, taken; /* bytes ever, complete messages only */
	struct list records;
	unsigned record_count;
	struct mutex write_lock;     /* one sender at a time puts a message together */
	struct mutex read_lock;      /* and one reader takes it apart */
	struct wait_queue room_wait; /* senders that wait for room here */

	/* Listening. */
	struct list accept_queue, accept_node; /* unix_socket of connections not yet accepted */
	unsigned backlog, accept_count;
	bool peer_gone;              /* was connected, the other side has closed */
	struct unix_name *gone_name; /* the name that it had; a reference */
};

static inline struct unix_socket *unix_of(const struct socket *socket) { return socket->data; }
struct unix_socket *unix_get(struct unix_socket *local);
void unix_put(struct unix_socket *local);
void unix_set_peer(struct unix_socket *local, struct unix_socket *peer); /* NULL: none */
bool unix_is_stream(const struct socket *socket);
/* A datagram socket that is connected, or was and has not noticed yet, takes data from its peer only. */
static inline bool unix_is_taken(const struct unix_socket *local, const struct unix_socket *by)
{
	return (local->peer != NULL && local->peer != by) || local->peer_gone;
}
/* The listening socket or datagram receiver of that name; a reference. -ECONNREFUSED, ... May sleep. */
int unix_name_find(const uint8_t *name, unsigned bytes, int type, struct unix_socket **found);
int unix_bind(struct socket *socket, const uint8_t *name, unsigned bytes);
void unix_name_put(struct unix_name *name);
/* struct sockaddr_un of a name, or of none. */
void unix_name_fill(const struct unix_name *name, uint8_t *to, unsigned *bytes);

int64_t unix_send(struct socket *socket, struct socket_io *io);
int64_t unix_receive(struct socket *socket, struct socket_io *io);
void unix_record_free(struct unix_socket *local, struct unix_record *record);
/* Drops the datagrams that wait here: the connection that they came by is over (Linux does so). */
void unix_purge(struct unix_socket *local);
/* Room has become free at `local`: wakes who waits for it. */
void unix_wake_senders(struct unix_socket *local);

#endif
