/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What musl 1.2.3 lacks of glibc's interface. The monitor is linked statically with musl: it starts in a
 * third of the time that the dynamic loader and glibc need (docs/measurements.md). Included before all
 * else (-include) where a file is compiled for musl; other files need not know.
 */
#ifndef LAMPO_BASE_HOST_MUSL_H
#define LAMPO_BASE_HOST_MUSL_H

#ifndef __GLIBC__
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/stat.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define RENAME_NOREPLACE (1u << 0)
#define RENAME_EXCHANGE (1u << 1)
#define RWF_APPEND 0x10

static inline int renameat2(int old_fd, const char *old_name, int new_fd, const char *new_name, unsigned flags)
{
	return (int)syscall(SYS_renameat2, old_fd, old_name, new_fd, new_name, flags);
}

static inline int statx(int fd, const char *path, int flags, unsigned mask, struct statx *st)
{
	return (int)syscall(SYS_statx, fd, path, flags, mask, st);
}

/* The kernel takes the offset in two halves, of which the upper one is not used here. */
static inline ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	return syscall(SYS_pwritev2, fd, iov, count, offset, 0, flags);
}
#endif

#endif
