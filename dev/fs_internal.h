/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the virtio-fs device: what its files share. Everything here runs with the device's lock held. */
#ifndef LAMPO_DEV_FS_INTERNAL_H
#define LAMPO_DEV_FS_INTERNAL_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/util.h"
#include "dev/fs.h"

#define FS_NAME_MAX 255u
#define FS_NONE UINT32_MAX
#define FS_HANDLES_MAX 4096u
/* Nodes that need no descriptor of their own come on top of those that do. */
#define FS_NODES_PER_DESCRIPTOR 4u
#define FS_NODES_MAX (1u << 17)
/* Handles that the server keeps for requests on a node itself (LAMPO_FH_NODE). */
#define FS_NODE_HANDLES_MAX 128u
/* The same for files that lost their name, which cannot be opened again. */
#define FS_PINNED_HANDLES_MAX 256u
#define FS_SHORT_NAME 40u
/* The largest request but for the data of WRITE: SETXATTR with a value of 64 KiB. */
#define FS_REQUEST_BYTES_MAX (65536u + 1024u)
/* The largest reply but for the data of READ. */
#define FS_REPLY_BYTES_MAX 65536u
#define FS_WRITE_BYTES_MAX (128u * 4096u)

/* ---- visibility filter: fs_filter.c ----------------------------------------------------------- */

/* What is visible of a directory's entries (of a file: itself). */
enum fs_visibility {
	FS_VISIBLE_WAY,    /* nothing but entries that the filter names */
	FS_VISIBLE_PUBLIC, /* what everybody may read; cannot be changed */
	FS_VISIBLE_ALL,
};

/* Where a node stands in the filter of its export. */
struct fs_place {
	uint16_t rule; /* index of the rule for exactly this path; 0 at the root, FS_NO_RULE: none at or below */
	uint8_t visibility;
};
#define FS_NO_RULE UINT16_MAX

struct fs_rule {
	char *name;
	uint16_t parent, first_child, next_sibling; /* FS_NO_RULE: none */
	bool hidden, shown;
	bool leads;         /* to one that is shown */
	uint8_t visibility; /* if shown */
};

struct fs_filter {
	struct fs_rule *rules; /* [0] is the root */
	unsigned count;
};

int fs_filter_init(struct fs_filter *filter, const struct fs_export *export);
void fs_filter_fini(struct fs_filter *filter);
struct fs_place fs_filter_root(const struct fs_filter *filter);
/* Place of `name` in a directory. False: not visible, whatever it is. A visible one in a PUBLIC place must
 * also pass fs_mode_is_public(). */
bool fs_filter_step(const struct fs_filter *filter, struct fs_place directory, const char *name,
		    struct fs_place *place);
bool fs_mode_is_public(uint32_t mode);

/* ---- nodes and handles: fs_node.c, fs_handle.c --------------------------------------------------- */

/* A file that the guest knows. FUSE node id = index in the table + 1; nodes 0 .. export_count - 1 are the
 * roots. Several names of one file are one node. Directories, and all files of writable exports, hold a
 * descriptor; the files of a read-only export, which counts as unchanging, are reached through their name, so
 * that a guest may know more files than the monitor may open. */
struct fs_node {
	int fd; /* O_PATH, or -1 */
	bool used;
	uint32_t type; /* S_IFMT part of the mode; never changes */
	uint64_t device, inode;
	uint64_t birth;       /* tells an inode number that was used again; 0: unknown */
	uint64_t generation;  /* unique over the device's life */
	uint64_t lookups;     /* that the guest holds */
	uint32_t refs;        /* handles and, in a directory, files named through it */
	uint64_t node_handle; /* of LAMPO_FH_NODE requests; 0 or stale: none */
	uint8_t export;
	bool closed; /* procfs: its files are ways into the monitor itself, so nothing in it is reachable */
	struct fs_place place;
	/* The name last seen, by which files are opened for data. Files hold a reference to the parent;
	 * directories do not (they open "." of themselves), so references make no cycle; hence the
	 * generation, to tell a stale parent. */
	uint32_t parent;
	uint64_t parent_generation;
	char *name;                  /* NULL: none; short_name or allocated */
	uint32_t id_next, name_next; /* hash chains: index + 1, 0: end. id_next also links the free list */
	char short_name[FS_SHORT_NAME];
};

struct fs_handle {
	int fd; /* -1: slot is free */
	uint32_t node;
	uint32_t serial; /* upper half of the FUSE handle: a stale one is refused */
	uint32_t next_free;
	bool directory, writable;
	int64_t position; /* directory: cookie at which the descriptor stands; -1: unknown */
};

struct fs_export_state {
	bool read_only;
	int file_fd;     /* export of one file: opened for data; else -1 */
	uint64_t device; /* st_dev of the root */
	struct fs_filter filter;
};

struct fs {
	struct virtio_device device;
	char tag[FS_TAG_MAX + 1];
	bool preset, started; /* started: INIT was seen */
	bool overflow_to_root;
	unsigned export_count;
	struct fs_export_state exports[FS_EXPORTS_MAX];

	struct fs_node *nodes;
	uint32_t nodes_max, nodes_used, nodes_free; /* used: slots ever touched; free: list of freed ones */
	uint32_t descriptors, descriptors_max;      /* of nodes */
	uint32_t *by_id, *by_name;                  /* hash buckets: index + 1, 0: empty */
	uint32_t hash_mask;
	size_t hash_bytes; /* of both tables, which are one mapping */
	uint64_t hash_seed, next_generation;

	struct fs_handle *handles;
	uint32_t handles_used, handles_free, next_serial;
	uint64_t node_handles[FS_NODE_HANDLES_MAX];     /* a ring: the oldest makes room */
	uint64_t pinned_handles[FS_PINNED_HANDLES_MAX]; /* the same */
	unsigned node_handle_next, pinned_handle_next;
	bool by_node; /* the guest does not open files: LAMPO_FH_NODE or WALK was seen */

	struct virtqueue_chain chain;
	struct iovec slice[VIRTQUEUE_SEGMENTS_MAX];
	_Alignas(8) char request[FS_REQUEST_BYTES_MAX + 1];
	_Alignas(8) char reply[FS_REPLY_BYTES_MAX];
	_Alignas(8) char scratch[FS_REPLY_BYTES_MAX];
};

int fs_nodes_init(struct fs *fs, const struct fs_config *config);
/* Forgets all nodes but the roots and closes all handles. */
void fs_session_drop(struct fs *fs);
void fs_nodes_fini(struct fs *fs);
/* NULL: the guest knows no such node. */
struct fs_node *fs_node_get(struct fs *fs, uint64_t id);
static inline uint32_t fs_node_index(const struct fs *fs, const struct fs_node *node)
{
	return (uint32_t)(node - fs->nodes);
}
/* Finds `name` in a directory: *node has one lookup more, *st says what it is. -ENOENT also if the filter
 * hides it. A good guess whether it is a directory saves a host call. */
int fs_node_lookup(struct fs *fs, struct fs_node *directory, const char *name, bool likely_directory,
		   struct fs_node **node, struct statx *st);
void fs_node_forget(struct fs *fs, struct fs_node *node, uint64_t lookups);
void fs_node_ref(struct fs_node *node);
void fs_node_unref(struct fs *fs, struct fs_node *node);
/* The node known under a name, or NULL. Costs no host call. */
struct fs_node *fs_node_cached(struct fs *fs, const struct fs_node *directory, const char *name);
/* The node has a new name (or none, name NULL). */
void fs_node_rename(struct fs *fs, struct fs_node *node, struct fs_node *directory, const char *name);
/* A descriptor for data on a regular file or directory, checked to be the node's file: -ESTALE if it is
 * not there any more, -EACCES for special files. `flags`: access mode, O_SYNC, O_TRUNC. */
int fs_node_open(struct fs *fs, const struct fs_node *node, int flags);
/* The same for a FIFO, to change its attributes, never for its data. */
int fs_node_open_fifo(struct fs *fs, const struct fs_node *node);
/* The directory in which a node with a name is found; only for nodes that are no directories. */
static inline int fs_node_parent_fd(const struct fs *fs, const struct fs_node *node)
{
	return fs->nodes[node->parent].fd;
}
/* How to reach a node: a descriptor and a name below it, "" for the descriptor's own file (AT_EMPTY_PATH).
 * -ESTALE: not any more. A name need not lead to the node still: compare with fs_node_is(). */
int fs_node_at(const struct fs *fs, const struct fs_node *node, const char **name);
/* -ESTALE if the node's name leads to another file. */
int fs_node_stat(const struct fs *fs, const struct fs_node *node, struct statx *st);
bool fs_node_is(const struct fs_node *node, const struct statx *st);
/* openat2() of one component with all RESOLVE_ limits: descriptor or -errno. */
int fs_open_step(int directory_fd, const char *name, int flags, uint32_t mode);
int fs_stat(int fd, const char *name, struct statx *st);

int fs_handles_init(struct fs *fs);
/* Takes the descriptor in any case. */
int fs_handle_add(struct fs *fs, struct fs_node *node, int fd, bool writable, uint64_t *id);
bool fs_handle_available(const struct fs *fs);
struct fs_handle *fs_handle_get(struct fs *fs, uint64_t id);
/* The handle for a request on `node_id` with FUSE handle `id`; LAMPO_FH_NODE opens the node, or uses the
 * descriptor of an earlier such request. NULL: *error says why (-EBADF, or the open's). */
struct fs_handle *fs_handle_for(struct fs *fs, uint64_t id, uint64_t node_id, bool writable, int *error);
/* The descriptor that is kept for such requests, if there is one that will do. */
struct fs_handle *fs_handle_of_node(struct fs *fs, const struct fs_node *node, bool writable);
/* Keeps a descriptor for such requests instead of an older one; takes it in any case. */
int fs_handle_keep(struct fs *fs, struct fs_node *node, int fd, bool writable);
/* Closes it, if there is one. */
void fs_handle_drop(struct fs *fs, struct fs_node *node);
/* To be called before a name of the node goes: a guest that never opens keeps the file by this. */
void fs_handle_pin(struct fs *fs, struct fs_node *node);
void fs_handle_close(struct fs *fs, struct fs_handle *handle);
void fs_handles_close(struct fs *fs);
void fs_handles_fini(struct fs *fs);

/* ---- requests: fs_request.c dispatches to fs_ops_*.c --------------------------------------------- */

struct fs_request {
	struct fs *fs;
	struct fuse_in_header in; /* copied from the guest once */
	struct fs_node *node;     /* in.nodeid; NULL for operations on a handle */
	/* What follows the header, but for the data of WRITE; a NUL follows. */
	const char *args;
	size_t args_bytes;
	/* Payload of the reply. */
	char *out;
	size_t out_max, out_bytes;
	bool placed; /* the payload is in the guest's buffers already */
};

/* Serves the request in fs->chain; returns the bytes written into it. */
uint32_t fs_request_serve(struct fs *fs);
/* The NUL-terminated name at *offset of the arguments, one that is safe to use as one component; *offset
 * moves behind it. -EINVAL, -ENAMETOOLONG. */
int fs_request_name(const struct fs_request *request, size_t *offset, const char **name);
/* Whether `name` is one component: not empty, no '/', not "." or "..". */
int fs_name_check(const char *name, size_t bytes);
bool fs_node_is_read_only(const struct fs *fs, const struct fs_node *node);
/* The inode number that the guest sees for a file on the file system of `node`. Numbers are unique per file
 * system, but an export may span several, which the guest sees as one. */
uint64_t fs_show_inode(const struct fs *fs, const struct fs_node *node, uint64_t inode);
void fs_fill_attr(const struct fs *fs, const struct fs_node *node, const struct statx *st, struct fuse_attr *attr);
void fs_fill_entry(const struct fs *fs, const struct fs_node *node, const struct statx *st,
		   struct fuse_entry_out *entry);

/* Each returns 0 (reply: out_bytes of out) or -errno. */
int fs_op_init(struct fs_request *r);
int fs_op_destroy(struct fs_request *r);
int fs_op_lookup(struct fs_request *r);
int fs_op_walk(struct fs_request *r);
int fs_op_forget(struct fs_request *r);
int fs_op_batch_forget(struct fs_request *r);
int fs_op_getattr(struct fs_request *r);
int fs_op_readlink(struct fs_request *r);
int fs_op_statfs(struct fs_request *r);
int fs_op_access(struct fs_request *r);
int fs_op_open(struct fs_request *r);
int fs_op_release(struct fs_request *r);
int fs_op_read(struct fs_request *r);
int fs_op_write(struct fs_request *r);
int fs_op_flush(struct fs_request *r);
int fs_op_fsync(struct fs_request *r);
int fs_op_syncfs(struct fs_request *r);
int fs_op_lseek(struct fs_request *r);
int fs_op_fallocate(struct fs_request *r);
int fs_op_copy_file_range(struct fs_request *r);
int fs_op_opendir(struct fs_request *r);
int fs_op_releasedir(struct fs_request *r);
int fs_op_readdir(struct fs_request *r);
int fs_op_readdirplus(struct fs_request *r);
int fs_op_setattr(struct fs_request *r);
int fs_op_create(struct fs_request *r);
int fs_op_mknod(struct fs_request *r);
int fs_op_mkdir(struct fs_request *r);
int fs_op_symlink(struct fs_request *r);
int fs_op_link(struct fs_request *r);
int fs_op_unlink(struct fs_request *r);
int fs_op_rmdir(struct fs_request *r);
int fs_op_rename(struct fs_request *r);
int fs_op_rename2(struct fs_request *r);
int fs_op_getxattr(struct fs_request *r);
int fs_op_listxattr(struct fs_request *r);
int fs_op_setxattr(struct fs_request *r);
int fs_op_removexattr(struct fs_request *r);

#endif
