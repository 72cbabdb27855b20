/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of files in memory (xattr(7)). Those of the overlay's lower files are not shown. */
#include "kernel/fs/memfs.h"

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

	if (!xattr_allowed(name))
		return -EOPNOTSUPP;
	x = *xattr_find(memfs_of(inode), name);
	if (x == NULL)
		return -ENODATA;
	if (size == 0)
		return x->size;
	if (size < x->size)
		return -ERANGE;
	memcpy(value, x->data + x->name_length + 1, x->size);
	return x->size;
}

int memfs_set_xattr(struct inode *inode, const char *name, const void *value, uint64_t size, int flags)
{
	struct memfs_xattr **at, *x = NULL;
	size_t length = strlen(name);

	if (!xattr_allowed(name))
		return -EOPNOTSUPP;
	at = xattr_find(memfs_of(inode), name);
	if (*at == NULL && (value == NULL || (flags & 2 /* XATTR_REPLACE */)))
		return -ENODATA;
	if (*at != NULL && (flags & 1 /* XATTR_CREATE */))
		return -EEXIST;
	if (value != NULL) {
		x = kmalloc(sizeof(*x) + length + 1 + size);
		if (x == NULL)
			return -ENOMEM;
		x->size = (uint32_t)size;
		x->name_length = (uint16_t)length;
		memcpy(x->data, name, length + 1);
		memcpy(x->data + length + 1, value, size);
	}
	if (*at != NULL) {
		struct memfs_xattr *old = *at;

		*at = old->next;
		kfree(old);
	}
	if (x != NULL) {
		x->next = memfs_of(inode)->xattrs;
		memfs_of(inode)->xattrs = x;
	}
	inode_touch(inode, INODE_TOUCH_CTIME);
	memfs_mark_dirty(inode);
	return 0;
}

int64_t memfs_list_xattr(struct inode *inode, char *to, uint64_t size)
{
	uint64_t used = 0;

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
