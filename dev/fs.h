/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-fs (virtio 1.2, 5.11): host directories for the guest, over FUSE (protocol 7.38). Queues: 0
 * high priority (FORGET), 1 requests. Requests are served in the call to notify: nothing here waits
 * for anything but the disk.
 *
 * An export is one host directory (or one file). Each has its own root node: id = index + 1. Node ids
 * never leave their export: there is no "..", names with '/' or NUL are refused, every step is one
 * openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS) from the parent's O_PATH
 * descriptor; symbolic links are given to the guest as text and never followed here. Only regular
 * files are opened for data; devices, sockets and FIFOs can be seen but not opened. Read-write exports:
 * device files cannot be made, set-user-id bits are dropped, and what the filter names (and all that it
 * shows with '?') cannot be changed, renamed or removed. Nothing inside a procfs is reachable.
 *
 * Host calls after fs_new(), for the jail's list: openat2 statx close fcntl(F_DUPFD_CLOEXEC) readlinkat
 * fstatfs faccessat2 preadv getdents64 lseek fgetxattr flistxattr; for read-write exports also pwritev
 * pwritev2 ftruncate fsync fdatasync syncfs fallocate copy_file_range fchmod fchmodat2 (may be refused
 * with ENOSYS) fchownat utimensat mknodat mkdirat symlinkat linkat unlinkat renameat2 fsetxattr
 * fremovexattr.
 */
#ifndef LAMPO_DEV_FS_H
#define LAMPO_DEV_FS_H

#include "dev/virtio_device.h"

#define FS_EXPORTS_MAX 12u
#define FS_TAG_MAX 36u

struct fs_export {
	int root_fd;    /* O_PATH; owned by the device from now on */
	bool read_only; /* every change fails with EROFS */
	/* If not NULL: only these subtrees of the export are visible; each is a relative path such as
	 * "usr" or "home/me/src". Their parent directories show nothing but the way to them. Owned by
	 * the caller and kept until free. A path that starts with '?' shows only what everybody may read
	 * (mode o+r, for directories o+x too): for "?etc". */
	const char *const *visible;
	unsigned visible_count;
	/* Relative paths that are hidden even inside a visible subtree, such as "etc/shadow". */
	const char *const *hidden;
	unsigned hidden_count;
};

struct fs_config {
	char tag[FS_TAG_MAX + 1];
	struct fs_export exports[FS_EXPORTS_MAX];
	unsigned export_count;
	/* Start as after FUSE_INIT: nucleo's device is preset. */
	bool preset;
	/* Bound on the descriptors held for directories and for files of writable exports that the guest knows;
	 * of the files of read-only exports it may know more (four times as many nodes in all). */
	unsigned nodes_max;
	/* Show the overflow ids (65534), as which a user namespace shows ids that it does not map, as 0. */
	bool overflow_to_root;
};

/* -EINVAL: no export, too many, nodes_max too small, or a bad path in a filter. Must run before the monitor
 * locks itself down: an export of one file is opened for data here. On failure the root_fds stay the
 * caller's. The process should have umask 0 (modes come from the guest) and ignore SIGXFSZ. */
int fs_new(struct virtio_device **device, const struct fs_config *config, const struct guest_memory *memory,
	   const struct virtio_host *host);

#endif
