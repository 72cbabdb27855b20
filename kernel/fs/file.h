/* SPDX-License-Identifier: Apache-2.0 */
/* Open files, descriptor tables, and the interface behind which files, pipes, sockets, event
 * descriptors and devices all lie. */
#ifndef NUCLEO_FS_FILE_H
#define NUCLEO_FS_FILE_H

#include <linux/stat.h>

#include "kernel/kernel.h"
#include "kernel/mm/cache.h"
#include "kernel/proc/wait.h"

struct dentry; /* kernel/fs/vfs.h: a name in the tree, with its parent */
struct file;

/* poll: registers with wait queues when `table` is not NULL, always returns the present state. */
struct poll_table {
	void (*add)(struct poll_table *table, struct wait_queue *queue);
};
static inline void poll_wait(struct poll_table *table, struct wait_queue *queue)
{
	if (table != NULL && table->add != NULL)
		table->add(table, queue);
}

/* Buffers of read and write: program memory (user) or the kernel's. */
struct io_buffer {
	uint64_t address;
	bool user;
};
int io_read_from(const struct io_buffer *buffer, uint64_t offset, void *to, uint64_t bytes); /* 0 or -EFAULT */
int io_write_to(const struct io_buffer *buffer, uint64_t offset, const void *from, uint64_t bytes);

/* Any may be NULL: then the call gives what Linux gives for such a file (EINVAL, ESPIPE, ENOTTY, ...).
 * All may sleep. `offset` is the position to use and to advance; NULL for files without one. */
struct file_ops {
	int64_t (*read)(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset);
	int64_t (*write)(struct file *file, const struct io_buffer *from, uint64_t bytes, uint64_t *offset);
	/* readv and writev in one piece, for files whose writes have borders; NULL: part by part. */
	int64_t (*vector)(struct file *file, uint64_t iovec_va, uint64_t count, bool write);
	uint32_t (*poll)(struct file *file, struct poll_table *table); /* EPOLL* */
	int64_t (*ioctl)(struct file *file, uint32_t command, uint64_t argument);
	int64_t (*seek)(struct file *file, int64_t offset, int whence);
	int (*fsync)(struct file *file, bool data_only);
	/* Entries from file->position on; emit returns false when the buffer is full. */
	int (*readdir)(struct file *file,
		       bool (*emit)(void *context, const char *name, unsigned length, uint64_t ino, unsigned type,
				    uint64_t next_position),
		       void *context);
	/* The cache that mmap maps (inode's by default if NULL and the inode is a regular file), or a
	 * -errno. */
	int (*mmap)(struct file *file, struct cache **cache, uint64_t offset, uint64_t bytes, int prot, int flags);
	void (*release)(struct file *file); /* the last reference is gone */
	/* A text for /proc/PID/fd links of files without a path, such as "pipe:[12]". */
	void (*describe)(struct file *file, char *to, size_t size);
	int (*fcntl)(struct file *file, int command, uint64_t argument, int64_t *result); /* -ENOTTY: not mine */
};

struct file {
	uint32_t references;
	uint32_t flags; /* O_* status flags and access mode */
	const struct file_ops *ops;
	struct inode *inode;   /* may be NULL for anonymous files */
	struct dentry *dentry; /* may be NULL */
	uint64_t position;
	void *data;                /* the implementation's */
	struct list epoll_watches; /* epoll entries that watch this file (kernel/fs/epoll.c) */
	int owner;                 /* F_SETOWN */
};

/* A file without a name in the tree (pipe, eventfd, ...): one reference. `inode` (consumed) may be
 * NULL: fstat then gives an anonymous inode. -ENOMEM, -ENFILE. */
int file_new(struct file **file, const struct file_ops *ops, struct inode *inode, uint32_t flags, void *data);
struct file *file_get(struct file *file);
void file_put(struct file *file);

/* Descriptor tables. */
struct file_table *file_table_new(void);
struct file_table *file_table_get(struct file_table *table);
void file_table_put(struct file_table *table);
int file_table_copy(struct file_table **to, struct file_table *from); /* for clone without CLONE_FILES */
void file_table_close_on_exec(struct file_table *table);
/* The file behind fd with a reference taken, or NULL (EBADF). */
struct file *fd_get(int fd);
/* Lowest free descriptor >= from for `file` (its reference is consumed on success). -EMFILE. flags: O_CLOEXEC. */
int fd_install(struct file *file, int from, uint32_t flags);
int fd_close(int fd);
/* For /proc/PID/fd: lowest open descriptor >= fd of that table, -1: none. */
int file_table_next(struct file_table *table, int fd);
struct file *file_table_get_file(struct file_table *table, int fd); /* reference taken */

/* Reads and writes with the file's own position (O_APPEND respected). */
int64_t file_read(struct file *file, const struct io_buffer *to, uint64_t bytes);
int64_t file_write(struct file *file, const struct io_buffer *from, uint64_t bytes);
/* Opens by path for the kernel itself (exec): like open(2). */
int file_open(const char *path, uint32_t flags, uint32_t mode, struct file **file);

struct fs_context;
struct fs_context *fs_context_new(void); /* root and cwd at the root of the tree */
struct fs_context *fs_context_get(struct fs_context *context);
void fs_context_put(struct fs_context *context);
struct fs_context *fs_context_copy(struct fs_context *context);

/* The tree at boot: root from boot_info->mounts, /dev, /proc, /sys, /tmp, /dev/shm; descriptors 0-2. */
int fs_init(void);
int fs_chdir_initial(const char *path); /* boot_info's cwd, made if the root is an image; "/" if it is not there */
/* Path of a file, as /proc/self/exe and maps show it. Returns `to`. */
const char *file_path(struct file *file, char *to, size_t size);
void inode_get_stat(struct inode *inode, struct statx *stat);
struct cache *inode_cache(struct inode *inode);

#endif
