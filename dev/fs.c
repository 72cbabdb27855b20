/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-fs (virtio 1.2, 5.11): the device. What a request means is in fs_request.c and fs_ops_*.c. */
#include "dev/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev/fs_internal.h"

#define FS_QUEUE_HIGH_PRIORITY 0u
#define FS_QUEUE_REQUEST 1u
#define FS_QUEUES 2u

/* 5.11.4 */
struct fs_layout {
	char tag[FS_TAG_MAX]; /* padded with NULs */
	uint32_t request_queues;
};

static struct fs *fs_of(struct virtio_device *device) { return container_of(device, struct fs, device); }

static void fs_notify(struct virtio_device *device, unsigned index)
{
	struct fs *fs = fs_of(device);
	struct virtqueue *queue = &device->queues[index];
	unsigned left = queue->size;
	while (left > 0 && virtio_device_pop(device, index, &fs->chain)) {
		virtqueue_push(queue, fs->chain.head, fs_request_serve(fs));
		if (--left == 0)
			device->again |= 1u << index;
	}
	virtio_device_signal(device, queue);
}

static void fs_config_read(struct virtio_device *device, uint32_t offset, void *to, uint32_t bytes)
{
	struct fs_layout layout = {.request_queues = FS_QUEUES - FS_QUEUE_REQUEST};
	memcpy(layout.tag, fs_of(device)->tag, sizeof(layout.tag));
	memcpy(to, (const char *)&layout + offset, bytes);
}

static void fs_reset(struct virtio_device *device)
{
	struct fs *fs = fs_of(device);
	fs_session_drop(fs);
	fs->started = fs->preset;
}

static void exports_close(struct fs *fs)
{
	for (unsigned i = 0; i < fs->export_count; i++) {
		fs_filter_fini(&fs->exports[i].filter);
		if (fs->exports[i].file_fd >= 0)
			close(fs->exports[i].file_fd);
	}
}

static void fs_free(struct virtio_device *device)
{
	struct fs *fs = fs_of(device);
	fs_session_drop(fs);
	fs_nodes_fini(fs);
	fs_handles_fini(fs);
	exports_close(fs);
	virtio_device_fini(device);
	free(fs);
}

static const struct virtio_device_ops fs_ops = {
    .name = "fs",
    .id = VIRTIO_ID_FS,
    .features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
    .queues = FS_QUEUES,
    .queue_size_max = VIRTQUEUE_SIZE_MAX,
    .config_bytes = sizeof(struct fs_layout),
    .config_read = fs_config_read,
    .notify = fs_notify,
    .reset = fs_reset,
    .free = fs_free,
};

/* A file's root has no directory to open it from, and /proc is out of reach later: open it now. Leaves -1
 * for a directory. */
static int root_file_open(const struct fs_export *config, int *fd)
{
	struct stat st;
	*fd = -1;
	if (fstat(config->root_fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return 0;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", config->root_fd);
	*fd = open(path, (config->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	return *fd < 0 ? -errno : 0;
}

static int exports_init(struct fs *fs, const struct fs_config *config)
{
	int r = 0;
	for (unsigned i = 0; i < config->export_count && r == 0; i++) {
		struct fs_export_state *export = &fs->exports[i];
		export->read_only = config->exports[i].read_only;
		export->file_fd = -1;
		fs->export_count = i + 1;
		r = fs_filter_init(&export->filter, &config->exports[i]);
		if (r == 0)
			r = root_file_open(&config->exports[i], &export->file_fd);
	}
	return r;
}

int fs_new(struct virtio_device **device, const struct fs_config *config, const struct guest_memory *memory,
	   const struct virtio_host *host)
{
	if (config->export_count == 0 || config->export_count > FS_EXPORTS_MAX ||
	    config->nodes_max <= config->export_count || config->nodes_max > FS_NODES_MAX ||
	    strnlen(config->tag, sizeof(config->tag)) > FS_TAG_MAX)
		return -EINVAL;
	struct fs *fs = calloc(1, sizeof(*fs));
	if (fs == NULL)
		return -ENOMEM;
	memcpy(fs->tag, config->tag, FS_TAG_MAX);
	fs->preset = fs->started = config->preset;
	fs->overflow_to_root = config->overflow_to_root;
	int r = exports_init(fs, config);
	if (r == 0)
		r = fs_handles_init(fs);
	if (r == 0)
		r = fs_nodes_init(fs, config);
	if (r < 0) {
		fs->nodes_used = 0; /* the roots' descriptors stay the caller's */
		fs_nodes_fini(fs);
		fs_handles_fini(fs);
		exports_close(fs);
		free(fs);
		return r;
	}
	virtio_device_init(&fs->device, &fs_ops, memory, host);
	*device = &fs->device;
	return 0;
}
