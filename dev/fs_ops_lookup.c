/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that find and describe: INIT, LOOKUP, WALK, FORGET, GETATTR, READLINK, STATFS, ACCESS. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/fuse_walk.h"
#include "dev/fs_internal.h"

#define INIT_FLAGS                                                                                                     \
	(FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS |        \
	 FUSE_READDIRPLUS_AUTO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS | FUSE_INIT_EXT)

int fs_op_init(struct fs_request *r)
{
	/* Older drivers send the first four words only. */
	struct fuse_init_in in = {0};
	memcpy(&in, r->args, min_u64(sizeof(in), r->args_bytes));
	struct fuse_init_out *out = (struct fuse_init_out *)r->out;
	*out = (struct fuse_init_out){.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION};
	r->out_bytes = sizeof(*out);
	/* A newer major is answered with ours and asked again; before 7.36 the layouts differ. */
	if (in.major > FUSE_KERNEL_VERSION)
		return 0;
	if (in.major < FUSE_KERNEL_VERSION || in.minor < 31)
		return -EPROTO;
	fs_session_drop(r->fs);
	r->fs->started = true;
	out->max_readahead = in.max_readahead;
	out->flags = in.flags & INIT_FLAGS;
	out->max_write = FS_WRITE_BYTES_MAX;
	out->max_pages = FS_WRITE_BYTES_MAX / 4096u;
	out->time_gran = 1;
	out->max_background = VIRTQUEUE_SIZE_MAX;
	out->congestion_threshold = VIRTQUEUE_SIZE_MAX / 4 * 3;
	return 0;
}

int fs_op_destroy(struct fs_request *r)
{
	fs_session_drop(r->fs);
	r->fs->started = r->fs->preset;
	return 0;
}

int fs_op_lookup(struct fs_request *r)
{
	const char *name;
	struct fs_node *node;
	struct statx st;
	size_t offset = 0;
	int error = fs_request_name(r, &offset, &name);
	if (error == 0)
		error = fs_node_lookup(r->fs, r->node, name, false, &node, &st);
	if (error != 0)
		return error;
	fs_fill_entry(r->fs, node, &st, (struct fuse_entry_out *)r->out);
	r->out_bytes = sizeof(struct fuse_entry_out);
	return 0;
}

/* Splits the path in place; the number of components or -EINVAL. */
static int walk_split(struct fs_request *r, const char **names)
{
	char *path = r->fs->request;
	int count = 0;
	if (memchr(path, '\0', r->args_bytes) == NULL)
		return -EINVAL;
	for (;;) {
		size_t bytes = strcspn(path, "/");
		bool last = path[bytes] == '\0';
		int error = fs_name_check(path, bytes);
		if (error == -EINVAL || count == (int)LAMPO_WALK_COMPONENTS)
			return -EINVAL;
		names[count++] = path;
		path[bytes] = '\0';
		if (last)
			return count;
		path += bytes + 1;
	}
}

int fs_op_walk(struct fs_request *r)
{
	const char *names[LAMPO_WALK_COMPONENTS];
	struct lampo_walk_out *walk = (struct lampo_walk_out *)r->out;
	struct fuse_entry_out *entries = (struct fuse_entry_out *)(walk + 1);
	int count = walk_split(r, names);
	if (count < 0 || r->out_max < sizeof(*walk) + (unsigned)count * sizeof(*entries))
		return -EINVAL;

	struct fs_node *node = r->node;
	r->fs->by_node = true;
	*walk = (struct lampo_walk_out){0};
	for (int i = 0; i < count && walk->error == 0; i++) {
		struct statx st;
		struct fs_node *next;
		if (S_ISLNK(node->type))
			walk->error = -ELOOP;
		else if (strlen(names[i]) > FS_NAME_MAX)
			walk->error = -ENAMETOOLONG;
		else
			walk->error = fs_node_lookup(r->fs, node, names[i], i + 1 < count, &next, &st);
		if (walk->error == 0) {
			node = next;
			fs_fill_entry(r->fs, node, &st, &entries[walk->count++]);
		}
	}
	r->out_bytes = sizeof(*walk) + walk->count * sizeof(*entries);
	/* The text of a link at the end comes along if all of it has room. */
	size_t room = r->out_max - r->out_bytes;
	if (walk->count > 0 && S_ISLNK(node->type) && room > 0) {
		const char *name;
		int at = fs_node_at(r->fs, node, &name);
		ssize_t n = at < 0 ? -1 : readlinkat(at, name, r->out + r->out_bytes, room);
		if (n > 0 && (size_t)n < room)
			r->out_bytes += (size_t)n;
	}
	return 0;
}

int fs_op_forget(struct fs_request *r)
{
	struct fuse_forget_in in;
	memcpy(&in, r->args, sizeof(in));
	fs_node_forget(r->fs, r->node, in.nlookup);
	return 0;
}

int fs_op_batch_forget(struct fs_request *r)
{
	struct fuse_batch_forget_in in;
	memcpy(&in, r->args, sizeof(in));
	uint64_t fits = (r->args_bytes - sizeof(in)) / sizeof(struct fuse_forget_one);
	if (in.count > fits)
		return -EINVAL;
	for (uint32_t i = 0; i < in.count; i++) {
		struct fuse_forget_one one;
		memcpy(&one, r->args + sizeof(in) + i * sizeof(one), sizeof(one));
		struct fs_node *node = fs_node_get(r->fs, one.nodeid);
		if (node != NULL)
			fs_node_forget(r->fs, node, one.nlookup);
	}
	return 0;
}

int fs_op_getattr(struct fs_request *r)
{
	struct statx st;
	int error = fs_node_stat(r->fs, r->node, &st);
	if (error < 0)
		return error;
	struct fuse_entry_out entry;
	fs_fill_entry(r->fs, r->node, &st, &entry);
	*(struct fuse_attr_out *)r->out = (struct fuse_attr_out){.attr_valid = entry.attr_valid, .attr = entry.attr};
	r->out_bytes = sizeof(struct fuse_attr_out);
	return 0;
}

int fs_op_readlink(struct fs_request *r)
{
	if (!S_ISLNK(r->node->type))
		return -EINVAL;
	const char *name;
	int at = fs_node_at(r->fs, r->node, &name);
	if (at < 0)
		return at;
	ssize_t n = readlinkat(at, name, r->out, r->out_max);
	if (n < 0)
		return -errno;
	r->out_bytes = (size_t)n;
	return 0;
}

int fs_op_statfs(struct fs_request *r)
{
	struct statfs host;
	const char *name;
	int at = fs_node_at(r->fs, r->node, &name);
	if (at < 0)
		return at;
	if (fstatfs(at, &host) < 0)
		return -errno;
	struct fuse_statfs_out *out = (struct fuse_statfs_out *)r->out;
	*out = (struct fuse_statfs_out){
	    .st =
		{
		    .blocks = host.f_blocks,
		    .bfree = host.f_bfree,
		    .bavail = host.f_bavail,
		    .files = host.f_files,
		    .ffree = host.f_ffree,
		    .bsize = (uint32_t)host.f_bsize,
		    .namelen = FS_NAME_MAX,
		    .frsize = (uint32_t)host.f_frsize,
		},
	};
	r->out_bytes = sizeof(*out);
	return 0;
}

/* What the monitor may do: the guest's own credentials are the guest kernel's business. */
int fs_op_access(struct fs_request *r)
{
	struct fuse_access_in in;
	memcpy(&in, r->args, sizeof(in));
	if (in.mask & ~(uint32_t)(R_OK | W_OK | X_OK))
		return -EINVAL;
	if ((in.mask & W_OK) && fs_node_is_read_only(r->fs, r->node))
		return -EROFS;
	const char *name;
	int at = fs_node_at(r->fs, r->node, &name);
	if (at < 0)
		return at;
	if (syscall(SYS_faccessat2, at, name, in.mask, AT_EMPTY_PATH | AT_EACCESS | AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}
