/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/fs/pseudo.h"

#include <linux/fcntl.h>

#include "kernel/proc/process.h"

#define TEXT_MAX (8u << 20)

void text_put(struct text *text, const void *data, uint64_t bytes)
{
	if (text->room - text->bytes < bytes) {
		uint64_t room = max_u64(text->room * 2, align_up(text->bytes + bytes, 1024));
		char *bigger = room > TEXT_MAX ? NULL : krealloc(text->data, room);

		if (bigger == NULL) {
			text->failed = true;
			return;
		}
		text->data = bigger;
		text->room = room;
	}
	memcpy(text->data + text->bytes, data, bytes);
	text->bytes += bytes;
}

void text_printf(struct text *text, const char *format, ...)
{
	char line[320];
	va_list args;
	int length;

	va_start(args, format);
	length = kvsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (length > 0)
		text_put(text, line, min_u64((uint64_t)length, sizeof(line) - 1));
}

static const struct inode_ops pseudo_ops;
static const struct file_ops pseudo_file_ops;

static struct inode *pseudo_inode_new(struct super *super, const struct pseudo_entry *entry, uint64_t key,
				      uint64_t parent_key)
{
	struct pseudo_inode *p = kzalloc(sizeof(*p));
	uint64_t number = super->next_ino;

	if (p == NULL)
		return NULL;
	inode_init(&p->inode, super, &pseudo_ops, entry->mode);
	super->next_ino = number;
	/* The same object has the same number each time that it is looked up. */
	p->inode.ino = (((uint64_t)entry ^ key * 0x9e3779b97f4a7c15ull ^ parent_key << 13) & 0xffffffffull) | 1ull
														  << 32;
	p->entry = entry;
	p->key = key;
	p->parent_key = parent_key;
	p->inode.file_ops = inode_is_dir(&p->inode) ? &directory_file_ops : &pseudo_file_ops;
	p->inode.atime_ns = p->inode.mtime_ns = p->inode.ctime_ns = (int64_t)clock_realtime();
	if (inode_is_dir(&p->inode))
		p->inode.nlink = 2;
	return &p->inode;
}

static const struct pseudo_entry *find_child(const struct pseudo_entry *children, const char *name)
{
	for (; children != NULL && children->name != NULL; children++)
		if (strcmp(children->name, name) == 0)
			return children;
	return NULL;
}

static int pseudo_lookup(struct inode *dir, struct dentry *dentry, const char *rest)
{
	struct pseudo_inode *d = pseudo_of(dir);
	const struct pseudo_entry *entry = find_child(d->entry->children, dentry->name);
	uint64_t key = d->key;
	struct inode *inode;
	int result;

	(void)rest;
	if (entry == NULL && d->entry->lookup != NULL) {
		result = d->entry->lookup(d, dentry->name, &entry, &key);
		if (result == -ENOENT)
			return 0;
		if (result < 0)
			return result;
	}
	if (entry == NULL)
		return 0;
	inode = pseudo_inode_new(dir->super, entry, key, d->key);
	if (inode == NULL)
		return -ENOMEM;
	inode->uid = dir->uid;
	inode->gid = dir->gid;
	if (entry->own != NULL)
		entry->own(pseudo_of(inode));
	dentry_instantiate(dentry, inode);
	return 0;
}

static int pseudo_list(struct dentry *directory, struct dir_list *list)
{
	struct pseudo_inode *d = pseudo_of(directory->inode);
	int result = 0;

	for (const struct pseudo_entry *e = d->entry->children; e != NULL && e->name != NULL && result == 0; e++)
		result = dir_list_add(list, e->name, (unsigned)strlen(e->name), (uint64_t)e & 0xffffffff,
				      e->mode >> 12 & 15);
	if (result == 0 && d->entry->list != NULL)
		result = d->entry->list(d, list);
	return result;
}

static int pseudo_readlink(struct inode *inode, char *to, size_t size)
{
	struct pseudo_inode *p = pseudo_of(inode);

	if (p->entry->readlink != NULL)
		return p->entry->readlink(p, to, size);
	if (p->entry->text == NULL)
		return -EINVAL;
	return (int)min_u64((uint64_t)ksnprintf(to, size, "%s", p->entry->text), size);
}

static int pseudo_follow(struct inode *inode, struct dentry **dentry)
{
	struct pseudo_inode *p = pseudo_of(inode);

	return p->entry->follow != NULL ? p->entry->follow(inode, dentry) : 1;
}

static int pseudo_setattr(struct inode *inode, const struct attributes *a)
{
	(void)inode;
	/* O_TRUNC of a shell's redirection into a setting. */
	return a->valid & ~ATTR_SIZE ? -EPERM : 0;
}

static void pseudo_free(struct inode *inode)
{
	if (inode_is_regular(inode) || inode_is_link(inode))
		cache_fini(&inode->cache);
	kfree(pseudo_of(inode));
}

static int64_t pseudo_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	struct pseudo_inode *p = pseudo_of(file->inode);
	struct text *text = file->data;

	if (text == NULL) {
		text = kzalloc(sizeof(*text));
		if (text == NULL)
			return -ENOMEM;
		file->data = text;
	} else if (*offset == 0) {
		text->bytes = 0; /* read again from the start: made anew */
	}
	if (*offset == 0 || text->bytes == 0) {
		text->bytes = 0;
		text->failed = false;
		if (p->entry->show != NULL)
			p->entry->show(text, p);
		else if (p->entry->text != NULL)
			text_put(text, p->entry->text, strlen(p->entry->text));
		if (text->failed)
			return -ENOMEM;
	}
	if (*offset >= text->bytes)
		return 0;
	bytes = min_u64(bytes, text->bytes - *offset);
	if (io_write_to(to, 0, text->data + *offset, bytes) < 0)
		return -EFAULT;
	*offset += bytes;
	return (int64_t)bytes;
}

static int64_t pseudo_write(struct file *file, const struct io_buffer *from, uint64_t bytes, uint64_t *offset)
{
	struct pseudo_inode *p = pseudo_of(file->inode);
	char *data;
	int result;

	if (p->entry->store == NULL)
		return -EINVAL;
	bytes = min_u64(bytes, PATH_BYTES - 1);
	data = path_buffer_get();
	if (data == NULL)
		return -ENOMEM;
	result = io_read_from(from, 0, data, bytes) < 0 ? -EFAULT : 0;
	if (result == 0) {
		data[bytes] = '\0';
		result = p->entry->store(p, data, bytes);
	}
	path_buffer_put(data);
	*offset += bytes;
	return result < 0 ? result : (int64_t)bytes;
}

static void pseudo_release(struct file *file)
{
	struct text *text = file->data;

	if (text != NULL) {
		kfree(text->data);
		kfree(text);
	}
}

static uint32_t pseudo_poll(struct file *file, struct poll_table *table) { return regular_file_ops.poll(file, table); }

static int64_t pseudo_seek(struct file *file, int64_t offset, int whence)
{
	return whence > 1 ? -EINVAL : regular_seek(file, offset, whence);
}

static int pseudo_mmap(struct file *file, struct cache **cache, uint64_t offset, uint64_t bytes, int prot, int flags)
{
	(void)file;
	(void)cache;
	(void)offset;
	(void)bytes;
	(void)prot;
	(void)flags;
	return -ENODEV;
}

static const struct file_ops pseudo_file_ops = {
    .read = pseudo_read,
    .write = pseudo_write,
    .seek = pseudo_seek,
    .poll = pseudo_poll,
    .mmap = pseudo_mmap,
    .release = pseudo_release,
};

static const struct inode_ops pseudo_ops = {
    .lookup = pseudo_lookup,
    .list = pseudo_list,
    .readlink = pseudo_readlink,
    .follow = pseudo_follow,
    .setattr = pseudo_setattr,
    .free = pseudo_free,
};

int pseudo_new(const char *type, uint32_t magic, const struct pseudo_entry *root, struct super **super)
{
	struct super *s = super_new(type, type, magic, SUPER_NO_CACHE);
	struct inode *inode;

	if (s == NULL)
		return -ENOMEM;
	inode = pseudo_inode_new(s, root, 0, 0);
	if (inode != NULL)
		s->root = dentry_new_root(s, inode);
	if (s->root == NULL) {
		kfree(s);
		return -ENOMEM;
	}
	*super = s;
	return 0;
}

bool pseudo_number(const char *name, uint64_t *number)
{
	uint64_t n = 0;

	if (*name < '0' || *name > '9' || (name[0] == '0' && name[1] != '\0'))
		return false;
	for (; *name != '\0'; name++) {
		if (*name < '0' || *name > '9' || n > INT32_MAX / 10)
			return false;
		n = n * 10 + (uint64_t)(*name - '0');
	}
	*number = n;
	return n <= INT32_MAX;
}

int pseudo_list_number(struct dir_list *list, const char *prefix, uint64_t number, unsigned type)
{
	char name[32];
	int length = ksnprintf(name, sizeof(name), "%s%llu", prefix, (unsigned long long)number);

	return dir_list_add(list, name, (unsigned)length, number + 1, type);
}
