/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets: the system calls, what all families share, and the table of operations behind which a
 * family lies. kernel/net/socket.c has the calls and the file, message.c the headers of
 * sendmsg and recvmsg, unix*.c the family AF_UNIX.
 */
#ifndef NUCLEO_NET_SOCKET_H
#define NUCLEO_NET_SOCKET_H

#include <asm/socket.h>
#include <linux/fcntl.h>
#include <linux/socket.h>
#include <linux/uio.h>

#include "kernel/fs/file.h"

/* What no header of the kernel's interface has; values as in Linux' include/linux/socket.h. */
#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define AF_PACKET 17
#define AF_ALG 38
#define AF_VSOCK 40
#define AF_MAX 46

#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define SOCK_SEQPACKET 5
#define SOCK_TYPE_MASK 0xf
#define SOCK_CLOEXEC O_CLOEXEC
#define SOCK_NONBLOCK O_NONBLOCK

#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_CTRUNC 8
#define MSG_TRUNC 0x20
#define MSG_DONTWAIT 0x40
#define MSG_EOR 0x80
#define MSG_WAITALL 0x100
#define MSG_NOSIGNAL 0x4000
#define MSG_WAITFORONE 0x10000
#define MSG_CMSG_CLOEXEC 0x40000000

#define SCM_RIGHTS 1
#define SCM_CREDENTIALS 2
#define SCM_RIGHTS_MAX 253

#define SHUT_RD 0
#define SHUT_WR 1
#define SHUT_RDWR 2

#define SOCKET_ADDRESS_BYTES 128u /* sockaddr_storage */
#define IOV_MAX 1024u             /* UIO_MAXIOV */

struct ucred {
	int pid;
	uint32_t uid, gid;
};

struct user_msghdr {
	uint64_t name;
	int name_bytes;
	uint64_t vectors, vector_count;
	uint64_t control, control_bytes;
	uint32_t flags;
};

/* Files on their way through a socket (SCM_RIGHTS), each with a reference. */
struct socket_rights {
	struct socket_rights *next; /* while they are let go */
	unsigned count;
	struct file *files[];
};

/* One send or receive: the data's places, the other side's name, what goes beside the data. */
struct socket_io {
	const struct iovec *vectors;
	unsigned count;
	bool user;                    /* the vectors point to program memory */
	uint64_t bytes;               /* of all vectors */
	int flags;                    /* MSG_*, O_NONBLOCK is already in as MSG_DONTWAIT */
	uint8_t *name;                /* SOCKET_ADDRESS_BYTES; send: destination; receive: filled */
	unsigned name_bytes;          /* send: 0: none given */
	struct socket_rights *rights; /* send: NULL once taken over; receive: the caller's */
	bool want_rights;             /* receive: there is a place for them; else they are dropped */
	bool has_credentials;         /* send: given; receive: filled (SO_PASSCRED) */
	struct ucred credentials;
	int out_flags; /* receive: MSG_TRUNC, MSG_CTRUNC, MSG_EOR */
};
/* Copies between the places and kernel memory, `offset` bytes into them. 0 or -EFAULT. May sleep. */
int socket_io_read(const struct socket_io *io, uint64_t offset, void *to, uint64_t bytes);
int socket_io_write(const struct socket_io *io, uint64_t offset, const void *from, uint64_t bytes);

enum socket_state {
	SOCKET_UNCONNECTED,
	SOCKET_LISTENING,
	SOCKET_CONNECTING,
	SOCKET_CONNECTED,
};

struct socket {
	const struct socket_ops *ops;
	int family, type, protocol;
	enum socket_state state;
	struct wait_queue queue;                      /* everything that poll tells */
	uint32_t shutdown;                            /* 1 << SHUT_RD, 1 << SHUT_WR */
	int error;                                    /* SO_ERROR */
	uint64_t receive_timeout_ns, send_timeout_ns; /* 0: none */
	uint32_t send_buffer, receive_buffer;         /* bytes, as getsockopt gives them */
	bool pass_credentials, reuse_address, keep_alive, broadcast;
	struct file *file; /* no reference */
	void *data;        /* the family's */
};

/* NULL: -EOPNOTSUPP. All but name, poll and release may sleep. Interrupted sleeps return -ERESTARTSYS. */
struct socket_ops {
	int (*bind)(struct socket *socket, const uint8_t *name, unsigned bytes);
	int (*listen)(struct socket *socket, int backlog);
	int (*connect)(struct socket *socket, const uint8_t *name, unsigned bytes, bool nonblock);
	int (*accept)(struct socket *socket, bool nonblock, struct socket **accepted);
	int64_t (*send)(struct socket *socket, struct socket_io *io);
	int64_t (*receive)(struct socket *socket, struct socket_io *io);
	int (*shutdown)(struct socket *socket, int how);
	int (*name)(struct socket *socket, bool peer, uint8_t *name, unsigned *bytes);
	uint32_t (*poll)(struct socket *socket);
	/* What kernel/net/socket.c does not know itself. */
	int (*get_option)(struct socket *socket, int level, int option, void *value, unsigned *bytes);
	int (*set_option)(struct socket *socket, int level, int option, const void *value, unsigned bytes);
	uint64_t (*readable)(struct socket *socket); /* FIONREAD */
	uint64_t (*unsent)(struct socket *socket);   /* TIOCOUTQ */
	void (*release)(struct socket *socket);
};

/* A family's entry: fills ops and data. Type and protocol are unchecked. */
struct socket_family {
	int (*create)(struct socket *socket);
	int (*pair)(struct socket *a, struct socket *b); /* NULL: -EOPNOTSUPP */
};
extern const struct socket_family unix_family;

struct socket *socket_new(int family, int type, int protocol);
void socket_free(struct socket *socket); /* releases it; for sockets that have no file */
/* The file of a socket; on success it owns the socket. flags: O_NONBLOCK, O_CLOEXEC is the descriptor's. */
int socket_file(struct socket *socket, uint32_t flags, struct file **file);
/* Of a file: NULL if it is no socket. */
struct socket *socket_of_file(const struct file *file);
/* Deadline of a blocking call begun now, WAIT_FOREVER without a timeout. */
uint64_t socket_deadline(uint64_t timeout_ns);
/* What a sleep's -ETIMEDOUT and -EINTR become: -EAGAIN; -ERESTARTSYS, or -EINTR if there is a timeout. */
int socket_sleep_error(int error, uint64_t timeout_ns);

/* message.c */
void socket_rights_free(struct socket_rights *rights);
/* Reads a program's control data into io. */
int socket_control_read(struct socket_io *io, uint64_t control, uint64_t bytes);
/* Writes what io has received: descriptors are made. *bytes: in room, out used. */
int socket_control_write(struct socket *socket, struct socket_io *io, uint64_t control, uint64_t *bytes);

#endif
