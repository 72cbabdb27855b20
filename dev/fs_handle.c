/* SPDX-License-Identifier: Apache-2.0 */
/* Open files and directories of the guest. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi/fuse_walk.h"
#include "dev/fs_internal.h"

int fs_handles_init(struct fs *fs)
{
	/* Filled in when they are taken. */
	fs->handles = malloc(FS_HANDLES_MAX * sizeof(*fs->handles));
	fs->handles_free = FS_NONE;
	fs->next_serial = 1;
	return fs->handles == NULL ? -ENOMEM : 0;
}

bool fs_handle_available(const struct fs *fs)
{
	return fs->handles_free != FS_NONE || fs->handles_used < FS_HANDLES_MAX;
}

int fs_handle_add(struct fs *fs, struct fs_node *node, int fd, bool writable, uint64_t *id)
{
	uint32_t index = fs->handles_free;
	if (!fs_handle_available(fs)) {
		close(fd);
		return -ENFILE;
	}
	if (index != FS_NONE)
		fs->handles_free = fs->handles[index].next_free;
	else
		index = fs->handles_used++;
	fs->handles[index] = (struct fs_handle){
	    .fd = fd,
	    .node = fs_node_index(fs, node),
	    .serial = fs->next_serial++,
	    .directory = S_ISDIR(node->type),
	    .writable = writable,
	};
	fs_node_ref(node);
	*id = (uint64_t)fs->handles[index].serial << 32 | index;
	return 0;
}

struct fs_handle *fs_handle_get(struct fs *fs, uint64_t id)
{
	uint32_t index = (uint32_t)id;
	if (index >= fs->handles_used)
		return NULL;
	struct fs_handle *handle = &fs->handles[index];
	return handle->fd >= 0 && handle->serial == id >> 32 ? handle : NULL;
}

/* ---- requests on a node itself (LAMPO_FH_NODE) -------------------------------------------------------- */

/* The descriptor kept for a node, or NULL. */
static struct fs_handle *node_handle(struct fs *fs, const struct fs_node *node)
{
	struct fs_handle *handle = fs_handle_get(fs, node->node_handle);
	return handle != NULL && handle->node == fs_node_index(fs, node) ? handle : NULL;
}

struct fs_handle *fs_handle_of_node(struct fs *fs, const struct fs_node *node, bool writable)
{
	struct fs_handle *handle = node_handle(fs, node);
	return handle != NULL && (handle->writable || !writable) ? handle : NULL;
}

int fs_handle_keep(struct fs *fs, struct fs_node *node, int fd, bool writable)
{
	struct fs_handle *old = node_handle(fs, node);
	uint64_t *slot = &fs->node_handles[fs->node_handle_next++ % FS_NODE_HANDLES_MAX];
	struct fs_handle *oldest;
	/* Closing a handle may free a node; not this one. */
	fs_node_ref(node);
	if (old != NULL)
		fs_handle_close(fs, old);
	oldest = fs_handle_get(fs, *slot);
	if (oldest != NULL)
		fs_handle_close(fs, oldest);
	int error = fs_handle_add(fs, node, fd, writable, slot);
	node->node_handle = error < 0 ? 0 : *slot;
	if (error < 0)
		*slot = 0;
	fs_node_unref(fs, node);
	return error;
}

void fs_handle_drop(struct fs *fs, struct fs_node *node)
{
	struct fs_handle *handle = node_handle(fs, node);
	node->node_handle = 0;
	if (handle != NULL)
		fs_handle_close(fs, handle);
}

void fs_handle_pin(struct fs *fs, struct fs_node *node)
{
	if (!fs->by_node || !S_ISREG(node->type) || fs_node_index(fs, node) < fs->export_count)
		return;
	if (fs_handle_of_node(fs, node, true) == NULL) {
		int fd = fs_node_open(fs, node, O_RDWR);
		bool writable = fd >= 0;
		if (fd < 0)
			fd = fs_node_open(fs, node, O_RDONLY);
		if (fd < 0 || fs_handle_keep(fs, node, fd, writable) < 0)
			return;
	}
	/* From the ring of those that can be opened again to the one of those that cannot. */
	for (unsigned i = 0; i < FS_NODE_HANDLES_MAX; i++) {
		if (fs->node_handles[i] == node->node_handle)
			fs->node_handles[i] = 0;
	}
	uint64_t *slot = &fs->pinned_handles[fs->pinned_handle_next++ % FS_PINNED_HANDLES_MAX];
	struct fs_handle *oldest = fs_handle_get(fs, *slot);
	*slot = node->node_handle;
	if (oldest != NULL)
		fs_handle_close(fs, oldest);
}

/* Opens the node for a request, or finds the descriptor of an earlier one. */
static int node_handle_open(struct fs *fs, struct fs_node *node, bool writable, struct fs_handle **handle)
{
	struct statx st;
	fs->by_node = true;
	if (writable && fs_node_is_read_only(fs, node))
		return -EROFS;
	if (writable && node->place.visibility != FS_VISIBLE_ALL)
		return -EACCES;
	*handle = fs_handle_of_node(fs, node, writable);
	if (*handle == NULL) {
		int fd = fs_node_open(fs, node, writable ? O_RDWR : O_RDONLY);
		int error = fd < 0 ? fd : fs_handle_keep(fs, node, fd, writable);
		*handle = error < 0 ? NULL : fs_handle_of_node(fs, node, writable);
		return error;
	}
	/* Each request counts as an open: what stopped being public closes. */
	if (node->place.visibility == FS_VISIBLE_PUBLIC) {
		int error = fs_node_stat(fs, node, &st);
		if (error < 0 || !fs_mode_is_public(st.stx_mode))
			return error < 0 ? error : -EACCES;
	}
	return 0;
}

struct fs_handle *fs_handle_for(struct fs *fs, uint64_t id, uint64_t node_id, bool writable, int *error)
{
	struct fs_handle *handle = fs_handle_get(fs, id);
	*error = handle == NULL || (writable && !handle->writable) ? -EBADF : 0;
	if (id == LAMPO_FH_NODE) {
		struct fs_node *node = fs_node_get(fs, node_id);
		*error = node == NULL ? -ESTALE : node_handle_open(fs, node, writable, &handle);
	}
	return *error < 0 ? NULL : handle;
}

/* ------------------------------------------------------------------------------------------------------- */

void fs_handle_close(struct fs *fs, struct fs_handle *handle)
{
	close(handle->fd);
	handle->fd = -1;
	handle->next_free = fs->handles_free;
	fs->handles_free = (uint32_t)(handle - fs->handles);
	fs_node_unref(fs, &fs->nodes[handle->node]);
}

void fs_handles_close(struct fs *fs)
{
	for (uint32_t i = 0; i < fs->handles_used; i++) {
		if (fs->handles[i].fd >= 0)
			fs_handle_close(fs, &fs->handles[i]);
	}
}

void fs_handles_fini(struct fs *fs) { free(fs->handles); }
