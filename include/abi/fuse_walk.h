/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One FUSE request more than the protocol has: resolve a whole relative path in one exchange. Only
 * nucleo sends it; a Linux guest never does, and a server that does not know it answers ENOSYS, after
 * which nucleo uses LOOKUP. FUSE node ids of the exports: export i of a device has node id i + 1.
 *
 * Request:  fuse_in_header (opcode LAMPO_FUSE_WALK, nodeid = the directory to start from), then the
 *           path: components separated by single '/', no leading '/', no "." or "..", NUL-terminated,
 *           at most LAMPO_WALK_COMPONENTS of them.
 * Reply:    fuse_out_header, lampo_walk_out, then `count` fuse_entry_out, one for each component
 *           resolved, in order (each counts as one lookup). The walk stops after the first component
 *           that is no directory; with components left `error` is then -ENOTDIR (or -ELOOP, if it is a
 *           symbolic link). A missing component: error -ENOENT; other errors alike. error 0: all found.
 */
#ifndef LAMPO_ABI_FUSE_WALK_H
#define LAMPO_ABI_FUSE_WALK_H

#include <stdint.h>

#define LAMPO_FUSE_WALK 0x4c57u
#define LAMPO_WALK_COMPONENTS 16u

struct lampo_walk_out {
	uint32_t count;
	int32_t error;
};

/*
 * If the last entry of a walk is a symbolic link, its text may follow the entries (without a NUL, as far as
 * the reply's length says, only if the whole text has room): it saves the READLINK.
 *
 * No OPEN either: FUSE_READ, FUSE_WRITE, FUSE_FSYNC, FUSE_FALLOCATE, FUSE_READDIR and FUSE_READDIRPLUS with
 * fh = LAMPO_FH_NODE act on the node itself; the server opens it (O_RDONLY for reads, O_RDWR for the
 * others) for the request and may keep a few descriptors open. Errors of the open are the request's.
 * A READDIR at offset 0 begins anew; nucleo reads a directory from front to back without a pause.
 * A READDIR reply that leaves LAMPO_LIST_ROOM bytes of the size asked for is the last one.
 */
#define LAMPO_FH_NODE (~0ull)
#define LAMPO_LIST_ROOM 512u

#endif
