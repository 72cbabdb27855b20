/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: closing by scope, opening without following links, whole reads and writes. */
#ifndef LAMPO_RUN_FD_H
#define LAMPO_RUN_FD_H

#include <stddef.h>
#include <sys/types.h>

/* Closes *fd if it is not negative; errno is kept. */
void fd_close_scope(int *fd);
#define FD_AUTO __attribute__((cleanup(fd_close_scope)))

/* Gives the descriptor away: returns it and leaves -1. */
static inline int fd_take(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

/* openat2() with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, O_CLOEXEC added; a descriptor or -errno. */
int fd_open_beneath(int dir_fd, const char *path, int flags, mode_t mode);
/* Reads a whole small file beneath dir_fd into buffer, adds a NUL; bytes, or -errno (-EFBIG: too long). */
ssize_t fd_read_file(int dir_fd, const char *name, char *buffer, size_t size);
/* Makes the file beneath dir_fd (mode 0600, truncated) and writes it; 0 or -errno. */
int fd_write_file(int dir_fd, const char *name, const char *data, size_t size);
/* Writes all of it; 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t size);

#endif
