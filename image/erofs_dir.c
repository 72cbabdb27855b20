/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of the file system: blocks of entries, which the names follow. Names are in bytewise order over the whole
 * directory, "." and ".." among them, so that a reader can search for the block and then in it.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "image/writer_parts.h"

#define ENTRIES_MAX (EROFS_BLOCK / (sizeof(struct erofs_disk_dirent) + 1))

struct dir_entry {
	const char *name;
	unsigned length;
	const struct tree_inode *inode;
};

void dir_cursor_start(struct dir_cursor *cursor, struct tree_node *dir)
{
	*cursor = (struct dir_cursor){.dir = dir, .children = tree_sorted(dir)};
}

/* The next name without going on; false at the end. */
static bool cursor_look(const struct dir_cursor *cursor, struct dir_entry *entry)
{
	const struct tree_node *dir = cursor->dir;
	const struct tree_node *child = cursor->next < dir->child_count ? cursor->children[cursor->next] : NULL;

	if (cursor->dots < 2) {
		unsigned length = cursor->dots + 1;
		/* No child is called so; one that is longer and begins so comes behind. */
		int r = child ? memcmp("..", child->name, min_u64(length, child->name_length)) : -1;
		if (r < 0 || (r == 0 && length < child->name_length)) {
			const struct tree_node *target = cursor->dots == 1 && dir->parent ? dir->parent : dir;
			*entry = (struct dir_entry){"..", length, target->inode};
			return true;
		}
	}
	if (!child)
		return false;
	*entry = (struct dir_entry){child->name, child->name_length, child->inode};
	return true;
}

static void cursor_advance(struct dir_cursor *cursor, const struct dir_entry *entry)
{
	if (cursor->next < cursor->dir->child_count && entry->name == cursor->children[cursor->next]->name)
		cursor->next++;
	else
		cursor->dots++;
}

static uint8_t entry_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFSOCK:
		return 6;
	default:
		return 7;
	}
}

/* As many names as fit a block: how many, and their bytes with the entries'. */
static unsigned take_entries(struct dir_cursor *cursor, struct dir_entry entries[ENTRIES_MAX], unsigned *bytes)
{
	unsigned count = 0;

	*bytes = 0;
	while (cursor_look(cursor, &entries[count])) {
		unsigned more = (unsigned)sizeof(struct erofs_disk_dirent) + entries[count].length;
		if (*bytes + more > EROFS_BLOCK)
			break;
		*bytes += more;
		cursor_advance(cursor, &entries[count++]);
		if (count == ENTRIES_MAX)
			break;
	}
	return count;
}

bool dir_block_make(struct dir_cursor *cursor, uint8_t block[EROFS_BLOCK], unsigned *bytes)
{
	struct dir_entry entries[ENTRIES_MAX];
	unsigned count = take_entries(cursor, entries, bytes), at = count * (unsigned)sizeof(struct erofs_disk_dirent);

	memset(block, 0, EROFS_BLOCK);
	for (unsigned i = 0; i < count; i++) {
		const struct dir_entry *entry = &entries[i];
		struct erofs_disk_dirent disk = {
		    .nid = entry->inode->nid,
		    .name_offset = (uint16_t)at,
		    .type = entry_type(entry->inode->mode),
		};
		memcpy(block + i * sizeof(disk), &disk, sizeof(disk));
		memcpy(block + at, entry->name, entry->length);
		at += entry->length;
	}
	return count > 0;
}

uint64_t dir_size(struct tree_node *dir)
{
	struct dir_entry entries[ENTRIES_MAX];
	struct dir_cursor cursor;
	uint64_t size = 0;
	unsigned bytes;

	dir_cursor_start(&cursor, dir);
	while (take_entries(&cursor, entries, &bytes) > 0)
		size = align_up(size, EROFS_BLOCK) + bytes;
	return size;
}
