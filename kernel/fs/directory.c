/* SPDX-License-Identifier: Apache-2.0 */
/* Reading directories: a listing is made when reading begins (or begins anew) and kept with the open
 * file, so that positions stay right while names come and go. */
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "kernel/fs/vfs.h"

#define DT_DIR_TYPE 4u

/* One entry: ino (8), type (1), length (1), name. */
#define ENTRY_HEAD 10u

int dir_list_add(struct dir_list *list, const char *name, unsigned length, uint64_t ino, unsigned type)
{
	uint8_t *p;

	if (length > NAME_BYTES)
		return -ENAMETOOLONG;
	if (list->room - list->bytes < ENTRY_HEAD + length) {
		uint64_t room = list->room == 0 ? 480 : list->room * 2;

		p = krealloc(list->data, room);
		if (p == NULL)
			return -ENOMEM;
		list->data = p;
		list->room = room;
	}
	p = list->data + list->bytes;
	memcpy(p, &ino, 8);
	p[8] = (uint8_t)type;
	p[9] = (uint8_t)length;
	memcpy(p + ENTRY_HEAD, name, length);
	list->bytes += ENTRY_HEAD + length;
	list->count++;
	return 0;
}

bool dir_list_next(const struct dir_list *list, uint64_t *offset, struct dir_list_entry *entry)
{
	const uint8_t *p = list->data + *offset;

	if (*offset >= list->bytes)
		return false;
	memcpy(&entry->ino, p, 8);
	entry->type = p[8];
	entry->length = p[9];
	entry->name = (const char *)p + ENTRY_HEAD;
	*offset += ENTRY_HEAD + entry->length;
	entry->next = *offset;
	return true;
}

bool dir_list_find(const struct dir_list *list, const char *name, unsigned length, struct dir_list_entry *entry)
{
	const uint8_t *p = list->data, *end = list->data + list->bytes;

	while (p < end) {
		if (p[9] == length && memcmp(p + ENTRY_HEAD, name, length) == 0) {
			uint64_t offset = (uint64_t)(p - list->data);

			return dir_list_next(list, &offset, entry);
		}
		p += ENTRY_HEAD + p[9];
	}
	return false;
}

void dir_list_fini(struct dir_list *list)
{
	kfree(list->data);
	memset(list, 0, sizeof(*list));
}

struct open_directory {
	struct dir_list list;
	bool listed;
	uint64_t reached; /* an entry boundary: where the last reading stopped */
};

static uint64_t parent_ino(struct file *file)
{
	struct dentry *d = file->dentry;

	if (d == NULL)
		return file->inode->ino;
	while (d->parent == d && d->super->root == d && d->super->point != NULL)
		d = d->super->point;
	return d->parent->inode != NULL ? d->parent->inode->ino : file->inode->ino;
}

static int make_list(struct file *file)
{
	struct open_directory *open = file->data;
	struct inode *dir = file->inode;
	int result;

	if (open == NULL) {
		open = kzalloc(sizeof(*open));
		if (open == NULL)
			return -ENOMEM;
		file->data = open;
	}
	dir_list_fini(&open->list);
	open->reached = 0;
	mutex_lock(&dir->mutex);
	if (dir->flags & INODE_LAZY) {
		dir->flags &= ~INODE_LAZY;
		dir->ops->populate(file->dentry);
	}
	result = dir->flags & INODE_DEAD ? 0 : dir->ops->list(file->dentry, &open->list);
	mutex_unlock(&dir->mutex);
	open->listed = result == 0;
	return result;
}

/* Positions: 0 is ".", 1 is "..", 2 + offset an entry of the listing. */
static int directory_readdir(struct file *file,
			     bool (*emit)(void *, const char *, unsigned, uint64_t, unsigned, uint64_t), void *context)
{
	struct open_directory *open = file->data;
	struct dir_list_entry entry;
	uint64_t offset = 0, start;
	int result;

	if (file->inode->flags & INODE_DEAD)
		return -ENOENT;
	if (open == NULL || !open->listed || file->position == 0) {
		result = make_list(file);
		if (result < 0)
			return result;
		open = file->data;
	}
	if (file->position == 0) {
		if (!emit(context, ".", 1, file->inode->ino, DT_DIR_TYPE, 1))
			return 0;
		file->position = 1;
	}
	if (file->position == 1) {
		if (!emit(context, "..", 2, parent_ino(file), DT_DIR_TYPE, 2))
			return 0;
		file->position = 2;
	}
	/* The position may be made up: go to the first entry boundary from there on, unless reading just goes on. */
	start = file->position - 2;
	if (start == open->reached)
		offset = start;
	while (offset < start && dir_list_next(&open->list, &offset, &entry))
		;
	while (dir_list_next(&open->list, &offset, &entry)) {
		if (!emit(context, entry.name, entry.length, entry.ino, entry.type, entry.next + 2))
			return 0;
		file->position = entry.next + 2;
		open->reached = entry.next;
	}
	return 0;
}

static int64_t directory_seek(struct file *file, int64_t offset, int whence)
{
	if (whence == SEEK_CUR)
		offset += (int64_t)file->position;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (offset < 0)
		return -EINVAL;
	file->position = (uint64_t)offset;
	return offset;
}

static void directory_release(struct file *file)
{
	struct open_directory *open = file->data;

	if (open == NULL)
		return;
	dir_list_fini(&open->list);
	kfree(open);
}

static int directory_fsync(struct file *file, bool data_only)
{
	(void)file;
	(void)data_only;
	return 0;
}

const struct file_ops directory_file_ops = {
    .readdir = directory_readdir,
    .seek = directory_seek,
    .release = directory_release,
    .fsync = directory_fsync,
};
