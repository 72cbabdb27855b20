/* SPDX-License-Identifier: Apache-2.0 */
/* Open files and descriptor tables. */
#include "kernel/fs/file.h"

#include <linux/fcntl.h>
#include <linux/resource.h>

#include "kernel/fs/epoll.h"
#include "kernel/fs/inotify.h"
#include "kernel/fs/vfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"

#define FILES_FIRST 64u      /* room of a new table */
#define FILES_MAX (1u << 20) /* whatever RLIMIT_NOFILE says */

struct file_table {
	uint32_t references;
	unsigned room;
	unsigned first_free; /* no descriptor below is free */
	struct file **files;
	uint64_t *close_on_exec; /* bit per descriptor */
};

int io_read_from(const struct io_buffer *buffer, uint64_t offset, void *to, uint64_t bytes)
{
	if (buffer->user)
		return user_read(to, buffer->address + offset, bytes);
	memcpy(to, (const void *)(buffer->address + offset), bytes);
	return 0;
}

int io_write_to(const struct io_buffer *buffer, uint64_t offset, const void *from, uint64_t bytes)
{
	if (buffer->user)
		return user_write(buffer->address + offset, from, bytes);
	memcpy((void *)(buffer->address + offset), from, bytes);
	return 0;
}

/* ---- files ---- */

int file_new(struct file **file, const struct file_ops *ops, struct inode *inode, uint32_t flags, void *data)
{
	struct file *f = kzalloc(sizeof(*f));

	if (f == NULL)
		return -ENOMEM;
	f->references = 1;
	f->flags = flags & ~(uint32_t)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
	f->ops = ops;
	f->inode = inode;
	f->data = data;
	list_init(&f->epoll_watches);
	*file = f;
	return 0;
}

struct file *file_get(struct file *file)
{
	file->references++;
	return file;
}

void file_put(struct file *file)
{
	if (file == NULL || --file->references > 0)
		return;
	/* release may sleep and look at the file: it keeps one reference meanwhile. */
	file->references = 1;
	if (file->inode != NULL && file->inode->locks != NULL)
		locks_release(file);
	if (!list_empty(&file->epoll_watches))
		epoll_file_released(file);
	if (file->ops != NULL && file->ops->release != NULL)
		file->ops->release(file);
	if (file->dentry != NULL) {
		if (!(file->flags & O_PATH))
			fs_notify_dentry(file->dentry,
					 (file->flags & O_ACCMODE) == O_RDONLY ? IN_CLOSE_NOWRITE : IN_CLOSE_WRITE);
		dentry_put(file->dentry);
	}
	inode_put(file->inode);
	kfree(file);
}

static bool uses_position(const struct file *file)
{
	return file->inode != NULL &&
	       (inode_is_regular(file->inode) || inode_is_dir(file->inode) || (file->inode->mode & S_IFMT) == S_IFCHR ||
		(file->inode->mode & S_IFMT) == S_IFBLK);
}

int64_t file_read(struct file *file, const struct io_buffer *to, uint64_t bytes)
{
	uint64_t position = file->position;
	int64_t result;

	if ((file->flags & O_ACCMODE) == O_WRONLY || (file->flags & O_PATH))
		return -EBADF;
	if (file->ops == NULL || file->ops->read == NULL)
		return file->inode != NULL && inode_is_dir(file->inode) ? -EISDIR : -EINVAL;
	if (!uses_position(file))
		return file->ops->read(file, to, bytes, NULL);
	result = file->ops->read(file, to, bytes, &position);
	if (result > 0) {
		file->position = position;
		fs_notify_dentry(file->dentry, IN_ACCESS);
	}
	return result;
}

int64_t file_write(struct file *file, const struct io_buffer *from, uint64_t bytes)
{
	uint64_t position = file->position;
	int64_t result;

	if ((file->flags & O_ACCMODE) == O_RDONLY || (file->flags & O_PATH))
		return -EBADF;
	if (file->ops == NULL || file->ops->write == NULL)
		return -EINVAL;
	if (!uses_position(file))
		return file->ops->write(file, from, bytes, NULL);
	result = file->ops->write(file, from, bytes, &position);
	if (result > 0) {
		file->position = position;
		fs_notify_dentry(file->dentry, IN_MODIFY);
	}
	return result;
}

int file_open(const char *path, uint32_t flags, uint32_t mode, struct file **file)
{
	size_t length = strlen(path);
	char *copy;
	int result;

	if (length >= PATH_BYTES)
		return -ENAMETOOLONG;
	copy = path_buffer_get();
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, path, length + 1);
	result = open_at(AT_FDCWD, copy, flags, mode, 0, file);
	path_buffer_put(copy);
	return result;
}

const char *file_path(struct file *file, char *to, size_t size)
{
	const char *path;
	char *buffer;

	if (file->ops != NULL && file->ops->describe != NULL) {
		file->ops->describe(file, to, size);
		return to;
	}
	if (file->dentry == NULL) {
		ksnprintf(to, size, "anon_inode:[file]");
		return to;
	}
	buffer = path_buffer_get();
	if (buffer == NULL) {
		to[0] = '\0';
		return to;
	}
	path = dentry_path(file->dentry, buffer, PATH_BYTES);
	ksnprintf(to, size, "%s", path);
	path_buffer_put(buffer);
	return to;
}

/* ---- descriptor tables ---- */

struct file_table *file_table_new(void)
{
	struct file_table *table = kzalloc(sizeof(*table));

	if (table == NULL)
		return NULL;
	table->references = 1;
	return table;
}

struct file_table *file_table_get(struct file_table *table)
{
	table->references++;
	return table;
}

static int table_reserve(struct file_table *table, unsigned room)
{
	struct file **files;
	uint64_t *bits;

	if (room <= table->room)
		return 0;
	room = (unsigned)align_up(max_u64(room, max_u64(table->room * 2, FILES_FIRST)), 64);
	files = kzalloc(room * sizeof(*files));
	bits = kzalloc(room / 8);
	if (files == NULL || bits == NULL) {
		kfree(files);
		kfree(bits);
		return -ENOMEM;
	}
	if (table->room > 0) {
		memcpy(files, table->files, table->room * sizeof(*files));
		memcpy(bits, table->close_on_exec, table->room / 8);
	}
	kfree(table->files);
	kfree(table->close_on_exec);
	table->files = files;
	table->close_on_exec = bits;
	table->room = room;
	return 0;
}

static struct file *table_take(struct file_table *table, unsigned fd)
{
	struct file *file = table->files[fd];

	table->files[fd] = NULL;
	table->close_on_exec[fd / 64] &= ~(1ull << fd % 64);
	if (fd < table->first_free)
		table->first_free = fd;
	return file;
}

static void close_taken(struct file_table *table, struct file *file)
{
	if (file->inode != NULL && file->inode->locks != NULL)
		locks_close(file, table);
	file_put(file);
}

void file_table_put(struct file_table *table)
{
	if (table == NULL || --table->references > 0)
		return;
	table->references = 1;
	for (unsigned fd = 0; fd < table->room; fd++)
		if (table->files[fd] != NULL)
			close_taken(table, table_take(table, fd));
	kfree(table->files);
	kfree(table->close_on_exec);
	kfree(table);
}

int file_table_copy(struct file_table **to, struct file_table *from)
{
	struct file_table *copy = file_table_new();
	int result;

	if (copy == NULL)
		return -ENOMEM;
	result = table_reserve(copy, from->room);
	if (result < 0) {
		kfree(copy);
		return result;
	}
	for (unsigned fd = 0; fd < from->room; fd++)
		if (from->files[fd] != NULL)
			copy->files[fd] = file_get(from->files[fd]);
	if (from->room > 0)
		memcpy(copy->close_on_exec, from->close_on_exec, from->room / 8);
	copy->first_free = from->first_free;
	*to = copy;
	return 0;
}

void file_table_close_on_exec(struct file_table *table)
{
	for (unsigned fd = 0; fd < table->room; fd++)
		if (table->files[fd] != NULL && (table->close_on_exec[fd / 64] >> fd % 64 & 1))
			close_taken(table, table_take(table, fd));
}

struct file *file_table_get_file(struct file_table *table, int fd)
{
	if (table == NULL || fd < 0 || (unsigned)fd >= table->room || table->files[fd] == NULL)
		return NULL;
	return file_get(table->files[fd]);
}

struct file *fd_get(int fd) { return file_table_get_file(current->process->files, fd); }

int file_table_next(struct file_table *table, int fd)
{
	if (table == NULL || fd < 0)
		return -1;
	for (unsigned i = (unsigned)fd; i < table->room; i++)
		if (table->files[i] != NULL)
			return (int)i;
	return -1;
}

static unsigned descriptor_limit(void)
{
	return (unsigned)min_u64(current->process->limits[RLIMIT_NOFILE].rlim_cur, FILES_MAX);
}

static void table_set(struct file_table *table, unsigned fd, struct file *file, uint32_t flags)
{
	table->files[fd] = file;
	if (flags & O_CLOEXEC)
		table->close_on_exec[fd / 64] |= 1ull << fd % 64;
	else
		table->close_on_exec[fd / 64] &= ~(1ull << fd % 64);
}

int fd_install(struct file *file, int from, uint32_t flags)
{
	struct file_table *table = current->process->files;
	unsigned limit = descriptor_limit();
	unsigned fd = (unsigned)from;

	if (from < 0 || fd >= limit)
		return -EMFILE;
	if (fd < table->first_free)
		fd = table->first_free;
	while (fd < table->room && table->files[fd] != NULL)
		fd++;
	if (fd >= limit)
		return -EMFILE;
	if (table_reserve(table, fd + 1) < 0)
		return -ENOMEM;
	if ((unsigned)from <= table->first_free)
		table->first_free = fd + 1;
	table_set(table, fd, file, flags);
	return (int)fd;
}

int fd_replace(struct file *file, int fd, uint32_t flags)
{
	struct file_table *table = current->process->files;
	struct file *old = NULL;

	if (fd < 0 || (unsigned)fd >= descriptor_limit())
		return -EBADF;
	if (table_reserve(table, (unsigned)fd + 1) < 0)
		return -ENOMEM;
	if (table->files[fd] != NULL)
		old = table_take(table, (unsigned)fd);
	if (table->first_free == (unsigned)fd)
		table->first_free++;
	table_set(table, (unsigned)fd, file, flags);
	if (old != NULL)
		close_taken(table, old);
	return fd;
}

int fd_close(int fd)
{
	struct file_table *table = current->process->files;

	if (fd < 0 || (unsigned)fd >= table->room || table->files[fd] == NULL)
		return -EBADF;
	close_taken(table, table_take(table, (unsigned)fd));
	return 0;
}

int fd_flags(int fd)
{
	struct file_table *table = current->process->files;

	if (fd < 0 || (unsigned)fd >= table->room || table->files[fd] == NULL)
		return -EBADF;
	return table->close_on_exec[fd / 64] >> fd % 64 & 1 ? FD_CLOEXEC : 0;
}

int fd_set_flags(int fd, int flags)
{
	struct file_table *table = current->process->files;

	if (fd < 0 || (unsigned)fd >= table->room || table->files[fd] == NULL)
		return -EBADF;
	table_set(table, (unsigned)fd, table->files[fd], flags & FD_CLOEXEC ? O_CLOEXEC : 0);
	return 0;
}

/* ---- root and current directory ---- */

struct fs_context *fs_context_new(void)
{
	struct fs_context *context = kzalloc(sizeof(*context));

	if (context == NULL)
		return NULL;
	context->references = 1;
	context->umask = 022;
	if (!list_empty(&supers)) {
		struct dentry *root = list_first(&supers, struct super, node)->root;

		context->root = dentry_get(root);
		context->cwd = dentry_get(root);
	}
	return context;
}

struct fs_context *fs_context_get(struct fs_context *context)
{
	context->references++;
	return context;
}

void fs_context_put(struct fs_context *context)
{
	if (context == NULL || --context->references > 0)
		return;
	dentry_put(context->root);
	dentry_put(context->cwd);
	kfree(context);
}

struct fs_context *fs_context_copy(struct fs_context *from)
{
	struct fs_context *context = kzalloc(sizeof(*context));

	if (context == NULL)
		return NULL;
	context->references = 1;
	context->umask = from->umask;
	context->root = dentry_get(from->root);
	context->cwd = dentry_get(from->cwd);
	return context;
}
