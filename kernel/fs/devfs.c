/* SPDX-License-Identifier: Apache-2.0 */
/* /dev: a memfs with the nodes of the registered character devices; null, zero, full, random, urandom. */
#include <linux/fcntl.h>
#include <linux/mman.h>

#include "kernel/arch.h"
#include "kernel/fs/memfs.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"

#define CHUNK 256u /* on the stack */

static int64_t null_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	(void)file;
	(void)to;
	(void)bytes;
	(void)offset;
	return 0;
}

static int64_t null_write(struct file *file, const struct io_buffer *from, uint64_t bytes, uint64_t *offset)
{
	(void)file;
	(void)from;
	(void)offset;
	return (int64_t)bytes;
}

static int64_t zero_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	(void)file;
	(void)offset;
	if (!to->user) {
		memset((void *)to->address, 0, bytes);
		return (int64_t)bytes;
	}
	return user_zero(to->address, bytes) < 0 ? -EFAULT : (int64_t)bytes;
}

static int64_t full_write(struct file *file, const struct io_buffer *from, uint64_t bytes, uint64_t *offset)
{
	(void)file;
	(void)from;
	(void)bytes;
	(void)offset;
	return -ENOSPC;
}

static int64_t random_read(struct file *file, const struct io_buffer *to, uint64_t bytes, uint64_t *offset)
{
	uint8_t chunk[CHUNK];
	uint64_t done = 0;

	(void)file;
	(void)offset;
	while (done < bytes) {
		uint64_t n = min_u64(bytes - done, sizeof(chunk));

		arch_random(chunk, n);
		if (io_write_to(to, done, chunk, n) < 0)
			return done > 0 ? (int64_t)done : -EFAULT;
		done += n;
	}
	return (int64_t)done;
}

static uint32_t always_ready(struct file *file, struct poll_table *table)
{
	(void)file;
	(void)table;
	return 0x1 | 0x4 | 0x40 | 0x100;
}

static int64_t zero_seek(struct file *file, int64_t offset, int whence)
{
	(void)file;
	(void)offset;
	(void)whence;
	return 0;
}

static int64_t random_ioctl(struct file *file, uint32_t command, uint64_t argument)
{
	int bits = 256;

	(void)file;
	if (command == 0x80045200 /* RNDGETENTCNT */)
		return user_put(argument, &bits);
	return -ENOTTY;
}

/* A private mapping of /dev/zero is anonymous memory: a fresh cache that is nobody's file has that effect. */
static int zero_mmap(struct file *file, struct cache **cache, uint64_t offset, uint64_t bytes, int prot, int flags)
{
	(void)prot;
	(void)flags;
	file->inode->cache.size = max_u64(file->inode->cache.size, offset + bytes);
	*cache = &file->inode->cache;
	return 0;
}

static const struct file_ops null_ops = {
    .read = null_read, .write = null_write, .poll = always_ready, .seek = zero_seek};
static const struct file_ops zero_ops = {
    .read = zero_read, .write = null_write, .poll = always_ready, .seek = zero_seek, .mmap = zero_mmap};
static const struct file_ops full_ops = {
    .read = zero_read, .write = full_write, .poll = always_ready, .seek = zero_seek};
static const struct file_ops random_ops = {
    .read = random_read, .write = null_write, .poll = always_ready, .seek = zero_seek, .ioctl = random_ioctl};

static int memory_open(struct inode *inode, struct file *file)
{
	static const struct file_ops *const by_minor[] = {
	    [3] = &null_ops, [5] = &zero_ops, [7] = &full_ops, [8] = &random_ops, [9] = &random_ops};
	uint32_t minor = RDEV_MINOR(inode->rdev);

	if (minor >= countof(by_minor) || by_minor[minor] == NULL)
		return -ENXIO;
	file->ops = by_minor[minor];
	/* Each open of /dev/zero has memory of its own to map. */
	if (minor == 5) {
		struct inode *own = inode_new_anonymous(inode->mode);

		if (own == NULL)
			return -ENOMEM;
		own->ino = inode->ino;
		own->super = inode->super;
		own->rdev = inode->rdev;
		cache_init(&own->cache, NULL, own);
		own->flags |= INODE_CACHED;
		inode_put(file->inode);
		file->inode = own;
	}
	return 0;
}

static struct char_device char_devices[CHAR_DEVICES_MAX] = {
    {1, 3, "null", 0666, memory_open},   {1, 5, "zero", 0666, memory_open},    {1, 7, "full", 0666, memory_open},
    {1, 8, "random", 0666, memory_open}, {1, 9, "urandom", 0666, memory_open},
};
static unsigned char_device_count = 5;

int char_device_register(const struct char_device *device)
{
	if (char_device_count == CHAR_DEVICES_MAX)
		return -ENOMEM;
	char_devices[char_device_count++] = *device;
	return 0;
}

int char_device_open(struct inode *inode, struct file *file)
{
	for (unsigned i = 0; i < char_device_count; i++)
		if (MAKE_RDEV(char_devices[i].major, char_devices[i].minor) == inode->rdev)
			return char_devices[i].open(inode, file);
	return -ENXIO;
}

static const struct memfs_fixed dev_fixed[] = {
    {"fd", S_IFLNK | 0777, 0, "/proc/self/fd"},
    {"stdin", S_IFLNK | 0777, 0, "/proc/self/fd/0"},
    {"stdout", S_IFLNK | 0777, 0, "/proc/self/fd/1"},
    {"stderr", S_IFLNK | 0777, 0, "/proc/self/fd/2"},
    {"core", S_IFLNK | 0777, 0, "/proc/kcore"},
    {"shm", S_IFDIR | 01777, 0, NULL},
    {"mqueue", S_IFDIR | 01777, 0, NULL},
    {NULL, 0, 0, NULL},
};

static void devfs_populate(struct dentry *directory)
{
	memfs_ops.populate(directory); /* dev_fixed */
	for (unsigned i = 0; i < char_device_count; i++)
		if (char_devices[i].name != NULL)
			(void)memfs_add(directory, char_devices[i].name, S_IFCHR | char_devices[i].mode,
					MAKE_RDEV(char_devices[i].major, char_devices[i].minor), NULL);
}

int devfs_new(struct super **super)
{
	static struct inode_ops root_ops;
	int result = memfs_new("devtmpfs", "dev", super);
	struct memfs_inode *root;

	if (result < 0)
		return result;
	root_ops = memfs_ops;
	root_ops.populate = devfs_populate;
	root = memfs_of((*super)->root->inode);
	root->inode.ops = &root_ops;
	root->inode.flags |= INODE_LAZY;
	root->fixed = dev_fixed;
	return 0;
}
