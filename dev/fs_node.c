/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that the guest knows. Each node holds an O_PATH descriptor, so that it names one file however
 * the host's directories change. Two hash tables find nodes: by identity, so that two names of a file are
 * one node, and by (directory, name), so that a name that was seen before costs no new descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dev/fs_internal.h"

/* openat2() gives EAGAIN when a rename anywhere on the host got in its way, EINTR after a signal. */
#define RETRIES 8

int fs_open_step(int directory_fd, const char *name, int flags, uint32_t mode)
{
	struct open_how how = {
	    .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
	    .mode = mode,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	for (int i = 0;; i++) {
		long fd = syscall(SYS_openat2, directory_fd, name, &how, sizeof(how));
		if (fd >= 0)
			return (int)fd;
		if ((errno != EAGAIN && errno != EINTR) || i == RETRIES)
			return errno == EMFILE ? -ENFILE : -errno;
	}
}

int fs_stat(int fd, const char *name, struct statx *st)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name[0] == '\0' ? AT_EMPTY_PATH : 0);
	return statx(fd, name, flags, STATX_BASIC_STATS | STATX_BTIME, st) < 0 ? -errno : 0;
}

static uint64_t stat_device(const struct statx *st) { return (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor; }

static uint64_t stat_birth(const struct statx *st)
{
	return (st->stx_mask & STATX_BTIME) ? (uint64_t)st->stx_btime.tv_sec << 30 | st->stx_btime.tv_nsec : 0;
}

bool fs_node_is(const struct fs_node *node, const struct statx *st)
{
	return node->inode == st->stx_ino && node->device == stat_device(st) && node->type == (st->stx_mode & S_IFMT) &&
	       node->birth == stat_birth(st);
}

int fs_node_at(const struct fs *fs, const struct fs_node *node, const char **name)
{
	*name = "";
	if (node->fd >= 0)
		return node->fd;
	if (node->name == NULL)
		return -ESTALE;
	*name = node->name;
	return fs_node_parent_fd(fs, node);
}

int fs_node_stat(const struct fs *fs, const struct fs_node *node, struct statx *st)
{
	const char *name;
	int at = fs_node_at(fs, node, &name);
	int r = at < 0 ? at : fs_stat(at, name, st);
	if (name[0] == '\0' || r == -ESTALE)
		return r;
	return r < 0 || !fs_node_is(node, st) ? -ESTALE : 0;
}

/* ---- hash tables ------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0x9e3779b97f4a7c15ull;
	return h ^ (h >> 29);
}

static uint32_t *id_bucket(struct fs *fs, uint64_t device, uint64_t inode)
{
	return &fs->by_id[mix(mix(fs->hash_seed, device), inode) & fs->hash_mask];
}

static uint32_t *name_bucket(struct fs *fs, uint32_t parent, const char *name)
{
	uint64_t h = mix(fs->hash_seed, parent);
	for (; *name != '\0'; name++)
		h = mix(h, (unsigned char)*name);
	return &fs->by_name[h & fs->hash_mask];
}

static void id_unlink(struct fs *fs, struct fs_node *node)
{
	uint32_t index = fs_node_index(fs, node);
	for (uint32_t *at = id_bucket(fs, node->device, node->inode); *at != 0; at = &fs->nodes[*at - 1].id_next) {
		if (*at - 1 == index) {
			*at = node->id_next;
			return;
		}
	}
}

static void name_unlink(struct fs *fs, struct fs_node *node)
{
	uint32_t index = fs_node_index(fs, node);
	for (uint32_t *at = name_bucket(fs, node->parent, node->name); *at != 0; at = &fs->nodes[*at - 1].name_next) {
		if (*at - 1 == index) {
			*at = node->name_next;
			return;
		}
	}
}

static struct fs_node *find_by_id(struct fs *fs, const struct statx *st, uint8_t export, struct fs_place place)
{
	for (uint32_t i = *id_bucket(fs, stat_device(st), st->stx_ino); i != 0; i = fs->nodes[i - 1].id_next) {
		struct fs_node *node = &fs->nodes[i - 1];
		if (fs_node_is(node, st) && node->export == export && node->place.rule == place.rule &&
		    node->place.visibility == place.visibility)
			return node;
	}
	return NULL;
}

struct fs_node *fs_node_cached(struct fs *fs, const struct fs_node *directory, const char *name)
{
	uint32_t parent = fs_node_index(fs, directory);
	for (uint32_t i = *name_bucket(fs, parent, name); i != 0; i = fs->nodes[i - 1].name_next) {
		struct fs_node *node = &fs->nodes[i - 1];
		if (node->parent == parent && node->parent_generation == directory->generation &&
		    strcmp(node->name, name) == 0)
			return node;
	}
	return NULL;
}

/* ---- life of a node ----------------------------------------------------------------------------- */

/* Directories do not hold their parent, all others do: see struct fs_node. */
static bool holds_parent(const struct fs_node *node) { return !S_ISDIR(node->type); }

void fs_node_rename(struct fs *fs, struct fs_node *node, struct fs_node *directory, const char *name)
{
	struct fs_node *old = NULL;
	if (node->name != NULL) {
		if (directory != NULL && name != NULL && node->parent == fs_node_index(fs, directory) &&
		    node->parent_generation == directory->generation && strcmp(node->name, name) == 0)
			return;
		name_unlink(fs, node);
		old = holds_parent(node) ? &fs->nodes[node->parent] : NULL;
		if (node->name != node->short_name)
			free(node->name);
		node->name = NULL;
	}
	if (name != NULL) {
		size_t bytes = strlen(name) + 1;
		/* Without memory the node has no name: it cannot be opened until it is looked up again. */
		node->name = bytes <= sizeof(node->short_name) ? node->short_name : malloc(bytes);
		if (node->name != NULL) {
			memcpy(node->name, name, bytes);
			node->parent = fs_node_index(fs, directory);
			node->parent_generation = directory->generation;
			uint32_t *bucket = name_bucket(fs, node->parent, name);
			node->name_next = *bucket;
			*bucket = fs_node_index(fs, node) + 1;
			if (holds_parent(node))
				fs_node_ref(directory);
		}
	}
	if (old != NULL)
		fs_node_unref(fs, old);
}

static struct fs_node *node_new(struct fs *fs, int fd, const struct statx *st, uint8_t export, struct fs_place place)
{
	uint32_t index = fs->nodes_free;
	if (index != FS_NONE)
		fs->nodes_free = fs->nodes[index].id_next;
	else if (fs->nodes_used < fs->nodes_max)
		index = fs->nodes_used++;
	else
		return NULL;
	struct fs_node *node = &fs->nodes[index];
	fs->descriptors += fd >= 0;
	*node = (struct fs_node){
	    .fd = fd,
	    .used = true,
	    .birth = stat_birth(st),
	    .type = st->stx_mode & S_IFMT,
	    .device = stat_device(st),
	    .inode = st->stx_ino,
	    .generation = fs->next_generation++,
	    .export = export,
	    .place = place,
	};
	uint32_t *bucket = id_bucket(fs, node->device, node->inode);
	node->id_next = *bucket;
	*bucket = index + 1;
	return node;
}

/* Frees a node that nobody knows any more. Its parent may follow: a file's parent is a directory, which
 * holds no parent, so this goes one step deep at most. */
static void node_release(struct fs *fs, struct fs_node *node)
{
	uint32_t index = fs_node_index(fs, node);
	if (index < fs->export_count || node->lookups != 0 || node->refs != 0)
		return;
	/* Keep it from being released again while its name goes. */
	node->refs = 1;
	fs_node_rename(fs, node, NULL, NULL);
	id_unlink(fs, node);
	if (node->fd >= 0) {
		close(node->fd);
		fs->descriptors--;
	}
	node->fd = -1;
	node->used = false;
	node->refs = 0;
	node->id_next = fs->nodes_free;
	fs->nodes_free = index;
}

void fs_node_ref(struct fs_node *node) { node->refs++; }

void fs_node_unref(struct fs *fs, struct fs_node *node)
{
	node->refs--;
	node_release(fs, node);
}

void fs_node_forget(struct fs *fs, struct fs_node *node, uint64_t lookups)
{
	if (lookups == 0)
		return;
	node->lookups -= min_u64(lookups, node->lookups);
	/* What the server keeps open for itself must not keep the node. */
	if (node->lookups == 0) {
		fs_node_ref(node);
		fs_handle_drop(fs, node);
		fs_node_unref(fs, node);
	}
}

struct fs_node *fs_node_get(struct fs *fs, uint64_t id)
{
	if (id == 0 || id > fs->nodes_used)
		return NULL;
	struct fs_node *node = &fs->nodes[id - 1];
	return node->used ? node : NULL;
}

/* ---- looking up and opening ----------------------------------------------------------------------- */

/* A node known under this name that is still good: *st says what it is now. */
static struct fs_node *lookup_cached(struct fs *fs, struct fs_node *directory, const char *name, struct fs_place place,
				     struct statx *st)
{
	struct fs_node *node = fs_node_cached(fs, directory, name);
	if (node == NULL || node->place.rule != place.rule || node->place.visibility != place.visibility)
		return NULL;
	/* A read-only export counts as unchanging; else the name must still lead to the same file. */
	if (fs_node_is_read_only(fs, node))
		return fs_node_stat(fs, node, st) == 0 ? node : NULL;
	return fs_stat(directory->fd, name, st) == 0 && fs_node_is(node, st) ? node : NULL;
}

static bool on_procfs(int fd)
{
	struct statfs host;
	return fstatfs(fd, &host) < 0 || host.f_type == PROC_SUPER_MAGIC;
}

/* Looks at `name`: *st, and in *fd an O_PATH descriptor or, for a file that needs none, -1. */
static int lookup_host(struct fs *fs, struct fs_node *directory, const char *name, bool likely_directory,
		       struct statx *st, int *fd)
{
	bool read_only = fs_node_is_read_only(fs, directory);
	*fd = -1;
	if (read_only && !likely_directory) {
		int r = fs_stat(directory->fd, name, st);
		if (r < 0 || !S_ISDIR(st->stx_mode))
			return r;
	}
	if (fs->descriptors >= fs->descriptors_max)
		return -ENFILE;
	*fd = fs_open_step(directory->fd, name, O_PATH, 0);
	if (*fd < 0)
		return *fd;
	int r = fs_stat(*fd, "", st);
	if (r < 0 || (read_only && !S_ISDIR(st->stx_mode))) {
		close(*fd);
		*fd = -1;
	}
	return r;
}

/* Looks at `name` and finds or makes its node. */
static int lookup_new(struct fs *fs, struct fs_node *directory, const char *name, bool likely_directory,
		      struct fs_place place, struct fs_node **node, struct statx *st)
{
	int fd;
	int r = lookup_host(fs, directory, name, likely_directory, st, &fd);
	if (r < 0)
		return r;
	struct fs_node *known = NULL;
	if (place.visibility == FS_VISIBLE_PUBLIC && !fs_mode_is_public(st->stx_mode))
		r = -ENOENT;
	else
		known = find_by_id(fs, st, directory->export, place);
	if (r == 0 && known == NULL) {
		known = node_new(fs, fd, st, directory->export, place);
		r = known == NULL ? -ENFILE : 0;
		if (known != NULL) {
			fd = -1;
			known->closed =
			    S_ISDIR(known->type) && known->device != directory->device && on_procfs(known->fd);
		}
	}
	if (fd >= 0)
		close(fd);
	if (r < 0)
		return r;
	/* The root of an export has no name; a host's bind mount could lead to it again. */
	if (fs_node_index(fs, known) >= fs->export_count)
		fs_node_rename(fs, known, directory, name);
	*node = known;
	return 0;
}

int fs_node_lookup(struct fs *fs, struct fs_node *directory, const char *name, bool likely_directory,
		   struct fs_node **node, struct statx *st)
{
	struct fs_place place;
	if (!S_ISDIR(directory->type))
		return -ENOTDIR;
	if (directory->closed)
		return -EACCES;
	if (!fs_filter_step(&fs->exports[directory->export].filter, directory->place, name, &place))
		return -ENOENT;
	*node = lookup_cached(fs, directory, name, place, st);
	if (*node != NULL && place.visibility == FS_VISIBLE_PUBLIC && !fs_mode_is_public(st->stx_mode))
		return -ENOENT;
	if (*node == NULL) {
		int r = lookup_new(fs, directory, name, likely_directory, place, node, st);
		if (r < 0)
			return r;
	}
	(*node)->lookups++;
	return 0;
}

/* The export is one file: its root was opened for data at the start. */
static int open_root_file(struct fs *fs, const struct fs_node *node, int flags)
{
	int fd = fcntl(fs->exports[node->export].file_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return errno == EMFILE ? -ENFILE : -errno;
	if ((flags & O_TRUNC) && ftruncate(fd, 0) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* Opens the file by the name last seen and makes sure that it is still the node's. */
static int open_named(struct fs *fs, const struct fs_node *node, int access, struct statx *st)
{
	if (node->name == NULL)
		return -ESTALE;
	/* O_NONBLOCK: opening a FIFO, which the name may lead to by now, must not wait. */
	int fd = fs_open_step(fs->nodes[node->parent].fd, node->name, access | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	int r = fs_stat(fd, "", st);
	if (r == 0 && !fs_node_is(node, st))
		r = -ESTALE;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int fs_node_open(struct fs *fs, const struct fs_node *node, int flags)
{
	if (node->closed)
		return -EACCES;
	if (S_ISDIR(node->type))
		return fs_open_step(node->fd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (!S_ISREG(node->type))
		return S_ISLNK(node->type) ? -ELOOP : -EACCES;
	if (fs_node_index(fs, node) < fs->export_count)
		return open_root_file(fs, node, flags);
	int access = flags & ~O_TRUNC;
	if ((flags & O_TRUNC) && (access & O_ACCMODE) == O_RDONLY)
		access |= O_RDWR;
	struct statx st;
	int fd = open_named(fs, node, access, &st);
	if (fd < 0)
		return fd;
	int r = 0;
	if (node->place.visibility == FS_VISIBLE_PUBLIC && !fs_mode_is_public(st.stx_mode))
		r = -EACCES;
	/* Only now that it is known to be the right file. */
	if (r == 0 && (flags & O_TRUNC) && ftruncate(fd, 0) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int fs_node_open_fifo(struct fs *fs, const struct fs_node *node)
{
	struct statx st;
	if (node->closed || !S_ISFIFO(node->type) || fs_node_index(fs, node) < fs->export_count)
		return -EACCES;
	return open_named(fs, node, O_RDONLY, &st);
}

/* ---- the tables ------------------------------------------------------------------------------------ */

static int roots_init(struct fs *fs, const struct fs_config *config)
{
	for (unsigned i = 0; i < config->export_count; i++) {
		struct statx st;
		int r = fs_stat(config->exports[i].root_fd, "", &st);
		if (r < 0)
			return r;
		struct fs_place place = fs_filter_root(&fs->exports[i].filter);
		struct fs_node *root = node_new(fs, config->exports[i].root_fd, &st, (uint8_t)i, place);
		if (root == NULL)
			return -ENFILE;
		root->closed = on_procfs(root->fd);
		fs->exports[i].device = stat_device(&st);
	}
	return 0;
}

int fs_nodes_init(struct fs *fs, const struct fs_config *config)
{
	fs->nodes_max = (uint32_t)min_u64((uint64_t)config->nodes_max * FS_NODES_PER_DESCRIPTOR, FS_NODES_MAX);
	fs->descriptors_max = config->nodes_max;
	uint32_t buckets = 64;
	while (buckets < fs->nodes_max)
		buckets *= 2;
	fs->nodes_free = FS_NONE;
	fs->hash_mask = buckets - 1;
	fs->next_generation = 1;
	/* The guest names files: it must not be able to choose which fall into one bucket. */
	if (getrandom(&fs->hash_seed, sizeof(fs->hash_seed), GRND_NONBLOCK) < 0)
		fs->hash_seed = (uintptr_t)fs;
	/* At the start every page touched costs time: nodes are filled in when they are taken, and the hash
	 * tables are zero from the system. */
	fs->nodes = malloc(fs->nodes_max * sizeof(*fs->nodes));
	fs->hash_bytes = 2 * sizeof(*fs->by_id) * buckets;
	void *hash = mmap(NULL, fs->hash_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fs->nodes == NULL || hash == MAP_FAILED)
		return -ENOMEM;
	fs->by_id = hash;
	fs->by_name = fs->by_id + buckets;
	return roots_init(fs, config);
}

void fs_session_drop(struct fs *fs)
{
	fs_handles_close(fs);
	for (uint32_t i = 0; i < fs->nodes_used; i++) {
		fs->nodes[i].lookups = 0;
		if (fs->nodes[i].used)
			node_release(fs, &fs->nodes[i]);
	}
}

void fs_nodes_fini(struct fs *fs)
{
	for (uint32_t i = 0; fs->nodes != NULL && i < fs->nodes_used && i < fs->export_count; i++)
		close(fs->nodes[i].fd);
	free(fs->nodes);
	if (fs->by_id != NULL)
		munmap(fs->by_id, fs->hash_bytes);
}
