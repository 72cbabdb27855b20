/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader: directories and paths. A directory is a list of blocks; each has entries, in the order of their names,
 * and behind them the names. The first entry's name_offset tells how many entries there are.
 */
#include <errno.h>
#include <string.h>

#include "base/erofs.h"
#include "base/util.h"

#define LINKS_MAX 40u
#define PATH_MAX_BYTES 4096u

/* One block of a directory; bytes is less than a block in the last. */
struct dir_block {
	const uint8_t *at;
	unsigned bytes, count;
};

static int block_open(const struct erofs *fs, const struct erofs_inode *dir, uint64_t number, struct dir_block *block)
{
	struct erofs_disk_dirent first;
	struct erofs_extent extent;
	int r;

	r = erofs_extent(fs, dir, number * EROFS_BLOCK, &extent);
	if (r < 0)
		return r;
	block->bytes = (unsigned)min_u64(EROFS_BLOCK, dir->size - number * EROFS_BLOCK);
	if (extent.hole || extent.bytes < block->bytes || block->bytes < sizeof(first))
		return -EUCLEAN;
	r = erofs_verify(fs, extent.offset, block->bytes);
	if (r < 0)
		return r;
	block->at = fs->base + extent.offset;
	memcpy(&first, block->at, sizeof(first));
	block->count = first.name_offset / (unsigned)sizeof(first);
	if (block->count == 0 || first.name_offset % sizeof(first) != 0 || first.name_offset >= block->bytes)
		return -EUCLEAN;
	return 0;
}

/* FT_* of the file system as DT_* of struct dirent. */
static uint8_t entry_type(uint8_t type)
{
	static const uint8_t types[] = {0, 8, 4, 2, 6, 1, 12, 10};

	return type < countof(types) ? types[type] : 0;
}

/* How many bytes come before a NUL or slash. */
static unsigned plain_length(const char *name, unsigned bytes)
{
	unsigned n = 0;

	while (n < bytes && name[n] != '\0' && name[n] != '/')
		n++;
	return n;
}

static int block_entry(const struct dir_block *block, unsigned index, struct erofs_entry *entry)
{
	struct erofs_disk_dirent disk, next;
	unsigned start, end = block->bytes;

	memcpy(&disk, block->at + index * sizeof(disk), sizeof(disk));
	start = disk.name_offset;
	if (index + 1 < block->count) {
		memcpy(&next, block->at + (index + 1) * sizeof(next), sizeof(next));
		end = next.name_offset;
	}
	if (start < block->count * sizeof(disk) || start >= end || end > block->bytes)
		return -EUCLEAN;
	entry->nid = disk.nid;
	entry->name = (const char *)block->at + start;
	entry->type = entry_type(disk.type);
	unsigned length = plain_length(entry->name, end - start);
	/* The last name ends at the block's end or at a NUL. */
	bool whole = length == end - start || (index + 1 == block->count && entry->name[length] == '\0');
	if (!whole || length == 0 || length > EROFS_NAME_MAX)
		return -EUCLEAN;
	entry->length = length;
	return 0;
}

static int compare(const char *name, unsigned length, const struct erofs_entry *entry)
{
	int r = memcmp(name, entry->name, min_u64(length, entry->length));

	if (r != 0)
		return r;
	return length < entry->length ? -1 : length > entry->length;
}

static bool is_dir(const struct erofs_inode *inode) { return (inode->mode & EROFS_MODE_TYPE) == EROFS_MODE_DIR; }

/* The last block whose first name is not behind `name`. */
static int find_block(const struct erofs *fs, const struct erofs_inode *dir, const char *name, unsigned length,
		      struct dir_block *found)
{
	uint64_t low = 0, high = dir->size / EROFS_BLOCK + (dir->size % EROFS_BLOCK != 0);
	bool have = false;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct dir_block block;
		struct erofs_entry first;
		int r = block_open(fs, dir, middle, &block);
		if (r < 0)
			return r;
		r = block_entry(&block, 0, &first);
		if (r < 0)
			return r;
		if (compare(name, length, &first) < 0) {
			high = middle;
		} else {
			*found = block;
			have = true;
			low = middle + 1;
		}
	}
	return have ? 0 : -ENOENT;
}

int erofs_lookup(const struct erofs *fs, const struct erofs_inode *dir, const char *name, unsigned length,
		 uint64_t *nid, uint8_t *type)
{
	struct dir_block block;
	int r;

	if (!is_dir(dir))
		return -ENOTDIR;
	if (length > EROFS_NAME_MAX)
		return -ENAMETOOLONG;
	r = find_block(fs, dir, name, length, &block);
	if (r < 0)
		return r;
	for (unsigned low = 0, high = block.count; low < high;) {
		unsigned middle = low + (high - low) / 2;
		struct erofs_entry entry;
		r = block_entry(&block, middle, &entry);
		if (r < 0)
			return r;
		r = compare(name, length, &entry);
		if (r == 0) {
			*nid = entry.nid;
			if (type)
				*type = entry.type;
			return 0;
		}
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -ENOENT;
}

/* *position: where the entry is in the directory. */
int erofs_list(const struct erofs *fs, const struct erofs_inode *dir, uint64_t *position, struct erofs_entry *entry)
{
	if (!is_dir(dir))
		return -ENOTDIR;
	while (*position < dir->size) {
		struct dir_block block;
		uint64_t number = *position / EROFS_BLOCK;
		unsigned index = (unsigned)(*position % EROFS_BLOCK / sizeof(struct erofs_disk_dirent));
		int r = block_open(fs, dir, number, &block);
		if (r < 0)
			return r;
		if (index < block.count) {
			r = block_entry(&block, index, entry);
			if (r < 0)
				return r;
			*position = number * EROFS_BLOCK + (index + 1) * sizeof(struct erofs_disk_dirent);
			return 1;
		}
		*position = (number + 1) * EROFS_BLOCK;
	}
	return 0;
}

/* ---- paths ---- */

/* Puts the target of a symbolic link in front of `rest` (which lies in `buffer`, is empty or begins with a slash). */
static int link_prepend(const struct erofs *fs, const struct erofs_inode *link, char buffer[PATH_MAX_BYTES],
			const char *rest)
{
	size_t length = strlen(rest);
	int64_t n;

	if (link->size + length + 1 > PATH_MAX_BYTES)
		return -ENAMETOOLONG;
	memmove(buffer + link->size, rest, length + 1);
	n = erofs_read(fs, link, 0, buffer, link->size);
	if (n < 0)
		return (int)n;
	/* No NUL in the target. */
	return strlen(buffer) == link->size + length ? 0 : -EUCLEAN;
}

int erofs_walk(const struct erofs *fs, const char *path, bool follow_last, struct erofs_inode *inode)
{
	char buffer[PATH_MAX_BYTES];
	size_t length = strlen(path);
	unsigned links = 0;
	const char *p = buffer;
	int r;

	if (length >= sizeof(buffer))
		return -ENAMETOOLONG;
	memcpy(buffer, path, length + 1);
	r = erofs_inode(fs, fs->root_nid, inode);
	/* Bounded: each turn takes a component, and only LINKS_MAX times 4096 bytes come in. */
	while (r == 0) {
		struct erofs_inode dir = *inode;
		unsigned name_length = 0;
		uint64_t nid;

		while (*p == '/')
			p++;
		if (*p == '\0')
			return p > buffer && p[-1] == '/' && !is_dir(&dir) ? -ENOTDIR : 0;
		while (p[name_length] != '\0' && p[name_length] != '/')
			name_length++;
		r = erofs_lookup(fs, &dir, p, name_length, &nid, NULL);
		if (r == 0)
			r = erofs_inode(fs, nid, inode);
		if (r < 0)
			return r;
		const char *rest = p + name_length;
		bool last = *rest == '\0';
		p = rest;
		if ((inode->mode & EROFS_MODE_TYPE) != EROFS_MODE_LINK || (last && !follow_last))
			continue;
		if (++links > LINKS_MAX)
			return -ELOOP;
		r = link_prepend(fs, inode, buffer, rest);
		p = buffer;
		if (r == 0 && buffer[0] == '/')
			r = erofs_inode(fs, fs->root_nid, inode);
		else
			*inode = dir;
	}
	return r;
}
