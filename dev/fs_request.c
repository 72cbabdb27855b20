/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a descriptor chain to an operation and back. A request is copied out of guest memory once and its
 * shape checked before anything is done; only the data of READ and WRITE stay where they are.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "abi/fuse_walk.h"
#include "dev/fs_internal.h"

#define OVERFLOW_ID 65534u
/* How long the guest may keep names and attributes without asking. A read-only export counts as
 * unchanging while the VM lives; a writable one is shared with the host. */
#define VALID_READ_ONLY_S 3600u
#define VALID_SHARED_S 1u

#define OP_NODE 1u    /* nodeid must be known */
#define OP_CHANGES 2u /* refused on a read-only export */
#define OP_NO_REPLY 4u
#define OP_EARLY 8u /* allowed before INIT */

struct fs_op {
	int (*serve)(struct fs_request *r);
	uint16_t in_bytes;  /* the least arguments */
	uint16_t out_bytes; /* the least room for the payload */
	uint8_t flags;
};

#define IN(type) sizeof(struct type)
static const struct fs_op ops[] = {
    [FUSE_LOOKUP] = {fs_op_lookup, 2, IN(fuse_entry_out), OP_NODE},
    [FUSE_FORGET] = {fs_op_forget, IN(fuse_forget_in), 0, OP_NODE | OP_NO_REPLY},
    [FUSE_GETATTR] = {fs_op_getattr, IN(fuse_getattr_in), IN(fuse_attr_out), OP_NODE},
    [FUSE_SETATTR] = {fs_op_setattr, IN(fuse_setattr_in), IN(fuse_attr_out), OP_NODE | OP_CHANGES},
    [FUSE_READLINK] = {fs_op_readlink, 0, 1, OP_NODE},
    [FUSE_SYMLINK] = {fs_op_symlink, 4, IN(fuse_entry_out), OP_NODE | OP_CHANGES},
    [FUSE_MKNOD] = {fs_op_mknod, IN(fuse_mknod_in) + 2, IN(fuse_entry_out), OP_NODE | OP_CHANGES},
    [FUSE_MKDIR] = {fs_op_mkdir, IN(fuse_mkdir_in) + 2, IN(fuse_entry_out), OP_NODE | OP_CHANGES},
    [FUSE_UNLINK] = {fs_op_unlink, 2, 0, OP_NODE | OP_CHANGES},
    [FUSE_RMDIR] = {fs_op_rmdir, 2, 0, OP_NODE | OP_CHANGES},
    [FUSE_RENAME] = {fs_op_rename, IN(fuse_rename_in) + 4, 0, OP_NODE | OP_CHANGES},
    [FUSE_LINK] = {fs_op_link, IN(fuse_link_in) + 2, IN(fuse_entry_out), OP_NODE | OP_CHANGES},
    [FUSE_OPEN] = {fs_op_open, IN(fuse_open_in), IN(fuse_open_out), OP_NODE},
    [FUSE_READ] = {fs_op_read, IN(fuse_read_in), 0, 0},
    [FUSE_WRITE] = {fs_op_write, IN(fuse_write_in), IN(fuse_write_out), 0},
    [FUSE_STATFS] = {fs_op_statfs, 0, IN(fuse_statfs_out), OP_NODE},
    [FUSE_RELEASE] = {fs_op_release, IN(fuse_release_in), 0, 0},
    [FUSE_FSYNC] = {fs_op_fsync, IN(fuse_fsync_in), 0, 0},
    [FUSE_SETXATTR] = {fs_op_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE + 2, 0, OP_NODE | OP_CHANGES},
    [FUSE_GETXATTR] = {fs_op_getxattr, IN(fuse_getxattr_in) + 2, 0, OP_NODE},
    [FUSE_LISTXATTR] = {fs_op_listxattr, IN(fuse_getxattr_in), 0, OP_NODE},
    [FUSE_REMOVEXATTR] = {fs_op_removexattr, 2, 0, OP_NODE | OP_CHANGES},
    [FUSE_FLUSH] = {fs_op_flush, IN(fuse_flush_in), 0, 0},
    [FUSE_INIT] = {fs_op_init, 16, IN(fuse_init_out), OP_EARLY},
    [FUSE_OPENDIR] = {fs_op_opendir, IN(fuse_open_in), IN(fuse_open_out), OP_NODE},
    [FUSE_READDIR] = {fs_op_readdir, IN(fuse_read_in), 0, 0},
    [FUSE_RELEASEDIR] = {fs_op_releasedir, IN(fuse_release_in), 0, 0},
    [FUSE_FSYNCDIR] = {fs_op_fsync, IN(fuse_fsync_in), 0, 0},
    [FUSE_ACCESS] = {fs_op_access, IN(fuse_access_in), 0, OP_NODE},
    [FUSE_CREATE] = {fs_op_create, IN(fuse_create_in) + 2, IN(fuse_entry_out) + IN(fuse_open_out),
		     OP_NODE | OP_CHANGES},
    [FUSE_DESTROY] = {fs_op_destroy, 0, 0, OP_EARLY},
    [FUSE_BATCH_FORGET] = {fs_op_batch_forget, IN(fuse_batch_forget_in), 0, OP_NO_REPLY},
    [FUSE_FALLOCATE] = {fs_op_fallocate, IN(fuse_fallocate_in), 0, 0},
    [FUSE_READDIRPLUS] = {fs_op_readdirplus, IN(fuse_read_in), 0, 0},
    [FUSE_RENAME2] = {fs_op_rename2, IN(fuse_rename2_in) + 4, 0, OP_NODE | OP_CHANGES},
    [FUSE_LSEEK] = {fs_op_lseek, IN(fuse_lseek_in), IN(fuse_lseek_out), 0},
    [FUSE_COPY_FILE_RANGE] = {fs_op_copy_file_range, IN(fuse_copy_file_range_in), IN(fuse_write_out), 0},
    [FUSE_SYNCFS] = {fs_op_syncfs, 0, 0, OP_NODE},
};
static const struct fs_op walk_op = {fs_op_walk, 2, IN(lampo_walk_out), OP_NODE};

static const struct fs_op *op_find(uint32_t opcode)
{
	if (opcode == LAMPO_FUSE_WALK)
		return &walk_op;
	return opcode < countof(ops) && ops[opcode].serve != NULL ? &ops[opcode] : NULL;
}

bool fs_node_is_read_only(const struct fs *fs, const struct fs_node *node)
{
	return fs->exports[node->export].read_only;
}

int fs_name_check(const char *name, size_t bytes)
{
	if (bytes == 0 || memchr(name, '/', bytes) != NULL)
		return -EINVAL;
	if (name[0] == '.' && (bytes == 1 || (bytes == 2 && name[1] == '.')))
		return -EINVAL;
	return bytes > FS_NAME_MAX ? -ENAMETOOLONG : 0;
}

int fs_request_name(const struct fs_request *request, size_t *offset, const char **name)
{
	if (*offset >= request->args_bytes)
		return -EINVAL;
	const char *start = request->args + *offset;
	const char *end = memchr(start, '\0', request->args_bytes - *offset);
	if (end == NULL)
		return -EINVAL;
	*name = start;
	*offset += (size_t)(end - start) + 1;
	return fs_name_check(start, (size_t)(end - start));
}

static uint32_t show_id(const struct fs *fs, uint32_t id) { return fs->overflow_to_root && id == OVERFLOW_ID ? 0 : id; }

/* Those on another file system than the root's get the upper bits changed. */
uint64_t fs_show_inode(const struct fs *fs, const struct fs_node *node, uint64_t inode)
{
	uint64_t other = node->device ^ fs->exports[node->export].device;
	return other == 0 ? inode : inode ^ ((other * 0x9e3779b97f4a7c15ull) & 0xffff000000000000ull);
}

void fs_fill_attr(const struct fs *fs, const struct fs_node *node, const struct statx *st, struct fuse_attr *attr)
{
	*attr = (struct fuse_attr){
	    .ino = fs_show_inode(fs, node, st->stx_ino),
	    .size = st->stx_size,
	    .blocks = st->stx_blocks,
	    .atime = (uint64_t)st->stx_atime.tv_sec,
	    .mtime = (uint64_t)st->stx_mtime.tv_sec,
	    .ctime = (uint64_t)st->stx_ctime.tv_sec,
	    .atimensec = st->stx_atime.tv_nsec,
	    .mtimensec = st->stx_mtime.tv_nsec,
	    .ctimensec = st->stx_ctime.tv_nsec,
	    .mode = st->stx_mode,
	    .nlink = st->stx_nlink,
	    .uid = show_id(fs, st->stx_uid),
	    .gid = show_id(fs, st->stx_gid),
	    /* As Linux encodes device numbers in 32 bits. */
	    .rdev = (st->stx_rdev_minor & 0xffu) | (st->stx_rdev_major << 8) | ((st->stx_rdev_minor & ~0xffu) << 12),
	    .blksize = st->stx_blksize,
	};
}

void fs_fill_entry(const struct fs *fs, const struct fs_node *node, const struct statx *st,
		   struct fuse_entry_out *entry)
{
	uint64_t valid = fs_node_is_read_only(fs, node) ? VALID_READ_ONLY_S : VALID_SHARED_S;
	*entry = (struct fuse_entry_out){
	    .nodeid = (uint64_t)fs_node_index(fs, node) + 1,
	    .generation = node->generation,
	    .entry_valid = valid,
	    .attr_valid = valid,
	};
	fs_fill_attr(fs, node, st, &entry->attr);
}

/* Copies the request out of guest memory and checks its shape. 0 or the error to answer with. */
static int request_decode(struct fs_request *r, const struct fs_op *op)
{
	const struct virtqueue_chain *chain = &r->fs->chain;
	uint64_t args = r->in.len - sizeof(r->in);
	if (r->in.len < sizeof(r->in) || r->in.len > chain->readable_bytes)
		return -EINVAL;
	/* Beyond the arguments lie the data of WRITE, which are not copied. */
	if (r->in.opcode == FUSE_WRITE)
		args = min_u64(args, sizeof(struct fuse_write_in));
	if (args < op->in_bytes)
		return -EINVAL;
	if (args > FS_REQUEST_BYTES_MAX)
		return -E2BIG;
	virtqueue_chain_read(chain, sizeof(r->in), r->fs->request, args);
	r->fs->request[args] = '\0';
	r->args = r->fs->request;
	r->args_bytes = args;
	r->out_max = FS_REPLY_BYTES_MAX;
	if (!(op->flags & OP_NO_REPLY)) {
		r->out_max = min_u64(r->out_max, chain->writable_bytes - sizeof(struct fuse_out_header));
		if (r->out_max < op->out_bytes)
			return -EINVAL;
	}
	r->out = r->fs->reply;
	return 0;
}

static int request_run(struct fs_request *r, const struct fs_op *op)
{
	if (op == NULL)
		return -ENOSYS;
	int error = request_decode(r, op);
	if (error < 0)
		return error;
	if (!r->fs->started && !(op->flags & OP_EARLY))
		return -EIO;
	if (op->flags & OP_NODE) {
		r->node = fs_node_get(r->fs, r->in.nodeid);
		if (r->node == NULL)
			return -ESTALE;
		if ((op->flags & OP_CHANGES) && fs_node_is_read_only(r->fs, r->node))
			return -EROFS;
	}
	return op->serve(r);
}

uint32_t fs_request_serve(struct fs *fs)
{
	const struct virtqueue_chain *chain = &fs->chain;
	struct fs_request r = {.fs = fs};
	if (virtqueue_chain_read(chain, 0, &r.in, sizeof(r.in)) != sizeof(r.in))
		return 0;
	const struct fs_op *op = op_find(r.in.opcode);
	bool reply = op == NULL || !(op->flags & OP_NO_REPLY);
	/* No room for even an error: nothing is done. */
	if (reply && chain->writable_bytes < sizeof(struct fuse_out_header))
		return 0;
	int error = request_run(&r, op);
	if (!reply)
		return 0;
	if (error < 0)
		r.out_bytes = 0;
	struct fuse_out_header out = {
	    .len = (uint32_t)(sizeof(out) + r.out_bytes),
	    .error = error,
	    .unique = r.in.unique,
	};
	virtqueue_chain_write(chain, 0, &out, sizeof(out));
	if (r.out_bytes > 0 && !r.placed)
		virtqueue_chain_write(chain, sizeof(out), r.out, r.out_bytes);
	return out.len;
}
