/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that change names and attributes: SETATTR, MKNOD, MKDIR, SYMLINK, LINK, UNLINK, RMDIR, RENAME. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dev/fs_internal.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

/* Permission bits that a guest may give: no set-user-id or set-group-id file for others on the host to
 * run. On directories the group bit only says whose the files are. */
static uint32_t allowed_mode(uint32_t mode, uint32_t type) { return mode & (S_ISDIR(type) ? 03777u : 01777u); }

/* ---- SETATTR ------------------------------------------------------------------------------------------ */

static int set_size(struct fs_request *r, const struct fuse_setattr_in *in)
{
	if (in->size > INT64_MAX)
		return -EINVAL;
	if (S_ISDIR(r->node->type))
		return -EISDIR;
	if (!S_ISREG(r->node->type))
		return -EINVAL;
	if (in->valid & FATTR_FH) {
		struct fs_handle *handle = fs_handle_get(r->fs, in->fh);
		if (handle == NULL || !handle->writable || handle->node != fs_node_index(r->fs, r->node))
			return -EBADF;
		return ftruncate(handle->fd, (off_t)in->size) < 0 ? -errno : 0;
	}
	struct fs_handle *kept = fs_handle_of_node(r->fs, r->node, true);
	if (kept != NULL)
		return ftruncate(kept->fd, (off_t)in->size) < 0 ? -errno : 0;
	int fd = fs_node_open(r->fs, r->node, O_WRONLY);
	if (fd < 0)
		return fd;
	int error = ftruncate(fd, (off_t)in->size) < 0 ? -errno : 0;
	close(fd);
	return error;
}

static int set_mode(struct fs_request *r, const struct fuse_setattr_in *in)
{
	uint32_t mode = allowed_mode(in->mode, r->node->type);
	if (S_ISLNK(r->node->type))
		return -EOPNOTSUPP;
	struct fs_handle *handle = (in->valid & FATTR_FH) ? fs_handle_get(r->fs, in->fh) : NULL;
	if (handle == NULL)
		handle = fs_handle_of_node(r->fs, r->node, false);
	if (handle != NULL && handle->node == fs_node_index(r->fs, r->node))
		return fchmod(handle->fd, mode) < 0 ? -errno : 0;
	int fd = fs_node_open(r->fs, r->node, O_RDONLY);
	if (fd < 0) {
		/* Unlinked, a FIFO, or not readable: Linux 6.6 and later can do that. */
		if (syscall(SYS_fchmodat2, r->node->fd, "", mode, AT_EMPTY_PATH) == 0)
			return 0;
		if (errno != ENOSYS)
			return -errno;
		if (S_ISFIFO(r->node->type))
			fd = fs_node_open_fifo(r->fs, r->node);
	}
	if (fd < 0)
		return fd;
	int error = fchmod(fd, mode) < 0 ? -errno : 0;
	close(fd);
	return error;
}

static int set_owner(struct fs_request *r, const struct fuse_setattr_in *in)
{
	uid_t uid = (in->valid & FATTR_UID) ? in->uid : (uid_t)-1;
	gid_t gid = (in->valid & FATTR_GID) ? in->gid : (gid_t)-1;
	return fchownat(r->node->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static struct timespec time_of(const struct fuse_setattr_in *in, uint32_t set, uint32_t now, uint64_t seconds,
			       uint32_t ns)
{
	if (!(in->valid & set))
		return (struct timespec){.tv_nsec = UTIME_OMIT};
	if (in->valid & now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = ns};
}

static int set_times(struct fs_request *r, const struct fuse_setattr_in *in)
{
	struct timespec times[2] = {
	    time_of(in, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
	    time_of(in, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
	};
	return utimensat(r->node->fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int fs_op_setattr(struct fs_request *r)
{
	struct fuse_setattr_in in;
	memcpy(&in, r->args, sizeof(in));
	if (in.atimensec >= 1000000000u || in.mtimensec >= 1000000000u)
		return -EINVAL;
	if (r->node->place.visibility != FS_VISIBLE_ALL)
		return -EACCES;
	int error = 0;
	if (in.valid & FATTR_SIZE)
		error = set_size(r, &in);
	if (error == 0 && (in.valid & (FATTR_UID | FATTR_GID)))
		error = set_owner(r, &in);
	/* After the owner: changing that may drop bits of the mode. */
	if (error == 0 && (in.valid & FATTR_MODE))
		error = set_mode(r, &in);
	if (error == 0 && (in.valid & (FATTR_ATIME | FATTR_MTIME)))
		error = set_times(r, &in);
	return error < 0 ? error : fs_op_getattr(r);
}

/* ---- names -------------------------------------------------------------------------------------------- */

/* Whether names in this directory may be made, removed and moved, and this one among them. What the
 * filter names stays where it is, as mount points do: everything below was judged by its path. */
static int may_change(struct fs *fs, const struct fs_node *directory, const char *name)
{
	struct fs_place place;
	if (!S_ISDIR(directory->type))
		return -ENOTDIR;
	if (fs_node_is_read_only(fs, directory))
		return -EROFS;
	if (directory->place.visibility != FS_VISIBLE_ALL)
		return -EACCES;
	if (!fs_filter_step(&fs->exports[directory->export].filter, directory->place, name, &place))
		return -EACCES;
	return place.rule == FS_NO_RULE ? 0 : -EBUSY;
}

static int changeable_name(struct fs_request *r, size_t *offset, const char **name)
{
	int error = fs_request_name(r, offset, name);
	return error < 0 ? error : may_change(r->fs, r->node, *name);
}

/* The reply to an operation that made a name. */
static int reply_entry(struct fs_request *r, const char *name)
{
	struct fs_node *node;
	struct statx st;
	int error = fs_node_lookup(r->fs, r->node, name, false, &node, &st);
	if (error < 0)
		return error;
	fs_fill_entry(r->fs, node, &st, (struct fuse_entry_out *)r->out);
	r->out_bytes = sizeof(struct fuse_entry_out);
	return 0;
}

/* A guest that does not open files writes to this one next, and its mode may forbid to open it again: the
 * descriptor that made it is kept. */
static int make_file(struct fs_request *r, const char *name, uint32_t mode)
{
	struct statx st;
	int fd = fs_open_step(r->node->fd, name, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK | O_NOCTTY, mode);
	if (fd < 0)
		return fd;
	int error = reply_entry(r, name);
	struct fs_node *node = NULL;
	if (error == 0)
		node = fs_node_get(r->fs, ((struct fuse_entry_out *)r->out)->nodeid);
	if (node != NULL && r->fs->by_node && fs_stat(fd, "", &st) == 0 && fs_node_is(node, &st))
		fs_handle_keep(r->fs, node, fd, true);
	else
		close(fd);
	return error;
}

int fs_op_mknod(struct fs_request *r)
{
	struct fuse_mknod_in in;
	const char *name;
	size_t offset = sizeof(in);
	memcpy(&in, r->args, sizeof(in));
	int error = changeable_name(r, &offset, &name);
	if (error < 0)
		return error;
	uint32_t type = (in.mode & S_IFMT) == 0 ? S_IFREG : in.mode & S_IFMT;
	if (type != S_IFREG && type != S_IFIFO)
		return -EPERM;
	uint32_t mode = allowed_mode(in.mode & ~in.umask, type);
	if (type == S_IFREG)
		return make_file(r, name, mode);
	if (mknodat(r->node->fd, name, type | mode, 0) < 0)
		return -errno;
	return reply_entry(r, name);
}

int fs_op_mkdir(struct fs_request *r)
{
	struct fuse_mkdir_in in;
	const char *name;
	size_t offset = sizeof(in);
	memcpy(&in, r->args, sizeof(in));
	int error = changeable_name(r, &offset, &name);
	if (error < 0)
		return error;
	if (mkdirat(r->node->fd, name, allowed_mode(in.mode & ~in.umask, S_IFDIR)) < 0)
		return -errno;
	return reply_entry(r, name);
}

int fs_op_symlink(struct fs_request *r)
{
	const char *name;
	size_t offset = 0;
	int error = changeable_name(r, &offset, &name);
	if (error < 0)
		return error;
	/* Any text but nothing: it is never followed here. */
	const char *target = r->args + offset;
	if (offset >= r->args_bytes || memchr(target, '\0', r->args_bytes - offset) == NULL || target[0] == '\0')
		return -EINVAL;
	if (symlinkat(target, r->node->fd, name) < 0)
		return -errno;
	return reply_entry(r, name);
}

/* Gives `source` the name in r->node. The host can link only by name, so the result is compared. */
static int link_checked(struct fs_request *r, const struct fs_node *source, const char *name)
{
	struct statx st;
	if (source->name == NULL)
		return -ESTALE;
	if (fs_stat(fs_node_parent_fd(r->fs, source), source->name, &st) < 0 || !fs_node_is(source, &st))
		return -ESTALE;
	if (linkat(fs_node_parent_fd(r->fs, source), source->name, r->node->fd, name, 0) < 0)
		return -errno;
	if (fs_stat(r->node->fd, name, &st) < 0 || !fs_node_is(source, &st)) {
		unlinkat(r->node->fd, name, 0);
		return -ESTALE;
	}
	return 0;
}

int fs_op_link(struct fs_request *r)
{
	struct fuse_link_in in;
	const char *name;
	size_t offset = sizeof(in);
	memcpy(&in, r->args, sizeof(in));
	int error = changeable_name(r, &offset, &name);
	if (error < 0)
		return error;
	struct fs_node *source = fs_node_get(r->fs, in.oldnodeid);
	if (source == NULL)
		return -ESTALE;
	if (S_ISDIR(source->type))
		return -EPERM;
	/* Roots have no name to link by; another place would show more, or less, than the source's. */
	if (source->export != r->node->export || fs_node_index(r->fs, source) < r->fs->export_count ||
	    source->place.visibility != FS_VISIBLE_ALL)
		return -EXDEV;
	error = link_checked(r, source, name);
	return error < 0 ? error : reply_entry(r, name);
}

/* A name will go: the file stays for a guest that uses it without having opened it. */
static void name_goes(struct fs *fs, const struct fs_node *directory, const char *name)
{
	struct fs_node *node = fs_node_cached(fs, directory, name);
	if (node != NULL)
		fs_handle_pin(fs, node);
}

/* A name is gone: a node known by it has none, until it is looked up by another. */
static void name_gone(struct fs *fs, const struct fs_node *directory, const char *name)
{
	struct fs_node *node = fs_node_cached(fs, directory, name);
	if (node != NULL)
		fs_node_rename(fs, node, NULL, NULL);
}

static int remove_name(struct fs_request *r, int flags)
{
	const char *name;
	size_t offset = 0;
	int error = changeable_name(r, &offset, &name);
	if (error < 0)
		return error;
	if (flags == 0)
		name_goes(r->fs, r->node, name);
	if (unlinkat(r->node->fd, name, flags) < 0)
		return -errno;
	name_gone(r->fs, r->node, name);
	return 0;
}

int fs_op_unlink(struct fs_request *r) { return remove_name(r, 0); }
int fs_op_rmdir(struct fs_request *r) { return remove_name(r, AT_REMOVEDIR); }

/* The nodes known by the two names follow what the host did. */
static void names_moved(struct fs_request *r, struct fs_node *to, const char *old_name, const char *new_name,
			bool exchange)
{
	struct fs_node *moved = fs_node_cached(r->fs, r->node, old_name);
	struct fs_node *other = fs_node_cached(r->fs, to, new_name);
	/* Two links of one file: the host does nothing. */
	if (moved == other)
		return;
	if (other != NULL)
		fs_node_rename(r->fs, other, exchange ? r->node : NULL, exchange ? old_name : NULL);
	if (moved != NULL)
		fs_node_rename(r->fs, moved, to, new_name);
}

static int rename_common(struct fs_request *r, size_t offset, uint64_t new_directory, uint32_t flags)
{
	const char *old_name, *new_name;
	int error = fs_request_name(r, &offset, &old_name);
	if (error == 0)
		error = fs_request_name(r, &offset, &new_name);
	if (error != 0)
		return error;
	if ((flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0 ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	struct fs_node *to = fs_node_get(r->fs, new_directory);
	if (to == NULL)
		return -ESTALE;
	if (to->export != r->node->export)
		return -EXDEV;
	error = may_change(r->fs, r->node, old_name);
	if (error == 0)
		error = may_change(r->fs, to, new_name);
	if (error < 0)
		return error;
	if (!(flags & (RENAME_EXCHANGE | RENAME_NOREPLACE)))
		name_goes(r->fs, to, new_name);
	if (renameat2(r->node->fd, old_name, to->fd, new_name, flags) < 0)
		return -errno;
	names_moved(r, to, old_name, new_name, (flags & RENAME_EXCHANGE) != 0);
	return 0;
}

int fs_op_rename(struct fs_request *r)
{
	struct fuse_rename_in in;
	memcpy(&in, r->args, sizeof(in));
	return rename_common(r, sizeof(in), in.newdir, 0);
}

int fs_op_rename2(struct fs_request *r)
{
	struct fuse_rename2_in in;
	memcpy(&in, r->args, sizeof(in));
	return rename_common(r, sizeof(in), in.newdir, in.flags);
}
