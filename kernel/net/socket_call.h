/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that have the socket calls. */
#ifndef NUCLEO_NET_SOCKET_CALL_H
#define NUCLEO_NET_SOCKET_CALL_H

#include "kernel/net/socket.h"

/* The socket behind a descriptor, *file with a reference; NULL: *error is -EBADF or -ENOTSOCK. */
struct socket *socket_get(uint64_t fd, struct file **file, int *error);
/* A program's address into SOCKET_ADDRESS_BYTES; -EINVAL, -EFAULT. */
int socket_name_read(uint8_t *name, uint64_t va, uint64_t bytes);
/* The other way: cut to the program's room, its length is set to the whole. */
int socket_name_write(uint64_t va, uint64_t length_va, const uint8_t *name, unsigned bytes);
/* Through the family, with pending errors and SIGPIPE. What a receive leaves in io->rights is let go if
 * the caller does not want it. */
int64_t socket_send(struct socket *socket, struct socket_io *io);
int64_t socket_receive(struct socket *socket, struct socket_io *io);

/* readv and writev of a socket: one message. */
int64_t socket_vector(struct file *file, uint64_t iovec_va, uint64_t count, bool write);

#endif
