/* SPDX-License-Identifier: Apache-2.0 */
/* A small FUSE server in the test's process, and the host directory that it serves. Nodes are paths. */
#define _GNU_SOURCE
#include "tests/unit/kernel_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/fuse_walk.h"
#include "kernel/virtio/virtio.h"

#define NODES 8192

/* As kernel/virtio/fuse.h, which brings headers that do not go with the C library's. */
struct fuse_statistics {
	uint64_t exchanges;
} fuse_statistics;
void fuse_forget(unsigned device, uint64_t nodeid, uint64_t lookups);
void host_reset(uint64_t bytes);

char host_directory[64], host_copy[64];
unsigned mock_exchanges, mock_reads, mock_writes, mock_forgets;
int mock_fuse_error;
bool mock_no_walk;

static struct node {
	dev_t device;
	ino_t inode;
	int fd; /* O_PATH */
} nodes[NODES];
static unsigned node_count;

static uint64_t node_of(int fd, const struct stat *st)
{
	for (unsigned i = 0; i < node_count; i++)
		if (nodes[i].device == st->st_dev && nodes[i].inode == st->st_ino && nodes[i].fd >= 0) {
			close(fd);
			return i + 1;
		}
	if (node_count == NODES)
		abort();
	nodes[node_count] = (struct node){st->st_dev, st->st_ino, fd};
	return ++node_count;
}

static void fill_attr(struct fuse_attr *attr, const struct stat *st)
{
	memset(attr, 0, sizeof(*attr));
	attr->ino = st->st_ino;
	attr->size = (uint64_t)st->st_size;
	attr->mode = st->st_mode;
	attr->nlink = (uint32_t)st->st_nlink;
	attr->mtime = (uint64_t)st->st_mtim.tv_sec;
	attr->mtimensec = (uint32_t)st->st_mtim.tv_nsec;
	attr->ctime = (uint64_t)st->st_ctim.tv_sec;
}

static int lookup(uint64_t *node, const char *name, struct fuse_entry_out *entry)
{
	struct stat st;
	int fd = openat(nodes[*node - 1].fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		abort();
	memset(entry, 0, sizeof(*entry));
	fill_attr(&entry->attr, &st);
	*node = entry->nodeid = node_of(fd, &st);
	return 0;
}

static int open_node(uint64_t node, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", nodes[node - 1].fd);
	return open(path, flags | O_CLOEXEC);
}

static char reply[2 << 20];

static int64_t walk(uint64_t node, const char *path)
{
	struct lampo_walk_out *out = (void *)reply;
	struct fuse_entry_out *entries = (void *)(out + 1);
	char copy[4096], *rest = copy, *name;
	int64_t length;

	strcpy(copy, path);
	memset(out, 0, sizeof(*out));
	while (out->error == 0 && (name = strsep(&rest, "/")) != NULL) {
		if (out->count > 0 && S_ISLNK(entries[out->count - 1].attr.mode))
			out->error = -ELOOP;
		else
			out->error = lookup(&node, name, &entries[out->count]);
		if (out->error == 0)
			out->count++;
	}
	length = (int64_t)(sizeof(*out) + out->count * sizeof(*entries));
	if (out->count > 0 && S_ISLNK(entries[out->count - 1].attr.mode)) {
		ssize_t n = readlinkat(nodes[node - 1].fd, "", reply + length, 4096);

		if (n > 0)
			length += n;
	}
	return length;
}

static int64_t list(uint64_t node, const struct fuse_read_in *in)
{
	int fd = open_node(node, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int64_t used = 0;
	uint64_t number = 0;
	struct dirent *e;

	if (dir == NULL)
		return -errno;
	while ((e = readdir(dir)) != NULL) {
		size_t length = strlen(e->d_name), bytes = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + length);
		struct fuse_dirent *d = (void *)(reply + used);

		if (number++ < in->offset)
			continue;
		if ((uint64_t)used + bytes > in->size)
			break;
		memset(d, 0, bytes);
		d->ino = e->d_ino;
		d->off = number;
		d->type = e->d_type;
		d->namelen = (uint32_t)length;
		memcpy(d->name, e->d_name, length);
		used += (int64_t)bytes;
	}
	closedir(dir);
	return used;
}

static int64_t made(uint64_t node, const char *name, int result)
{
	if (result < 0)
		return -errno;
	result = lookup(&node, name, (void *)reply);
	return result < 0 ? result : (int64_t)sizeof(struct fuse_entry_out);
}

static int64_t set_attr(uint64_t node, const struct fuse_setattr_in *in)
{
	char path[32];
	struct stat st;
	int r = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", nodes[node - 1].fd);
	if (r == 0 && (in->valid & FATTR_MODE))
		r = chmod(path, in->mode & 07777);
	if (r == 0 && (in->valid & FATTR_SIZE))
		r = truncate(path, (off_t)in->size);
	if (r == 0 && (in->valid & (FATTR_ATIME | FATTR_MTIME))) {
		struct timespec times[2] = {{(time_t)in->atime, in->atimensec}, {(time_t)in->mtime, in->mtimensec}};

		if (!(in->valid & FATTR_ATIME))
			times[0].tv_nsec = UTIME_OMIT;
		if (!(in->valid & FATTR_MTIME))
			times[1].tv_nsec = UTIME_OMIT;
		r = utimensat(AT_FDCWD, path, times, 0);
	}
	if (r < 0 || fstat(nodes[node - 1].fd, &st) < 0)
		return -errno;
	memset(reply, 0, sizeof(struct fuse_attr_out));
	fill_attr(&((struct fuse_attr_out *)reply)->attr, &st);
	return sizeof(struct fuse_attr_out);
}

static int64_t transfer(uint64_t node, uint32_t opcode, const char *args)
{
	const struct fuse_read_in *in = (const void *)args; /* fuse_write_in begins alike */
	int fd = open_node(node, opcode == FUSE_WRITE ? O_RDWR : O_RDONLY);
	ssize_t n;

	if (in->fh != LAMPO_FH_NODE)
		abort();
	if (fd < 0)
		return -errno;
	if (opcode == FUSE_WRITE) {
		n = pwrite(fd, args + sizeof(struct fuse_write_in), in->size, (off_t)in->offset);
		memset(reply, 0, sizeof(struct fuse_write_out));
		((struct fuse_write_out *)reply)->size = n < 0 ? 0 : (uint32_t)n;
		n = n < 0 ? -errno : (ssize_t)sizeof(struct fuse_write_out);
	} else {
		n = pread(fd, reply, in->size, (off_t)in->offset);
		n = n < 0 ? -errno : n;
	}
	close(fd);
	return n;
}

static int64_t serve(uint32_t opcode, uint64_t node, const char *args)
{
	int dir = nodes[node > 0 ? node - 1 : 0].fd;
	struct stat st;

	switch (opcode) {
	case LAMPO_FUSE_WALK:
		return mock_no_walk ? -ENOSYS : walk(node, args);
	case FUSE_LOOKUP:
		return made(node, args, 0);
	case FUSE_GETATTR:
		if (fstat(dir, &st) < 0)
			return -errno;
		memset(reply, 0, sizeof(struct fuse_attr_out));
		fill_attr(&((struct fuse_attr_out *)reply)->attr, &st);
		return sizeof(struct fuse_attr_out);
	case FUSE_SETATTR:
		return set_attr(node, (const void *)args);
	case FUSE_READ:
		mock_reads++;
		return transfer(node, opcode, args);
	case FUSE_WRITE:
		mock_writes++;
		return transfer(node, opcode, args);
	case FUSE_READDIR:
		return list(node, (const void *)args);
	case FUSE_READLINK: {
		ssize_t n = readlinkat(dir, "", reply, 4096);
		return n < 0 ? -errno : n;
	}
	case FUSE_MKNOD: {
		const struct fuse_mknod_in *in = (const void *)args;
		return made(node, args + sizeof(*in), mknodat(dir, args + sizeof(*in), in->mode, in->rdev));
	}
	case FUSE_MKDIR: {
		const struct fuse_mkdir_in *in = (const void *)args;
		return made(node, args + sizeof(*in), mkdirat(dir, args + sizeof(*in), in->mode));
	}
	case FUSE_SYMLINK:
		return made(node, args, symlinkat(args + strlen(args) + 1, dir, args));
	case FUSE_LINK: {
		char path[32];
		const struct fuse_link_in *in = (const void *)args;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", nodes[in->oldnodeid - 1].fd);
		return made(node, args + sizeof(*in),
			    linkat(AT_FDCWD, path, dir, args + sizeof(*in), AT_SYMLINK_FOLLOW));
	}
	case FUSE_UNLINK:
		return unlinkat(dir, args, 0) < 0 ? -errno : 0;
	case FUSE_RMDIR:
		return unlinkat(dir, args, AT_REMOVEDIR) < 0 ? -errno : 0;
	case FUSE_RENAME2: {
		const struct fuse_rename2_in *in = (const void *)args;
		const char *from = args + sizeof(*in);
		return renameat2(dir, from, nodes[in->newdir - 1].fd, from + strlen(from) + 1, in->flags) < 0 ? -errno
													      : 0;
	}
	case FUSE_FSYNC:
		return 0;
	case FUSE_FALLOCATE: {
		const struct fuse_fallocate_in *in = (const void *)args;
		int fd = open_node(node, O_RDWR);
		int r = fallocate(fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0 ? -errno : 0;
		close(fd);
		return r;
	}
	default:
		return -ENOSYS;
	}
}

int64_t fuse_request(unsigned device, uint32_t opcode, uint64_t nodeid, const struct fuse_segment *in,
		     unsigned in_count, const struct fuse_segment *out, unsigned out_count)
{
	static char args[1 << 20];
	uint64_t used = 0;
	int64_t result;

	(void)device;
	for (unsigned i = 0; i < in_count; i++) {
		memcpy(args + used, in[i].data, in[i].bytes);
		used += in[i].bytes;
	}
	args[used] = '\0';
	mock_exchanges++;
	if (mock_fuse_error != 0) {
		result = mock_fuse_error;
		mock_fuse_error = 0;
		return result;
	}
	result = serve(opcode, nodeid, args);
	used = 0;
	for (unsigned i = 0; i < out_count && result > 0 && used < (uint64_t)result; i++) {
		uint64_t n = (uint64_t)result - used < out[i].bytes ? (uint64_t)result - used : out[i].bytes;

		memcpy(out[i].data, reply + used, n);
		used += n;
	}
	return result > 0 ? (int64_t)used : result;
}

void fuse_forget(unsigned device, uint64_t nodeid, uint64_t lookups)
{
	(void)device;
	(void)nodeid;
	(void)lookups;
	mock_forgets++;
}

void fuse_forget_flush(void);
void fuse_forget_flush(void) {}

/* ---- the host's directory ---- */

static const char *at(const char *path)
{
	static char full[4][4200];
	static unsigned next;
	char *to = full[next++ % 4];

	snprintf(to, sizeof(full[0]), "%s/%s", host_directory, path);
	return to;
}

void fs_machine_reset(void)
{
	int fd;
	struct stat st;

	host_reset(32u << 20);
	for (unsigned i = 0; i < node_count; i++)
		close(nodes[i].fd);
	node_count = 0;
	mock_exchanges = mock_reads = mock_writes = mock_forgets = 0;
	mock_fuse_error = 0;
	strcpy(host_directory, "/tmp/lampo-test-XXXXXX");
	host_copy[0] = '\0';
	if (mkdtemp(host_directory) == NULL || chmod(host_directory, 0755) < 0)
		abort();
	fd = open(host_directory, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		abort();
	node_of(fd, &st);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fs_machine_end(void)
{
	nftw(host_directory, remove_one, 32, FTW_DEPTH | FTW_PHYS);
	if (host_copy[0] != '\0')
		nftw(host_copy, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

void host_mkdir(const char *path)
{
	if (mkdir(at(path), 0755) < 0)
		abort();
}

void host_file(const char *path, const char *text)
{
	int fd = open(at(path), O_CREAT | O_TRUNC | O_WRONLY, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

void host_file_bytes(const char *path, uint64_t bytes)
{
	FILE *f = fopen(at(path), "w");

	if (f == NULL)
		abort();
	for (uint64_t i = 0; i < bytes; i++)
		fputc((int)((i * 7 + (i >> 12)) & 255), f);
	fclose(f);
}

void host_symlink(const char *path, const char *target)
{
	if (symlink(target, at(path)) < 0)
		abort();
}

void host_link(const char *from, const char *to)
{
	if (link(at(from), at(to)) < 0)
		abort();
}

void host_remove(const char *path)
{
	if (remove(at(path)) < 0)
		abort();
}

const char *host_content(const char *path)
{
	static char text[8192];
	int fd = open(at(path), O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return "(none)";
	text[n] = '\0';
	return text;
}

void host_copy_tree(void)
{
	char command[256];

	strcpy(host_copy, "/tmp/lampo-test-XXXXXX");
	if (mkdtemp(host_copy) == NULL)
		abort();
	snprintf(command, sizeof(command), "cp -a %s/. %s", host_directory, host_copy);
	if (system(command) != 0)
		abort();
}

static char *tree_text;
static size_t tree_used, tree_room, tree_prefix;

static int tree_compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int tree_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	unsigned long sum = 0;
	int fd, n;
	unsigned char buffer[4096];

	(void)type;
	(void)ftw;
	if (path[tree_prefix] == '\0')
		return 0;
	if (S_ISREG(st->st_mode) && (fd = open(path, O_RDONLY)) >= 0) {
		while ((n = (int)read(fd, buffer, sizeof(buffer))) > 0)
			for (int i = 0; i < n; i++)
				sum = sum * 31 + buffer[i];
		close(fd);
	}
	if (tree_room - tree_used < 5000)
		tree_text = realloc(tree_text, tree_room += 65536);
	tree_used +=
	    (size_t)sprintf(tree_text + tree_used, "%s %o %ld %lu %lx\n", path + tree_prefix + 1, st->st_mode & S_IFMT,
			    S_ISREG(st->st_mode) || S_ISLNK(st->st_mode) ? (long)st->st_size : 0,
			    S_ISDIR(st->st_mode) ? 0 : (unsigned long)st->st_nlink, sum);
	return 0;
}

char *host_tree(const char *directory)
{
	char *lines[4096], *sorted, *rest, *line;
	unsigned count = 0;

	tree_text = calloc(1, tree_room = 65536);
	tree_used = 0;
	tree_prefix = strlen(directory);
	nftw(directory, tree_one, 32, FTW_PHYS);
	sorted = calloc(1, tree_used + 1);
	for (rest = tree_text; (line = strsep(&rest, "\n")) != NULL && *line != '\0' && count < 4096;)
		lines[count++] = line;
	qsort(lines, count, sizeof(lines[0]), tree_compare);
	for (unsigned i = 0; i < count; i++) {
		strcat(sorted, lines[i]);
		strcat(sorted, "\n");
	}
	free(tree_text);
	return sorted;
}

int host_operation(char op, const char *a, const char *b, uint64_t number)
{
	char first[600], second[600], byte = (char)number;
	int fd, r = -1;

	snprintf(first, sizeof(first), "%s/%s", host_copy, a);
	snprintf(second, sizeof(second), "%s/%s", host_copy, b);
	switch (op) {
	case 'c':
		r = fd = open(first, O_CREAT | O_EXCL | O_RDWR, 0644);
		if (fd >= 0)
			close(fd);
		break;
	case 'w':
		r = fd = open(first, O_RDWR);
		if (fd >= 0) {
			r = pwrite(fd, &byte, 1, (off_t)number) == 1 ? 0 : -1;
			close(fd);
		}
		break;
	case 't':
		r = truncate(first, (off_t)number);
		break;
	case 'u':
		r = unlink(first);
		break;
	case 'r':
		r = rmdir(first);
		break;
	case 'm':
		r = mkdir(first, 0755);
		break;
	case 'n':
		r = rename(first, second);
		break;
	case 'l':
		r = link(first, second);
		break;
	case 's':
		r = symlink(b, first);
		break;
	default:
		abort();
	}
	return r < 0 ? -errno : 0;
}
