/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a program in new namespaces with as few system calls and page copies as possible: the child
 * shares our memory until its exec (CLONE_VM, as vfork), but we do not wait. While it makes the slower
 * namespaces (a network namespace takes some 350 us) we do our own preparations; spawn_go() hands it the
 * descriptors and lets it exec. It dies if we die before.
 *
 * The program finds its end of a SOCK_SEQPACKET socket pair as descriptor SPAWN_SOCKET, the descriptors
 * of spawn_go() from SPAWN_FDS on, 0, 1 and 2, and no others.
 *
 * Until the program is heard from, struct spawn must neither change (but as said below) nor go away, and
 * no second one may be started.
 */
#ifndef LAMPO_RUN_SPAWN_H
#define LAMPO_RUN_SPAWN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/host/err.h"

#define SPAWN_SOCKET 3
#define SPAWN_FDS 4
#define SPAWN_FDS_MAX 24u

struct spawn {
	/* Filled by the caller before spawn_start() */
	bool new_session;            /* otherwise it stays in our process group, deaf to the terminal's signals */
	const sigset_t *signal_mask; /* for the program */
	/* Filled by the caller before spawn_go() */
	const char *path;
	char *const *argv;
	char *const *envp;
	/* Set by spawn_start() */
	pid_t pid;
	int socket;          /* our end; owned by the caller */
	bool user_namespace; /* it is in a new one */
	bool own_ids_only;   /* whose map has only our own ids */
	/* For the child */
	int child_socket;
	unsigned fd_count;
	bool stdio_given[3];
	/* Set by the child if its exec failed: negative errno */
	volatile int exec_error;
};

/* Makes the child in as many new namespaces as the host allows; err if not even a plain one. */
int spawn_start(struct spawn *spawn, struct err *err);
/* Gives it fds[0..count) (at most SPAWN_FDS_MAX) and, where not -1, stdio[] for its 0, 1 and 2, and lets
 * it exec. All remain the caller's. 0 or -errno. */
int spawn_go(struct spawn *spawn, const int *fds, unsigned count, const int stdio[3]);
/* Kills and reaps the child, closes the socket. */
void spawn_kill(struct spawn *spawn);

#endif
