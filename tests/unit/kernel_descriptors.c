/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/kernel_descriptors.h"

#include <linux/fcntl.h>
#include <stdlib.h>

#include "kernel/fs/epoll.h"
#include "kernel/fs/poll.h"
#include "kernel/mm/mm.h"

#define DESCRIPTORS 64

static struct file *files[DESCRIPTORS];
static unsigned file_count;
static unsigned running;

void descriptors_reset(unsigned cpus)
{
	machine_reset(cpus);
	memset(files, 0, sizeof(files));
	file_count = 0;
	running = 0;
	for (unsigned i = 0; i < RLIM_NLIMITS; i++) {
		struct process *first = list_first(&processes, struct process, node);
		first->limits[i].rlim_cur = first->limits[i].rlim_max = 1024;
	}
}

unsigned descriptors_open(void) { return file_count; }

static void thread_main(void *arg)
{
	((void (*)(void))(uintptr_t)arg)();
	running--;
}

void descriptors_start(void (*function)(void))
{
	running++;
	machine_thread(thread_main, (void *)(uintptr_t)function);
}

bool descriptors_run(void (*function)(void))
{
	unsigned before = running;
	descriptors_start(function);
	machine_run();
	return running <= before; /* others may have come to their end too */
}

int64_t descriptors_call(int64_t (*function)(const struct syscall_args *), const uint64_t *arg, unsigned count)
{
	struct syscall_args args = {.regs = NULL};
	memcpy(args.arg, arg, count * sizeof(*arg));
	return function(&args);
}

/* ---- what kernel/fs/ does ---- */

int file_new(struct file **file, const struct file_ops *ops, struct inode *inode, uint32_t flags, void *data)
{
	struct file *f = calloc(1, sizeof(*f));
	f->references = 1;
	f->flags = flags;
	f->ops = ops;
	f->inode = inode;
	f->data = data;
	list_init(&f->epoll_watches);
	file_count++;
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
	file->references = 1;
	if (!list_empty(&file->epoll_watches))
		epoll_file_released(file);
	if (file->ops != NULL && file->ops->release != NULL)
		file->ops->release(file);
	if (file->inode != NULL)
		inode_put(file->inode);
	file_count--;
	free(file);
}

struct file *fd_get(int fd) { return fd < 0 || fd >= DESCRIPTORS || files[fd] == NULL ? NULL : file_get(files[fd]); }

int fd_install(struct file *file, int from, uint32_t flags)
{
	(void)flags;
	for (int fd = from; fd < DESCRIPTORS; fd++) {
		if (files[fd] == NULL) {
			files[fd] = file;
			return fd;
		}
	}
	return -EMFILE;
}

int fd_close(int fd)
{
	if (fd < 0 || fd >= DESCRIPTORS || files[fd] == NULL)
		return -EBADF;
	struct file *file = files[fd];
	files[fd] = NULL;
	file_put(file);
	return 0;
}

struct inode *inode_new_anonymous(uint32_t mode)
{
	static uint64_t ino;
	struct inode *inode = calloc(1, sizeof(*inode));
	inode->references = 1;
	inode->mode = mode;
	inode->ino = ++ino;
	return inode;
}

struct inode *inode_get(struct inode *inode)
{
	inode->references++;
	return inode;
}

void inode_put(struct inode *inode)
{
	if (inode != NULL && --inode->references == 0)
		free(inode);
}

int inode_permission(struct inode *inode, unsigned mask)
{
	(void)inode;
	(void)mask;
	return 0;
}

int io_read_from(const struct io_buffer *buffer, uint64_t offset, void *to, uint64_t bytes)
{
	return user_read(to, buffer->address + offset, bytes);
}

int io_write_to(const struct io_buffer *buffer, uint64_t offset, const void *from, uint64_t bytes)
{
	return user_write(buffer->address + offset, from, bytes);
}

void *krealloc(void *old, size_t bytes) { return realloc(old, bytes); }

/* ---- calls ---- */

int64_t fd_read(int fd, void *to, uint64_t bytes)
{
	struct file *file = fd_get(fd);
	struct io_buffer buffer = {.address = P(to), .user = true};
	int64_t n = file == NULL                            ? -EBADF
		    : (file->flags & O_ACCMODE) == O_WRONLY ? -EBADF
							    : file->ops->read(file, &buffer, bytes, NULL);
	file_put(file);
	return n;
}

int64_t fd_write(int fd, const void *from, uint64_t bytes)
{
	struct file *file = fd_get(fd);
	struct io_buffer buffer = {.address = P(from), .user = true};
	int64_t n = file == NULL                            ? -EBADF
		    : (file->flags & O_ACCMODE) == O_RDONLY ? -EBADF
							    : file->ops->write(file, &buffer, bytes, NULL);
	file_put(file);
	return n;
}

void fd_nonblock(int fd, bool on)
{
	files[fd]->flags = (files[fd]->flags & ~(uint32_t)O_NONBLOCK) | (on ? O_NONBLOCK : 0);
}

uint32_t fd_poll(int fd) { return file_poll(files[fd], NULL); }

/* There is no tree here: names of sockets are abstract ones. */
char *path_buffer_get(void) { return NULL; }
void path_buffer_put(char *buffer) { (void)buffer; }
int path_lookup_kernel(const char *path, unsigned flags, struct dentry **dentry)
{
	(void)path;
	(void)flags;
	(void)dentry;
	return -ENOENT;
}
void dentry_put(struct dentry *dentry) { (void)dentry; }
int walk_path(int dirfd, char *path, unsigned flags, struct walk *walk)
{
	(void)dirfd;
	(void)path;
	(void)flags;
	(void)walk;
	return -ENOENT;
}
void walk_done(struct walk *walk) { (void)walk; }
