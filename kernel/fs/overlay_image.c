/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay over the image: EROFS, read in place (base/erofs.h). Whole pages of files are the image's own, for read
 * and mmap alike; the ends of files and what lies in holes or inline are made when somebody wants it. Every block is
 * verified before it is looked at (kernel/mm/image.h). The file system may be hostile: the reader checks what it finds,
 * and a program may see nonsense, but nothing beyond the image. Nothing here sleeps.
 */
#include "base/erofs.h"
#include "kernel/fs/overlay.h"
#include "kernel/mm/image.h"

static struct erofs image;

static int image_check(void *context, uint64_t offset, uint64_t bytes)
{
	(void)context;
	return image_verify(offset, bytes, offset, offset + bytes, 0);
}

/* Node numbers are EROFS's plus one, for 0 means none; they are the inode numbers as well. */
static uint64_t id_of(uint64_t nid) { return nid + 1; }

static int read_inode(struct inode *inode, struct erofs_inode *e)
{
	return erofs_inode(&image, memfs_of(inode)->lower.id - 1, e);
}

/* ---- data ---- */

static int image_locate(struct cache *cache, uint64_t index, struct cache_extent *extent)
{
	struct memfs_inode *m = memfs_of(cache->owner);
	uint64_t whole = m->lower_bytes >> PAGE_SHIFT; /* pages that are not cut off anywhere */
	struct erofs_inode e;
	struct erofs_extent piece;
	uint64_t first = 0;
	int result;

	extent->pages = 0;
	if (index >= whole)
		return 0;
	result = read_inode(&m->inode, &e);
	if (result < 0)
		return result;
	/* All blocks of a file lie together, or all of a chunk. */
	if (e.layout == EROFS_LAYOUT_CHUNKED)
		first = index & ~((1ull << (e.u & EROFS_CHUNK_BITS_MASK)) - 1);
	result = erofs_extent(&image, &e, first << PAGE_SHIFT, &piece);
	if (result < 0)
		return result;
	if (piece.hole || (piece.offset & (PAGE_SIZE - 1)) != 0)
		return 0;
	extent->index = first;
	extent->offset = piece.offset;
	extent->pages = min_u64(piece.bytes >> PAGE_SHIFT, whole - first);
	if (index - first >= extent->pages)
		extent->pages = 0;
	return 0;
}

static int image_fill(struct cache *cache, uint64_t index, struct page **pages, unsigned count)
{
	struct memfs_inode *m = memfs_of(cache->owner);
	struct erofs_inode e;
	int64_t result = read_inode(&m->inode, &e);

	for (unsigned i = 0, n = 1; i < count && result >= 0; i += n) {
		uint64_t at = (index + i) << PAGE_SHIFT, offset;
		int run = cache_image_run(cache, index + i, count - i, &offset);

		n = run > 0 ? (unsigned)run : 1;
		if (run < 0)
			result = run;
		else if (run > 0) /* the caller wants copies */
			result = image_copy(offset, pages + i, n);
		else if (at < m->lower_bytes)
			result =
			    erofs_read(&image, &e, at, page_address(pages[i]), min_u64(m->lower_bytes - at, PAGE_SIZE));
	}
	return result < 0 ? (int)result : 0;
}

static const struct cache_ops image_cache_ops = {.fill = image_fill, .locate = image_locate};

/* ---- inodes ---- */

/* Times that 64 bits of nanoseconds cannot hold become the farthest ones. */
static int64_t to_ns(int64_t seconds, uint32_t ns)
{
	int64_t all;

	if (__builtin_mul_overflow(seconds, (int64_t)NS_PER_SECOND, &all) ||
	    __builtin_add_overflow(all, (int64_t)ns, &all))
		return seconds < 0 ? INT64_MIN : INT64_MAX;
	return all;
}

static void take_attributes(struct memfs_inode *m, const struct erofs_inode *e)
{
	struct inode *inode = &m->inode;
	uint32_t type = e->mode & S_IFMT;

	inode->mode = e->mode;
	inode->uid = e->uid;
	inode->gid = e->gid;
	inode->nlink = e->nlink;
	inode->ino = id_of(e->nid);
	inode->atime_ns = inode->mtime_ns = inode->ctime_ns = to_ns(e->mtime, e->mtime_ns);
	if (type == S_IFREG || type == S_IFDIR || type == S_IFLNK)
		inode->cache.size = e->size;
	if (type == S_IFREG)
		m->lower_bytes = e->size;
	if (type == S_IFCHR || type == S_IFBLK) {
		uint32_t major, minor;

		erofs_rdev(e, &major, &minor);
		inode->rdev = MAKE_RDEV(major, minor);
	}
}

static int image_inode(struct super *super, uint64_t nid, struct inode **inode)
{
	struct erofs_inode e;
	struct memfs_inode *m;
	bool fresh;
	int result;

	*inode = node_find(super, id_of(nid));
	if (*inode != NULL)
		return 0;
	result = erofs_inode(&image, nid, &e);
	if (result < 0)
		return result;
	m = overlay_inode(super, id_of(nid), e.mode, &fresh);
	if (m == NULL)
		return -ENOMEM;
	take_attributes(m, &e);
	*inode = &m->inode;
	return 0;
}

/* ---- names ---- */

static int image_lookup(struct inode *dir, struct dentry *dentry, const char *rest)
{
	struct erofs_inode e;
	struct inode *inode = NULL;
	uint64_t nid;
	int result = read_inode(dir, &e);

	(void)rest;
	if (result == 0)
		result = erofs_lookup(&image, &e, dentry->name, dentry->name_length, &nid, NULL);
	if (result == 0)
		result = image_inode(dir->super, nid, &inode);
	if (result < 0)
		return result == -ENOENT ? 0 : result;
	dentry_instantiate(dentry, inode);
	dentry->flags |= DENTRY_LOWER;
	return 1;
}

static bool is_dot(const struct erofs_entry *entry)
{
	return entry->name[0] == '.' && (entry->length == 1 || (entry->length == 2 && entry->name[1] == '.'));
}

static int image_list(struct inode *dir, struct dir_list *list)
{
	struct erofs_inode e;
	struct erofs_entry entry;
	uint64_t position = 0;
	int result = read_inode(dir, &e);

	if (result < 0)
		return result;
	while ((result = erofs_list(&image, &e, &position, &entry)) > 0) {
		if (is_dot(&entry))
			continue;
		result = dir_list_add(list, entry.name, entry.length, id_of(entry.nid), entry.type);
		if (result < 0)
			break;
	}
	return result;
}

static int image_readlink(struct inode *link, char *to, size_t size)
{
	struct erofs_inode e;
	int result = read_inode(link, &e);

	return result < 0 ? result : (int)erofs_read(&image, &e, 0, to, size);
}

static int image_load_xattrs(struct inode *inode)
{
	struct erofs_inode e;
	struct erofs_xattr xattr;
	uint32_t position = 0;
	int result = read_inode(inode, &e);

	if (result < 0)
		return result;
	while ((result = erofs_xattr(&image, &e, &position, &xattr)) > 0) {
		result = memfs_add_xattr(memfs_of(inode), xattr.name, xattr.value, xattr.value_bytes);
		if (result < 0)
			break;
	}
	return result;
}

static const struct lower_ops image_ops = {
    .lookup = image_lookup,
    .list = image_list,
    .readlink = image_readlink,
    .load_xattrs = image_load_xattrs,
    .forget = node_remove,
    .cache = &image_cache_ops,
};

int overlay_image_new(struct super **super)
{
	struct erofs_inode root;
	int result = erofs_open(&image, image_base(), image_bytes(), image_check, NULL);

	if (result == 0)
		result = erofs_inode(&image, image.root_nid, &root);
	if (result == 0 && (root.mode & S_IFMT) != S_IFDIR)
		result = -EUCLEAN;
	if (result == 0)
		result = overlay_new(&image_ops, NODE_IN_IMAGE, id_of(image.root_nid), super);
	if (result == 0)
		take_attributes(memfs_of((*super)->root->inode), &root);
	return result;
}
