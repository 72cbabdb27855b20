/* SPDX-License-Identifier: Apache-2.0 */
/* Path walk (path_resolution(7)). */
#include <linux/fcntl.h>
#include <linux/limits.h>

#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"

/* Buffers are taken and given back by nearly every call: the last few are kept. */
static char *spare_buffers[4];
static unsigned spare_count;

char *path_buffer_get(void)
{
	if (spare_count > 0)
		return spare_buffers[--spare_count];
	return kmalloc(PATH_BYTES);
}

void path_buffer_put(char *buffer)
{
	if (buffer == NULL)
		return;
	if (spare_count < countof(spare_buffers))
		spare_buffers[spare_count++] = buffer;
	else
		kfree(buffer);
}

int path_from_user(uint64_t address, char **path)
{
	int64_t length;

	*path = path_buffer_get();
	if (*path == NULL)
		return -ENOMEM;
	length = user_string(*path, address, PATH_BYTES);
	if (length >= 0)
		return 0;
	path_buffer_put(*path);
	*path = NULL;
	return (int)length;
}

void mount_enter(struct dentry **dentry)
{
	while ((*dentry)->flags & DENTRY_MOUNTED) {
		struct dentry *root = NULL;

		list_for_each(node, &supers)
		{
			struct super *super = list_entry(node, struct super, node);

			if (super->point == *dentry)
				root = super->root; /* the last one mounted there */
		}
		if (root == NULL)
			return;
		dentry_get(root);
		dentry_put(*dentry);
		*dentry = root;
	}
}

struct walker {
	struct dentry *at;   /* reference */
	struct dentry *root; /* for absolute links and ".." ; borrowed from the process or the start */
	char *path;          /* what is left to do lies in the path buffer from here on */
	char *buffer;
	unsigned flags, links;
	struct walk *walk;
};

/* One step up, out of mounts; never above the root. */
static int step_up(struct walker *w)
{
	struct dentry *up = w->at;

	for (;;) {
		if (up == w->root)
			return w->flags & WALK_BENEATH ? -EXDEV : 0;
		if (up->parent != up) {
			up = up->parent;
			break;
		}
		if (up->super->root != up || up->super->point == NULL)
			return 0;
		if (w->flags & WALK_NO_XDEV)
			return -EXDEV;
		up = up->super->point;
	}
	dentry_get(up);
	dentry_put(w->at);
	w->at = up;
	mount_enter(&w->at);
	return 0;
}

static int go_to_root(struct walker *w)
{
	if (w->flags & WALK_BENEATH)
		return -EXDEV;
	if ((w->flags & WALK_NO_XDEV) && w->root->super != w->at->super)
		return -EXDEV;
	dentry_get(w->root);
	dentry_put(w->at);
	w->at = w->root;
	return 0;
}

/* Replaces the rest of the path by the link's text and the rest. w->at stays the directory. */
static int expand_link(struct walker *w, struct inode *link)
{
	size_t rest = strlen(w->path);
	char *text;
	int length;

	if (link->ops->readlink == NULL)
		return -EINVAL;
	text = path_buffer_get();
	if (text == NULL)
		return -ENOMEM;
	length = link->ops->readlink(link, text, PATH_BYTES - 1);
	if (length == 0)
		length = -ENOENT;
	if (length > 0 && (size_t)length + 1 + rest + 1 > PATH_BYTES)
		length = -ENAMETOOLONG;
	if (length > 0) {
		if (rest > 0) {
			text[length] = '/';
			memcpy(text + length + 1, w->path, rest + 1);
		} else {
			text[length] = '\0';
		}
		memcpy(w->buffer, text, (size_t)length + 1 + rest + 1);
		w->path = w->buffer;
	}
	path_buffer_put(text);
	if (length < 0)
		return length;
	return *w->path == '/' ? go_to_root(w) : 0;
}

static int follow_link(struct walker *w, struct dentry *link)
{
	struct dentry *target;
	int result;

	if (w->flags & WALK_NO_SYMLINKS)
		return -ELOOP;
	if (++w->links > SYMLINKS_MAX)
		return -ELOOP;
	if (link->inode->ops->follow == NULL)
		return expand_link(w, link->inode);
	if (w->flags & (WALK_NO_MAGICLINKS | WALK_BENEATH | WALK_IN_ROOT))
		return w->flags & WALK_NO_MAGICLINKS ? -ELOOP : -EXDEV;
	result = link->inode->ops->follow(link->inode, &target);
	if (result < 0)
		return result;
	if (result == 1) /* it is a link with text after all */
		return expand_link(w, link->inode);
	dentry_put(w->at);
	w->at = target;
	return 0;
}

/* Takes the next component off w->path. Returns its length, 0 at the end; *more: others follow;
 * *slash: it was followed by a '/'. */
static unsigned next_component(struct walker *w, char **name, bool *more, bool *slash)
{
	char *p = w->path;
	unsigned length = 0;

	while (*p == '/')
		p++;
	*name = p;
	while (p[length] != '\0' && p[length] != '/')
		length++;
	p += length;
	*slash = *p == '/';
	while (*p == '/')
		p++;
	*more = *p != '\0';
	w->path = p;
	return length;
}

/* The last component has been looked up: keeps the result or goes on along a link. 1: go on. */
static int last_component(struct walker *w, struct dentry *found, bool slash)
{
	struct walk *walk = w->walk;

	if (found->inode != NULL && inode_is_link(found->inode) && (slash || (w->flags & WALK_FOLLOW)) &&
	    !((w->flags & WALK_CREATE) && !(w->flags & WALK_FOLLOW))) {
		int result = follow_link(w, found);

		dentry_put(found);
		if (result < 0)
			return result;
		if (slash) {
			walk->slash = true;
			w->flags |= WALK_DIRECTORY;
		}
		return 1;
	}
	if (found->inode == NULL && !(w->flags & WALK_CREATE)) {
		dentry_put(found);
		return -ENOENT;
	}
	walk->slash |= slash;
	walk->parent = w->at;
	w->at = found;
	return 0;
}

static int step(struct walker *w)
{
	char *name;
	bool more, slash;
	unsigned length = next_component(w, &name, &more, &slash);
	struct dentry *found;
	int result;

	if (length == 0) {
		w->walk->special = true;
		return 0;
	}
	if (w->at->inode == NULL || !inode_is_dir(w->at->inode))
		return -ENOTDIR;
	result = inode_permission(w->at->inode, MAY_EXEC);
	if (result < 0)
		return result;
	if (name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'))) {
		result = length == 2 ? step_up(w) : 0;
		if (result == 0 && !more)
			w->walk->special = true;
		return result < 0 ? result : more;
	}
	result = dentry_lookup(w->at, name, length, w->path, &found);
	if (result < 0)
		return result;
	if (found->flags & DENTRY_MOUNTED) {
		if (w->flags & WALK_NO_XDEV) {
			dentry_put(found);
			return -EXDEV;
		}
		mount_enter(&found);
	}
	w->walk->name = name;
	w->walk->name_length = length;
	if (!more)
		return last_component(w, found, slash);
	if (found->inode == NULL)
		result = -ENOENT;
	else if (inode_is_link(found->inode))
		result = follow_link(w, found);
	else {
		dentry_put(w->at);
		w->at = found;
		return 1;
	}
	dentry_put(found);
	return result < 0 ? result : 1;
}

static int walk_start(struct walker *w, int dirfd)
{
	struct fs_context *fs = current->process->fs;
	struct file *file;

	w->root = fs->root;
	if (w->path[0] == '/' && !(w->flags & (WALK_BENEATH | WALK_IN_ROOT))) {
		w->at = dentry_get(fs->root);
		return 0;
	}
	if (w->path[0] == '/' && (w->flags & WALK_BENEATH))
		return -EXDEV;
	if (dirfd == AT_FDCWD) {
		w->at = dentry_get(fs->cwd);
	} else {
		file = fd_get(dirfd);
		if (file == NULL)
			return -EBADF;
		w->at = file->dentry != NULL ? dentry_get(file->dentry) : dentry_new_file(file);
		file_put(file);
		if (w->at == NULL)
			return -ENOMEM;
	}
	if (w->flags & (WALK_BENEATH | WALK_IN_ROOT))
		w->root = w->at;
	return 0;
}

int walk_path(int dirfd, char *path, unsigned flags, struct walk *walk)
{
	struct walker w = {.path = path, .buffer = path, .flags = flags, .walk = walk};
	struct dentry *root;
	int result;

	memset(walk, 0, sizeof(*walk));
	if (path[0] == '\0' && !(flags & WALK_EMPTY))
		return -ENOENT;
	result = walk_start(&w, dirfd);
	if (result < 0)
		return result;
	root = dentry_get(w.root);
	if (path[0] == '\0')
		walk->special = true;
	else
		do {
			result = step(&w);
		} while (result > 0);
	dentry_put(root);
	walk->dentry = w.at;
	if (result == 0 && walk->dentry->inode != NULL &&
	    (w.flags & WALK_DIRECTORY || (walk->slash && !(flags & WALK_CREATE))) && !inode_is_dir(walk->dentry->inode))
		result = -ENOTDIR;
	if (result == 0 && walk->parent == NULL)
		walk->special = true;
	if (result < 0)
		walk_done(walk);
	return result;
}

void walk_done(struct walk *walk)
{
	dentry_put(walk->dentry);
	dentry_put(walk->parent);
	walk->dentry = walk->parent = NULL;
}

bool walk_is_current(const struct walk *walk)
{
	const struct dentry *d = walk->dentry;

	if (d->super->root == d)
		return true; /* a mount point */
	return (d->flags & DENTRY_HASHED) && d->parent == walk->parent && d->name_length == walk->name_length &&
	       memcmp(d->name, walk->name, walk->name_length) == 0;
}

int walk_again(struct walk *walk)
{
	struct dentry *fresh;
	int result = dentry_lookup(walk->parent, walk->name, walk->name_length, "", &fresh);

	if (result < 0)
		return result;
	dentry_put(walk->dentry);
	walk->dentry = fresh;
	return 0;
}

int path_lookup(int dirfd, uint64_t user_path, unsigned flags, struct dentry **dentry)
{
	struct walk walk;
	char *path;
	int result = path_from_user(user_path, &path);

	if (result < 0)
		return result;
	result = walk_path(dirfd, path, flags, &walk);
	if (result == 0) {
		*dentry = dentry_get(walk.dentry);
		walk_done(&walk);
	}
	path_buffer_put(path);
	return result;
}

int path_lookup_kernel(const char *path, unsigned flags, struct dentry **dentry)
{
	struct walk walk;
	char *copy;
	int result;
	size_t length = strlen(path);

	if (length >= PATH_BYTES)
		return -ENAMETOOLONG;
	copy = path_buffer_get();
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, path, length + 1);
	result = walk_path(AT_FDCWD, copy, flags, &walk);
	if (result == 0) {
		*dentry = dentry_get(walk.dentry);
		walk_done(&walk);
	}
	path_buffer_put(copy);
	return result;
}
