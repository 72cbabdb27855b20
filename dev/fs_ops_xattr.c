/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: those of users ("user.") only; the others steer the host's own security. */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "dev/fs_internal.h"

/* Names of attributes obey other rules than names of files. */
static int attribute_name(const struct fs_request *r, size_t *offset, const char **name)
{
	const char *start = r->args + *offset;
	const char *end = *offset < r->args_bytes ? memchr(start, '\0', r->args_bytes - *offset) : NULL;
	if (end == NULL || end == start)
		return -EINVAL;
	if (end - start > XATTR_NAME_MAX)
		return -ERANGE;
	*name = start;
	*offset += (size_t)(end - start) + 1;
	return 0;
}

static bool is_user(const char *name) { return strncmp(name, "user.", 5) == 0; }

/* Only regular files and directories have such attributes. */
static bool can_have(const struct fs_node *node) { return S_ISREG(node->type) || S_ISDIR(node->type); }

/* The reply to a question for a size, or the bytes. */
static int reply_bytes(struct fs_request *r, ssize_t n, uint32_t asked)
{
	if (asked == 0) {
		*(struct fuse_getxattr_out *)r->out = (struct fuse_getxattr_out){.size = (uint32_t)n};
		n = sizeof(struct fuse_getxattr_out);
	} else if ((size_t)n > asked) {
		return -ERANGE;
	}
	if ((size_t)n > r->out_max)
		return -ERANGE;
	r->out_bytes = (size_t)n;
	return 0;
}

int fs_op_getxattr(struct fs_request *r)
{
	struct fuse_getxattr_in in;
	const char *name;
	size_t offset = sizeof(in);
	memcpy(&in, r->args, sizeof(in));
	int error = attribute_name(r, &offset, &name);
	if (error < 0)
		return error;
	if (!is_user(name) || !can_have(r->node))
		return -ENODATA;
	if (in.size == 0 && r->out_max < sizeof(struct fuse_getxattr_out))
		return -EINVAL;
	int fd = fs_node_open(r->fs, r->node, O_RDONLY);
	if (fd < 0)
		return fd;
	ssize_t n = fgetxattr(fd, name, r->out, in.size == 0 ? 0 : r->out_max);
	error = n < 0 ? -errno : 0;
	close(fd);
	return error < 0 ? error : reply_bytes(r, n, in.size);
}

int fs_op_listxattr(struct fs_request *r)
{
	struct fuse_getxattr_in in;
	memcpy(&in, r->args, sizeof(in));
	if (in.size == 0 && r->out_max < sizeof(struct fuse_getxattr_out))
		return -EINVAL;
	if (!can_have(r->node))
		return reply_bytes(r, 0, in.size);
	int fd = fs_node_open(r->fs, r->node, O_RDONLY);
	if (fd < 0)
		return fd;
	ssize_t n = flistxattr(fd, r->fs->scratch, sizeof(r->fs->scratch));
	int error = n < 0 ? -errno : 0;
	close(fd);
	if (error < 0)
		return error;
	/* What is left of the list is moved together at its start. */
	size_t kept = 0;
	for (ssize_t at = 0; at < n;) {
		const char *name = r->fs->scratch + at;
		size_t bytes = strlen(name) + 1;
		if (is_user(name)) {
			memmove(r->fs->scratch + kept, name, bytes);
			kept += bytes;
		}
		at += (ssize_t)bytes;
	}
	if (in.size != 0 && kept <= r->out_max)
		memcpy(r->out, r->fs->scratch, kept);
	return reply_bytes(r, (ssize_t)kept, in.size);
}

/* The checks that both changes share. */
static int may_change(const struct fs_request *r, const char *name)
{
	if (r->node->place.visibility != FS_VISIBLE_ALL)
		return -EACCES;
	return is_user(name) && can_have(r->node) ? 0 : -EOPNOTSUPP;
}

int fs_op_setxattr(struct fs_request *r)
{
	/* FUSE_SETXATTR_EXT is not offered: the short layout. */
	struct fuse_setxattr_in in = {0};
	const char *name;
	size_t offset = FUSE_COMPAT_SETXATTR_IN_SIZE;
	memcpy(&in, r->args, offset);
	int error = attribute_name(r, &offset, &name);
	if (error < 0)
		return error;
	if (in.size > r->args_bytes - offset || (in.flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)) != 0)
		return -EINVAL;
	error = may_change(r, name);
	if (error < 0)
		return error;
	int fd = fs_node_open(r->fs, r->node, O_RDONLY);
	if (fd < 0)
		return fd;
	error = fsetxattr(fd, name, r->args + offset, in.size, (int)in.flags) < 0 ? -errno : 0;
	close(fd);
	return error;
}

int fs_op_removexattr(struct fs_request *r)
{
	const char *name;
	size_t offset = 0;
	int error = attribute_name(r, &offset, &name);
	if (error == 0)
		error = may_change(r, name);
	if (error < 0)
		return error;
	int fd = fs_node_open(r->fs, r->node, O_RDONLY);
	if (fd < 0)
		return fd;
	error = fremovexattr(fd, name) < 0 ? -errno : 0;
	close(fd);
	return error;
}
