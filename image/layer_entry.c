/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer_entry.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "image/layer.h"

#define WHITEOUT ".wh."
#define WHITEOUT_BYTES 4u
#define OPAQUE ".wh..wh..opq"
#define TIME_MAX ((int64_t)1 << 36) /* years from -207 to 4147: what every file system of today can say */

static bool name_is(const struct layer_place *place, const char *name)
{
	return place->length == strlen(name) && memcmp(place->name, name, place->length) == 0;
}

/* layer.md, "Whiteouts". A whiteout of what is not there is fine. */
static int whiteout(struct layer_names *names, const struct layer_place *place, struct err *err)
{
	if (name_is(place, OPAQUE))
		return place->dir != NULL ? layer_names_hide_children(names, place->dir, err) : 0;
	const char *name = place->name + WHITEOUT_BYTES;
	size_t length = place->length - WHITEOUT_BYTES;
	if (length == 0 || (length == 1 && name[0] == '.') || (length == 2 && name[0] == '.' && name[1] == '.'))
		return err_set(err, -EINVAL, "a whiteout of nothing!");
	if (length >= WHITEOUT_BYTES && memcmp(name, WHITEOUT, WHITEOUT_BYTES) == 0)
		return err_set(err, -EINVAL, "an unknown kind of whiteout!");
	struct tree_node *node = place->dir != NULL ? tree_find(place->dir, name, length) : NULL;
	return node != NULL ? layer_names_hide(names, node, err) : 0;
}

static bool is_below(const struct tree_node *node, const struct tree_node *top)
{
	for (; node != NULL; node = node->parent)
		if (node == top)
			return true;
	return false;
}

static int hard_link(struct layer_writer *to, const char *target, const struct layer_place *place, struct err *err)
{
	struct layer_place old;
	struct tree_node *node, *existing;

	int r = layer_names_find(&to->names, target, LAYER_LOOK, &old, err);
	if (r < 0)
		return err_wrap(err, "a hard link to \"%.200s\"", target);
	node = old.dir != NULL && old.length > 0 ? tree_find(old.dir, old.name, old.length) : NULL;
	if (node == NULL)
		return err_set(err, -ENOENT, "a hard link to \"%.200s\", which is not there!", target);
	if (S_ISDIR(node->inode->mode))
		return err_set(err, -EISDIR, "a hard link to \"%.200s\", which is a directory!", target);
	existing = tree_find(place->dir, place->name, place->length);
	if (existing != NULL && is_below(node, existing))
		return err_set(err, -EINVAL, "a hard link to \"%.200s\", which it replaces!", target);
	if (existing != NULL)
		tree_remove(to->names.tree, existing);
	r = tree_link(to->names.tree, place->dir, place->name, place->length, node->inode, &node);
	if (r < 0)
		return err_set(err, r, "cannot make the hard link");
	node->layer = to->names.layer;
	return 0;
}

static int xattrs(struct tree_inode *inode, struct archive_entry *entry, struct err *err)
{
	const char *name;
	const void *value;
	size_t bytes;

	tree_clear_xattrs(inode);
	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &bytes) == ARCHIVE_OK) {
		int r = name != NULL ? tree_set_xattr(inode, name, value, bytes) : -EOPNOTSUPP;
		if (r == -EOPNOTSUPP) /* another system's; Linux could not store it either */
			continue;
		if (r < 0)
			return err_set(err, r, "cannot keep its extended attribute %.100s", name);
	}
	return 0;
}

static int attributes(struct tree_inode *inode, struct archive_entry *entry, struct err *err)
{
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);

	/* The highest is -1 and means "nobody said" to the kernel. */
	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return err_set(err, -EINVAL, "impossible owner %lld:%lld!", (long long)uid, (long long)gid);
	inode->mode = (inode->mode & S_IFMT) | (archive_entry_mode(entry) & 07777);
	inode->uid = (uint32_t)uid;
	inode->gid = (uint32_t)gid;
	int64_t mtime = archive_entry_mtime_is_set(entry) ? archive_entry_mtime(entry) : 0;
	long ns = archive_entry_mtime_is_set(entry) ? archive_entry_mtime_nsec(entry) : 0;
	inode->mtime = mtime < -TIME_MAX ? -TIME_MAX : mtime > TIME_MAX ? TIME_MAX : mtime;
	inode->mtime_ns = ns >= 0 && ns < 1000000000 ? (uint32_t)ns : 0;
	return xattrs(inode, entry, err);
}

static int contents(struct layer_writer *to, struct archive *archive, struct archive_entry *entry,
		    struct tree_inode *inode, struct err *err)
{
	int64_t size = archive_entry_size(entry), at = 0, offset;
	const void *data;
	size_t bytes;
	int status;

	if (size < 0)
		return err_set(err, -EINVAL, "a size below zero!");
	if (size == 0)
		return 0;
	int r = image_writer_start(to->writer, err);
	while (r == 0 && (status = archive_read_data_block(archive, &data, &bytes, &offset)) != ARCHIVE_EOF) {
		if (status != ARCHIVE_OK)
			return err_set(err, -EBADMSG, "its contents are damaged!");
		if (offset < at || offset > size || bytes > (uint64_t)(size - offset))
			return err_set(err, -EBADMSG, "its pieces overlap or are beyond its size!");
		if (offset > at)
			r = image_writer_skip(to->writer, (uint64_t)(offset - at), err);
		if (r == 0 && bytes > 0)
			r = image_writer_write(to->writer, data, bytes, err);
		at = offset + (int64_t)bytes;
	}
	if (r == 0 && at < size)
		r = image_writer_skip(to->writer, (uint64_t)(size - at), err);
	return r == 0 ? image_writer_end(to->writer, &inode->data, err) : r;
}

static int fill_in(struct layer_writer *to, struct archive *archive, struct archive_entry *entry,
		   struct tree_inode *inode, struct err *err)
{
	int r = attributes(inode, entry, err);
	if (r < 0)
		return r;
	if (S_ISREG(inode->mode))
		return contents(to, archive, entry, inode, err);
	if (S_ISLNK(inode->mode)) {
		const char *target = archive_entry_symlink(entry);
		size_t length = target != NULL ? strnlen(target, LAYER_PATH_MAX) : 0;
		if (length == 0 || length >= LAYER_PATH_MAX)
			return err_set(err, -EINVAL, "a symbolic link to nothing, or with too long a target!");
		r = tree_set_target(inode, target, length);
		return r < 0 ? err_set(err, r, "cannot keep the symbolic link") : 0;
	}
	if (S_ISBLK(inode->mode) || S_ISCHR(inode->mode)) {
		uint64_t device = archive_entry_rdevmajor(entry), part = archive_entry_rdevminor(entry);
		if (device >= 1u << 12 || part >= 1u << 20)
			return err_set(err, -EINVAL, "impossible device number %llu:%llu!", (unsigned long long)device,
				       (unsigned long long)part);
		inode->rdev_major = (uint32_t)device;
		inode->rdev_minor = (uint32_t)part;
	}
	return 0;
}

/* The node for an entry: a directory keeps what is in it, anything else is replaced (a symbolic link, too: it is not
 * followed). */
static int node_make(struct layer_names *names, const struct layer_place *place, uint32_t type, struct tree_node **node,
		     struct err *err)
{
	if (place->length == 0) {
		*node = place->dir;
		return S_ISDIR(type) ? 0 : err_set(err, -EINVAL, "the root is no directory!");
	}
	*node = tree_find(place->dir, place->name, place->length);
	if (*node != NULL && S_ISDIR(type) && S_ISDIR((*node)->inode->mode))
		return 0;
	if (*node != NULL)
		tree_remove(names->tree, *node);
	int r = tree_add(names->tree, place->dir, place->name, place->length, type, node);
	return r < 0 ? err_set(err, r, "cannot put it into the image") : 0;
}

static int apply(struct layer_writer *to, struct archive *archive, struct archive_entry *entry, const char *path,
		 struct err *err)
{
	const char *target = archive_entry_hardlink(entry);
	uint32_t type = archive_entry_filetype(entry);
	const char *last = path + strlen(path);
	struct layer_place place;
	struct tree_node *node;
	int r;

	while (last > path && last[-1] == '/')
		last--;
	while (last > path && last[-1] != '/')
		last--;
	bool hides = strncmp(last, WHITEOUT, WHITEOUT_BYTES) == 0;
	to->names.work_max += LAYER_WORK_ENTRY;
	if ((r = layer_names_find(&to->names, path, hides ? LAYER_OLDER : LAYER_MAKE, &place, err)) < 0)
		return r;
	if (hides)
		return whiteout(&to->names, &place, err);
	if (target != NULL && place.length > 0)
		return hard_link(to, target, &place, err);
	if (target != NULL || (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFBLK &&
			       type != S_IFCHR && type != S_IFIFO))
		return err_set(err, -EINVAL, "it is of a kind that an image cannot have!");
	if ((r = node_make(&to->names, &place, type, &node, err)) < 0)
		return r;
	node->layer = to->names.layer;
	return fill_in(to, archive, entry, node->inode, err);
}

int layer_entry_apply(struct layer_writer *to, struct archive *archive, struct archive_entry *entry, struct err *err)
{
	const char *path = archive_entry_pathname(entry);

	if (path == NULL)
		return err_set(err, -EINVAL, "an entry has no name!");
	int r = apply(to, archive, entry, path, err);
	return r < 0 ? err_wrap(err, "\"%.200s\"", path) : 0;
}
