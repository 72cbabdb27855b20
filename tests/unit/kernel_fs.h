/* SPDX-License-Identifier: Apache-2.0 */
/* Machine for tests of kernel/fs/: one process, program memory is the test's own, and a FUSE server over a
 * directory of the host instead of the monitor's. */
#ifndef TESTS_KERNEL_FS_H
#define TESTS_KERNEL_FS_H

#include "kernel/arch.h"

#define MOCK_NODE_ROOT 1u

/* Fresh RAM, an empty host directory; then fs_machine_start() boots the tree with it as root. */
void fs_machine_reset(void);
enum fs_machine_kind { FS_OVERLAY, FS_VOLUME, FS_VOLUME_READ_ONLY, FS_IMAGE };
/* The root is an overlay over the directory, with IMAGE over nucleo_host_image; VOLUME kinds have the directory mounted
 * on /vol too. */
void fs_machine_start(enum fs_machine_kind kind);
int fs_machine_try(enum fs_machine_kind kind); /* the result of fs_init() */
void fs_machine_end(void);                     /* removes the host directory */

extern uint64_t machine_now_ns;                                        /* CLOCK_MONOTONIC */
extern unsigned mock_exchanges, mock_reads, mock_writes, mock_forgets; /* requests since the reset */
extern int mock_fuse_error;                                            /* if not 0: the next request fails with it */
extern bool mock_no_walk;                                              /* the server has no LAMPO_FUSE_WALK */

/* The host's side; paths are relative to the directory. */
extern char host_directory[64], host_copy[64]; /* the second: for comparisons, made by host_copy_tree() */
void host_mkdir(const char *path);
void host_file(const char *path, const char *text);
void host_file_bytes(const char *path, uint64_t bytes); /* byte i is i * 7 + (i >> 12) */
void host_symlink(const char *path, const char *target);
void host_link(const char *from, const char *to);
void host_remove(const char *path);
const char *host_content(const char *path); /* "(none)" if missing */
/* All names below a directory with type, size and content's sum, one per line, sorted; free() it. */
char *host_tree(const char *directory);
void host_copy_tree(void);
/* The same call on the copy: 0 or -errno. op: c(reate) w(rite) t(runcate) u(nlink) r(mdir) m(kdir) n(rename) l(ink)
 * s(ymlink). */
int host_operation(char op, const char *a, const char *b, uint64_t number);

#endif
