/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/erofs_exercise.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

#define QUEUE 512u
#define ENTRIES 1000u

struct exercise {
	const struct erofs *fs;
	uint64_t queue[QUEUE];
	unsigned queued, errors;
	bool broken;
	uint8_t touched;
};

static void touch(struct exercise *e, const void *data, uint64_t bytes)
{
	const uint8_t *p = data;

	if (bytes > 0 && (p < e->fs->base || bytes > e->fs->bytes || p > e->fs->base + e->fs->bytes - bytes))
		e->broken = true;
	else if (bytes > 0)
		e->touched ^= p[0] ^ p[bytes - 1];
}

static void count_error(struct exercise *e, int64_t r)
{
	if (r >= 0)
		return;
	e->errors++;
	/* Nothing else means that the file system is bad. */
	e->broken |= r != -EUCLEAN && r != -EIO && r != -ENOENT && r != -ENOTDIR && r != -ELOOP && r != -ENAMETOOLONG;
}

static void visit_dir(struct exercise *e, const struct erofs_inode *dir)
{
	struct erofs_entry entry;
	uint64_t position = 0;
	int r = 0;

	for (unsigned i = 0; i < ENTRIES && (r = erofs_list(e->fs, dir, &position, &entry)) == 1; i++) {
		char name[EROFS_NAME_MAX];
		uint64_t nid;
		touch(e, entry.name, entry.length);
		e->broken |= entry.length == 0 || entry.length > EROFS_NAME_MAX || entry.type > 12;
		if (e->broken)
			return;
		memcpy(name, entry.name, entry.length);
		/* In a hostile directory it need not be found. */
		if (i % 8 == 0 || i < 16)
			count_error(e, erofs_lookup(e->fs, dir, name, entry.length, &nid, NULL));
		bool dots = name[0] == '.' && (entry.length == 1 || (entry.length == 2 && name[1] == '.'));
		if (!dots && e->queued < QUEUE)
			e->queue[e->queued++] = entry.nid;
	}
	count_error(e, r);
}

static void visit_data(struct exercise *e, const struct erofs_inode *inode)
{
	uint8_t buffer[8192];
	struct erofs_extent extent;
	uint64_t at = 0;

	for (unsigned i = 0; i < 64 && at < inode->size; i++) {
		int r = erofs_extent(e->fs, inode, at, &extent);
		count_error(e, r);
		if (r < 0)
			break;
		e->broken |= extent.bytes == 0 || extent.bytes > inode->size - at;
		if (!extent.hole)
			touch(e, e->fs->base + extent.offset, extent.bytes);
		at += extent.bytes;
	}
	count_error(e, erofs_read(e->fs, inode, 0, buffer, sizeof(buffer)));
	count_error(e, erofs_read(e->fs, inode, inode->size / 2, buffer, sizeof(buffer)));
	if (inode->size > 100)
		count_error(e, erofs_read(e->fs, inode, inode->size - 100, buffer, sizeof(buffer)));
	e->broken |= erofs_read(e->fs, inode, inode->size, buffer, 1) != 0;
}

static void visit(struct exercise *e, uint64_t nid)
{
	struct erofs_inode inode;
	struct erofs_xattr xattr;
	uint32_t position = 0, major, minor;
	int r = erofs_inode(e->fs, nid, &inode);

	count_error(e, r);
	if (r < 0)
		return;
	for (unsigned i = 0; i < 1024 && (r = erofs_xattr(e->fs, &inode, &position, &xattr)) == 1; i++) {
		touch(e, xattr.value, xattr.value_bytes);
		e->broken |= strnlen(xattr.name, sizeof(xattr.name)) == sizeof(xattr.name);
	}
	count_error(e, r);
	erofs_rdev(&inode, &major, &minor);
	uint32_t type = inode.mode & EROFS_MODE_TYPE;
	if (type == EROFS_MODE_DIR)
		visit_dir(e, &inode);
	if (type == EROFS_MODE_DIR || type == EROFS_MODE_FILE || type == EROFS_MODE_LINK)
		visit_data(e, &inode);
}

int erofs_exercise(const struct erofs *fs, unsigned most)
{
	static const char *const paths[] = {"/",           "",     "/a/b/c",      "/bin/program",
					    "/a/../a/./b", "loop", "/etc/small/", "usr/bin/alias"};
	struct exercise e = {.fs = fs};

	e.queue[e.queued++] = fs->root_nid;
	for (unsigned i = 0; i < e.queued && i < most && !e.broken; i++)
		visit(&e, e.queue[i]);
	for (unsigned i = 0; i < countof(paths) && !e.broken; i++) {
		struct erofs_inode inode;
		count_error(&e, erofs_walk(fs, paths[i], i % 2 == 0, &inode));
	}
	return e.broken ? -1 : (int)e.errors;
}
