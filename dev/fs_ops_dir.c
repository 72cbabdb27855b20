/* SPDX-License-Identifier: Apache-2.0 */
/* Reading directories. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/fuse_walk.h"
#include "dev/fs_internal.h"

/* As getdents64() fills it. */
struct host_dirent {
	uint64_t inode;
	int64_t next;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

/* For list_way() the node's own kind of descriptor will do; the host's directory may be closed to us. */
static int directory_open(struct fs *fs, const struct fs_node *node)
{
	if (node->place.visibility != FS_VISIBLE_WAY)
		return fs_node_open(fs, node, O_RDONLY);
	int fd = fcntl(node->fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -ENFILE : fd;
}

int fs_op_opendir(struct fs_request *r)
{
	struct fuse_open_out *out = (struct fuse_open_out *)r->out;
	if (!S_ISDIR(r->node->type))
		return -ENOTDIR;
	if (!fs_handle_available(r->fs))
		return -ENFILE;
	int fd = directory_open(r->fs, r->node);
	if (fd < 0)
		return fd;
	bool unchanging = fs_node_is_read_only(r->fs, r->node);
	*out = (struct fuse_open_out){.open_flags = unchanging ? FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR : 0};
	r->out_bytes = sizeof(*out);
	return fs_handle_add(r->fs, r->node, fd, false, &out->fh);
}

static struct fs_handle *directory_handle(struct fs_request *r, uint64_t id)
{
	struct fs_handle *handle = fs_handle_get(r->fs, id);
	return handle == NULL || !handle->directory ? NULL : handle;
}

int fs_op_releasedir(struct fs_request *r)
{
	struct fuse_release_in in;
	memcpy(&in, r->args, sizeof(in));
	struct fs_handle *handle = directory_handle(r, in.fh);
	if (handle == NULL)
		return -EBADF;
	fs_handle_close(r->fs, handle);
	return 0;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* Whether the filter shows an entry: the same rule as in a lookup. */
static bool entry_shown(struct fs *fs, const struct fs_node *directory, const char *name)
{
	struct fs_place place;
	struct statx st;
	if (is_dots(name))
		return true;
	if (!fs_filter_step(&fs->exports[directory->export].filter, directory->place, name, &place))
		return false;
	return place.visibility != FS_VISIBLE_PUBLIC ||
	       (fs_stat(directory->fd, name, &st) == 0 && fs_mode_is_public(st.stx_mode));
}

/* Puts one entry at the end of the reply. False: it does not fit. */
static bool entry_put(struct fs_request *r, struct fs_node *directory, const struct host_dirent *host, uint64_t room,
		      bool plus)
{
	size_t name_bytes = strlen(host->name);
	size_t head = plus ? sizeof(struct fuse_entry_out) : 0;
	size_t bytes = FUSE_DIRENT_ALIGN(head + FUSE_NAME_OFFSET + name_bytes);
	if (bytes > room - r->out_bytes)
		return false;
	char *at = r->out + r->out_bytes;
	memset(at, 0, bytes);
	struct fuse_dirent *entry = (struct fuse_dirent *)(at + head);
	/* ".." of a root lies outside: its number is nobody's business. */
	entry->ino = fs_show_inode(r->fs, directory, is_dots(host->name) ? directory->inode : host->inode);
	entry->off = (uint64_t)host->next;
	entry->namelen = (uint32_t)name_bytes;
	entry->type = host->type;
	memcpy(entry->name, host->name, name_bytes);
	if (plus && !is_dots(host->name)) {
		struct fs_node *node;
		struct statx st;
		/* One that cannot be looked up now (gone, too many nodes) goes without: node id 0. */
		if (fs_node_lookup(r->fs, directory, host->name, host->type == DT_DIR, &node, &st) == 0) {
			fs_fill_entry(r->fs, node, &st, (struct fuse_entry_out *)at);
			entry->ino = ((struct fuse_entry_out *)at)->attr.ino;
			entry->type = (st.stx_mode & S_IFMT) >> 12;
		}
	}
	r->out_bytes += bytes;
	return true;
}

/* One getdents64() worth of entries. 1: there may be more and there is room; 0: end or full; -errno. */
static int fill_some(struct fs_request *r, struct fs_handle *handle, uint64_t room, bool plus)
{
	struct fs_node *directory = &r->fs->nodes[handle->node];
	/* Not more than fits, roughly: what does not fit is read again. */
	uint64_t ask = min_u64(max_u64(room - r->out_bytes, 512), sizeof(r->fs->scratch));
	long n = syscall(SYS_getdents64, handle->fd, r->fs->scratch, ask);
	if (n <= 0) {
		handle->position = n < 0 ? -1 : handle->position;
		return n < 0 ? -errno : 0;
	}
	for (long at = 0; at < n;) {
		const struct host_dirent *host = (const struct host_dirent *)(r->fs->scratch + at);
		if (entry_shown(r->fs, directory, host->name) && !entry_put(r, directory, host, room, plus)) {
			/* The descriptor stands behind this entry; the next call must seek back. */
			handle->position = -1;
			return 0;
		}
		handle->position = host->next;
		at += host->bytes;
	}
	return 1;
}

/* A directory of which only the way to what is visible shows: its entries are the filter's rules, and the
 * host's directory is not read (the monitor may not even have the right to). Cookies count the rules. */
static int list_way(struct fs_request *r, struct fs_node *node, uint64_t offset, uint64_t room, bool plus)
{
	const struct fs_filter *filter = &r->fs->exports[node->export].filter;
	union {
		struct host_dirent entry;
		char room[sizeof(struct host_dirent) + FS_NAME_MAX + 1];
	} host;
	uint64_t number = 0;
	uint16_t i = node->place.rule == FS_NO_RULE ? FS_NO_RULE : filter->rules[node->place.rule].first_child;
	for (; i != FS_NO_RULE; i = filter->rules[i].next_sibling) {
		const struct fs_rule *rule = &filter->rules[i];
		struct statx st;
		if (number++ < offset || rule->hidden || !(rule->shown || rule->leads) ||
		    strlen(rule->name) > FS_NAME_MAX)
			continue;
		if (fs_stat(node->fd, rule->name, &st) < 0 || !entry_shown(r->fs, node, rule->name))
			continue;
		host.entry.inode = st.stx_ino;
		host.entry.next = (int64_t)number;
		host.entry.type = (st.stx_mode & S_IFMT) >> 12;
		memcpy(host.entry.name, rule->name, strlen(rule->name) + 1);
		if (!entry_put(r, node, &host.entry, room, plus))
			break;
	}
	return 0;
}

static int readdir_common(struct fs_request *r, bool plus)
{
	struct fuse_read_in in;
	memcpy(&in, r->args, sizeof(in));
	uint64_t room = min_u64(in.size, r->out_max);
	struct fs_handle *handle = NULL;
	struct fs_node *node = NULL;
	int error = 0;
	if (in.fh == LAMPO_FH_NODE)
		node = fs_node_get(r->fs, r->in.nodeid);
	else if ((handle = fs_handle_get(r->fs, in.fh)) != NULL)
		node = &r->fs->nodes[handle->node];
	if (node != NULL && S_ISDIR(node->type) && node->place.visibility == FS_VISIBLE_WAY)
		return list_way(r, node, in.offset, room, plus);
	handle = fs_handle_for(r->fs, in.fh, r->in.nodeid, false, &error);
	if (handle == NULL)
		return error;
	if (!handle->directory)
		return -ENOTDIR;
	if ((int64_t)in.offset != handle->position) {
		if (lseek(handle->fd, (off_t)in.offset, SEEK_SET) < 0)
			return -errno;
		handle->position = (int64_t)in.offset;
	}
	int more = 1;
	while (more > 0 && room - r->out_bytes > FUSE_NAME_OFFSET)
		more = fill_some(r, handle, room, plus);
	/* A short list would pass for the end of the directory, so an error counts even behind entries. But the
	 * lookups that READDIRPLUS has counted must reach the guest: there it shows at the next call. */
	return more < 0 && (!plus || r->out_bytes == 0) ? more : 0;
}

int fs_op_readdir(struct fs_request *r) { return readdir_common(r, false); }
int fs_op_readdirplus(struct fs_request *r) { return readdir_common(r, true); }
