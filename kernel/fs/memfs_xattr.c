/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of files in memory (xattr(7)). Those of a lower inode are taken over when they are first asked
 * for. */
#include "kernel/fs/overlay.h"

struct memfs_xattr {
	struct memfs_xattr *next;
	uint32_t size;
	uint16_t name_length;
	char data[]; /* name, NUL, value */
};

static bool xattr_allowed(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0 ||
	       strncmp(name, "security.", 9) == 0;
}

static struct memfs_xattr **xattr_find(struct memfs_inode *m, const char *name)
{
	struct memfs_xattr **at = &m->xattrs;

	while (*at != NULL && strcmp((*at)->data, name) != 0)
		at = &(*at)->next;
	return at;
}

int64_t memfs_get_xattr(struct inode *inode, const char *name, void *value, uint64_t size)
{
	struct memfs_xattr *x;
	int result = overlay_load_xattrs(inode);

	if (result < 0)
		return result;
	x = *xattr_find(memfs_of(inode), name);
	if (x == NULL) /* what the image has can be read, of whatever kind it is */
		return xattr_allowed(name) ? -ENODATA : -EOPNOTSUPP;
	if (size == 0)
		return x->size;
	if (size < x->size)
		return -ERANGE;
	memcpy(value, x->data + x->name_length + 1, x->size);
	return x->size;
}

static struct memfs_xattr *xattr_new(const char *name, const void *value, uint64_t size)
{
	size_t length = strlen(name);
	struct memfs_xattr *x = kmalloc(sizeof(*x) + length + 1 + size);

	if (x == NULL)
		return NULL;
	x->size = (uint32_t)size;
	x->name_length = (uint16_t)length;
	memcpy(x->data, name, length + 1);
	memcpy(x->data + length + 1, value, size);
	return x;
}

static void xattr_add(struct memfs_inode *m, struct memfs_xattr *x)
{
	x->next = m->xattrs;
	m->xattrs = x;
}

int memfs_add_xattr(struct memfs_inode *m, const char *name, const void *value, uint64_t size)
{
	struct memfs_xattr *x = xattr_new(name, value, size);

	if (x == NULL)
		return -ENOMEM;
	xattr_add(m, x);
	return 0;
}

int memfs_set_xattr(struct inode *inode, const char *name, const void *value, uint64_t size, int flags)
{
	struct memfs_xattr **at, *x = NULL;
	int result;

	if (!xattr_allowed(name))
		return -EOPNOTSUPP;
	result = overlay_load_xattrs(inode);
	if (result < 0)
		return result;
	at = xattr_find(memfs_of(inode), name);
	if (*at == NULL && (value == NULL || (flags & 2 /* XATTR_REPLACE */)))
		return -ENODATA;
	if (*at != NULL && (flags & 1 /* XATTR_CREATE */))
		return -EEXIST;
	if (value != NULL) {
		x = xattr_new(name, value, size);
		if (x == NULL)
			return -ENOMEM;
	}
	if (*at != NULL) {
		struct memfs_xattr *old = *at;

		*at = old->next;
		kfree(old);
	}
	if (x != NULL)
		xattr_add(memfs_of(inode), x);
	inode_touch(inode, INODE_TOUCH_CTIME);
	memfs_mark_dirty(inode);
	return 0;
}

int64_t memfs_list_xattr(struct inode *inode, char *to, uint64_t size)
{
	uint64_t used = 0;
	int result = overlay_load_xattrs(inode);

	if (result < 0)
		return result;
	for (struct memfs_xattr *x = memfs_of(inode)->xattrs; x != NULL; x = x->next) {
		if (size > 0) {
			if (used + x->name_length + 1 > size)
				return -ERANGE;
			memcpy(to + used, x->data, x->name_length + 1u);
		}
		used += x->name_length + 1u;
	}
	return (int64_t)used;
}

void memfs_free_xattrs(struct memfs_inode *m)
{
	while (m->xattrs != NULL) {
		struct memfs_xattr *next = m->xattrs->next;

		kfree(m->xattrs);
		m->xattrs = next;
	}
}
