/* SPDX-License-Identifier: Apache-2.0 */
/* Names of AF_UNIX sockets: abstract ones, and files (unix(7)). */
#include "kernel/fs/vfs.h"
#include "kernel/mm/page.h"
#include "kernel/net/unix.h"
#include "kernel/proc/process.h"

#define FAMILY_BYTES sizeof(uint16_t)

static struct list names = LIST_INIT(names);

void unix_name_put(struct unix_name *name)
{
	if (name == NULL || --name->references > 0)
		return;
	if (name->inode != NULL)
		inode_put(name->inode);
	kfree(name);
}

void unix_name_fill(const struct unix_name *name, uint8_t *to, unsigned *bytes)
{
	uint16_t family = AF_UNIX;
	memcpy(to, &family, FAMILY_BYTES);
	*bytes = FAMILY_BYTES;
	if (name == NULL)
		return;
	memcpy(to + FAMILY_BYTES, name->path, name->bytes);
	*bytes += name->bytes;
	/* A path's NUL counts, even where the program did not give one. */
	if (name->path[0] != '\0' && name->path[name->bytes - 1] != '\0')
		to[(*bytes)++] = '\0';
}

static int name_check(const uint8_t *name, unsigned bytes)
{
	uint16_t family;
	if (bytes < FAMILY_BYTES || bytes > FAMILY_BYTES + UNIX_PATH_BYTES)
		return -EINVAL;
	memcpy(&family, name, FAMILY_BYTES);
	return family != AF_UNIX ? -EINVAL : 0;
}

/* Sockets of each type have abstract names of their own. */
static struct unix_name *find_abstract(const uint8_t *path, unsigned bytes, int type)
{
	list_for_each(node, &names)
	{
		struct unix_name *name = list_entry(node, struct unix_name, node);
		if (name->inode == NULL && name->bytes == bytes && name->type == type &&
		    memcmp(name->path, path, bytes) == 0)
			return name;
	}
	return NULL;
}

static char *path_of(const uint8_t *path, unsigned bytes)
{
	char *buffer = path_buffer_get();
	if (buffer == NULL)
		return NULL;
	size_t length = strnlen((const char *)path, bytes);
	memcpy(buffer, path, length);
	buffer[length] = '\0';
	return buffer;
}

static int find_inode(struct inode *inode, struct unix_name **found)
{
	if ((inode->mode & S_IFMT) != S_IFSOCK)
		return -ECONNREFUSED;
	int r = inode_permission(inode, MAY_WRITE);
	if (r != 0)
		return r;
	list_for_each(node, &names)
	{
		struct unix_name *name = list_entry(node, struct unix_name, node);
		if (name->inode == inode) {
			*found = name;
			return 0;
		}
	}
	return -ECONNREFUSED;
}

int unix_name_find(const uint8_t *name, unsigned bytes, int type, struct unix_socket **found)
{
	const uint8_t *path = name + FAMILY_BYTES;
	struct unix_name *match = NULL;
	int r = name_check(name, bytes);

	if (r != 0)
		return r;
	if (bytes == FAMILY_BYTES)
		return -EINVAL; /* only bind has a use for no name at all */
	if (path[0] == '\0') {
		match = find_abstract(path, bytes - FAMILY_BYTES, type);
	} else {
		struct dentry *dentry;
		char *buffer = path_of(path, bytes - FAMILY_BYTES);
		if (buffer == NULL)
			return -ENOMEM;
		r = path_lookup_kernel(buffer, WALK_FOLLOW, &dentry);
		path_buffer_put(buffer);
		if (r != 0)
			return r;
		r = find_inode(dentry->inode, &match);
		dentry_put(dentry);
		if (r != 0)
			return r;
	}
	if (match == NULL || match->owner == NULL)
		return -ECONNREFUSED;
	*found = unix_get(match->owner);
	return 0;
}

/* Makes the socket file. */
static int make_file(const uint8_t *path, unsigned bytes, struct inode **inode)
{
	char *buffer = path_of(path, bytes);
	struct walk walk;

	if (buffer == NULL)
		return -ENOMEM;
	int r = walk_path(-100 /* AT_FDCWD */, buffer, WALK_CREATE, &walk);
	path_buffer_put(buffer);
	if (r != 0)
		return r;
	if (walk.special || walk.dentry->inode != NULL) {
		walk_done(&walk);
		return -EADDRINUSE;
	}
	struct inode *dir = walk.parent->inode;
	mutex_lock(&dir->mutex);
	if (walk.dentry->inode != NULL)
		r = -EADDRINUSE;
	else if ((dir->flags & INODE_DEAD) != 0 || (walk.dentry->flags & DENTRY_HASHED) == 0 || walk.slash)
		r = -ENOENT;
	else
		r = inode_permission(dir, MAY_WRITE | MAY_EXEC);
	if (r == 0)
		r = dir->ops->mknod == NULL
			? -EPERM
			: dir->ops->mknod(dir, walk.dentry, S_IFSOCK | (0777 & ~current->process->fs->umask), 0);
	if (r == 0)
		*inode = inode_get(walk.dentry->inode);
	mutex_unlock(&dir->mutex);
	walk_done(&walk);
	return r;
}

/* A free abstract name of five hexadecimal digits, for a bind without a name. */
static void autobind(struct unix_name *name)
{
	static uint32_t next;
	do {
		next = (next + 1) & 0xfffff;
		name->path[0] = '\0';
		ksnprintf((char *)name->path + 1, 6, "%05x", next);
		name->bytes = 6;
	} while (find_abstract(name->path, name->bytes, name->type) != NULL);
}

int unix_bind(struct socket *socket, const uint8_t *address, unsigned bytes)
{
	struct unix_socket *local = unix_of(socket);
	int r = name_check(address, bytes);

	if (r != 0)
		return r;
	if (local->name != NULL) /* asked for any name it is content with the one it has */
		return bytes == FAMILY_BYTES ? 0 : -EINVAL;
	struct unix_name *name = kzalloc(sizeof(*name));
	if (name == NULL)
		return -ENOMEM;
	name->references = 1;
	name->owner = local;
	name->type = socket->type;
	name->bytes = bytes - FAMILY_BYTES;
	memcpy(name->path, address + FAMILY_BYTES, name->bytes);
	list_init(&name->node);
	if (name->bytes == 0)
		autobind(name);
	else if (name->path[0] == '\0')
		r = find_abstract(name->path, name->bytes, name->type) != NULL ? -EADDRINUSE : 0;
	else
		r = make_file(name->path, name->bytes, &name->inode);
	if (r == 0 && local->name != NULL)
		r = -EINVAL; /* another thread was quicker */
	if (r != 0) {
		unix_name_put(name);
		return r;
	}
	if (name->inode != NULL)
		name->bytes = (unsigned)min_u64(strnlen((const char *)name->path, name->bytes) + 1, UNIX_PATH_BYTES);
	local->name = name;
	list_add(&names, &name->node);
	return 0;
}
