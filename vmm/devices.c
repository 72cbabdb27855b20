/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/util.h"
#include "dev/console.h"
#include "dev/fs.h"
#include "dev/rng.h"
#include "vmm/irq.h"
#include "vmm/streams.h"
#include "vmm/vm.h"

#define FS_NODES_MAX 65536u
#define FS_NODES_MIN 128u
#define FS_OTHER_DESCRIPTORS 128u /* the monitor's own, and files that the guest has open */

/* Entries per queue. Small: all rings of a VM share one page of RAM, and nucleo keeps few requests in
 * flight. */
static const uint16_t console_queue_sizes[LAMPO_QUEUES_MAX] = {16, 16, 16};
static const uint16_t rng_queue_sizes[LAMPO_QUEUES_MAX] = {4};
static const uint16_t fs_queue_sizes[LAMPO_QUEUES_MAX] = {16, 32};

static const uint16_t *queue_sizes(uint32_t virtio_id)
{
	switch (virtio_id) {
	case VIRTIO_ID_CONSOLE:
		return console_queue_sizes;
	case VIRTIO_ID_RNG:
		return rng_queue_sizes;
	default:
		return fs_queue_sizes;
	}
}

/* ---- what devices ask of the monitor ---------------------------------------------------------- */

static void on_complaint(void *context, struct virtio_device *device, const char *what)
{
	vm_complain(context, device->ops->name, what);
}

static void on_ready(void *context, void *object, int fd, uint32_t events)
{
	struct virtio_device *device = object;
	pthread_mutex_lock(&device->lock);
	device->ops->ready(device, fd, events);
	pthread_mutex_unlock(&device->lock);
	vm_end_if_drained(context);
}

static int on_watch(void *context, struct virtio_device *device, int fd, uint32_t events)
{
	struct vm *vm = context;
	return event_loop_watch(&vm->loop, fd, events, vm, device, on_ready);
}

/* ---- making them ------------------------------------------------------------------------------ */

/* Each node that the guest knows holds a descriptor: as many as the limit lets us have. */
static unsigned nodes_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return FS_NODES_MIN;
	limit.rlim_cur = min_u64(limit.rlim_max, FS_NODES_MAX + FS_OTHER_DESCRIPTORS);
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur > FS_NODES_MIN + FS_OTHER_DESCRIPTORS ? (unsigned)limit.rlim_cur - FS_OTHER_DESCRIPTORS
								    : FS_NODES_MIN;
}

static int fs_create(struct vm *vm, const struct virtio_host *host)
{
	const struct options *options = vm->options;
	struct fs_config config = {
	    .tag = "lampo", .preset = true, .nodes_max = nodes_limit(), .overflow_to_root = options->overflow_to_root};
	if (options->root_fd >= 0)
		config.exports[config.export_count++] = (struct fs_export){
		    .root_fd = options->root_fd,
		    .read_only = true,
		    .visible = options->visible_count != 0 ? options->visible : NULL,
		    .visible_count = options->visible_count,
		    .hidden = options->hidden,
		    .hidden_count = options->hidden_count,
		};
	for (unsigned i = 0; i < options->volume_count; i++)
		config.exports[config.export_count++] = (struct fs_export){
		    .root_fd = options->volumes[i].fd,
		    .read_only = options->volumes[i].read_only,
		};
	if (config.export_count == 0)
		return 0;
	return fs_new(&vm->devices[vm->device_count], &config, &vm->memory.map, host);
}

int devices_create(struct vm *vm, struct err *err)
{
	const struct options *options = vm->options;
	const struct virtio_host host = {
	    .context = vm,
	    .interrupt = irq_device_event,
	    .complain = on_complaint,
	    .watch = on_watch,
	};
	struct console_config console = {
	    .in_fd = options->standard_input ? stream_open(STDIN_FILENO) : -1,
	    .out_fd = stream_open(STDOUT_FILENO),
	    .err_fd = stream_open(STDERR_FILENO),
	    .columns = options->columns,
	    .rows = options->rows,
	};
	int r = console_new(&vm->devices[0], &console, &vm->memory.map, &host);
	if (r < 0)
		return err_set(err, r, "cannot create the console");
	vm->console = vm->devices[vm->device_count++];
	vm->log_fd = console.err_fd;
	if ((r = rng_new(&vm->devices[vm->device_count], &vm->memory.map, &host)) < 0)
		return err_set(err, r, "cannot create the source of random numbers");
	vm->device_count++;
	if ((r = fs_create(vm, &host)) < 0)
		return err_set(err, r, "cannot export the host's directories");
	vm->device_count += vm->devices[vm->device_count] != NULL;
	for (unsigned i = 0; i < vm->device_count; i++)
		vm->devices[i]->index = i;
	return 0;
}

/* ---- queues ------------------------------------------------------------------------------------ */

/* Sizes and alignments: virtio 1.2, 2.7. The two event fields are always there. */
static int queue_place(struct memory *memory, uint16_t size, struct lampo_boot_queue *queue)
{
	queue->size = size;
	queue->desc_gpa = memory_take(memory, 16ull * size, 16);
	queue->avail_gpa = memory_take(memory, 6 + 2ull * size, 2);
	queue->used_gpa = memory_take(memory, 6 + 8ull * size, 4);
	return queue->desc_gpa == 0 || queue->avail_gpa == 0 || queue->used_gpa == 0 ? -ENOMEM : 0;
}

static int device_activate(struct vm *vm, struct virtio_device *device, struct lampo_boot_device *described)
{
	struct virtio_queue_layout layout[LAMPO_QUEUES_MAX];
	const uint16_t *sizes = queue_sizes(device->ops->id);
	*described = (struct lampo_boot_device){
	    .virtio_id = device->ops->id,
	    .mmio_gpa = LAMPO_GPA_MMIO + (uint64_t)device->index * LAMPO_MMIO_STRIDE,
	    /* nucleo polls and never hides descriptors behind descriptors. */
	    .features = (device->ops->features & ~VIRTIO_F_EVENT_IDX & ~VIRTIO_F_INDIRECT_DESC) | VIRTIO_F_VERSION_1,
	};
	for (unsigned i = 0; i < device->ops->queues; i++) {
		struct lampo_boot_queue *queue = &described->queues[i];
		int r = queue_place(&vm->memory, sizes[i], queue);
		if (r < 0)
			return r;
		layout[i] =
		    (struct virtio_queue_layout){sizes[i], {queue->desc_gpa}, {queue->avail_gpa}, {queue->used_gpa}};
	}
	return virtio_device_preset(device, described->features, layout, device->ops->queues);
}

int devices_activate(struct vm *vm, struct lampo_boot_info *boot, struct err *err)
{
	for (unsigned i = 0; i < vm->device_count; i++) {
		int r = device_activate(vm, vm->devices[i], &boot->devices[i]);
		if (r < 0)
			return err_set(err, r, "cannot activate device %s", vm->devices[i]->ops->name);
	}
	boot->device_count = vm->device_count;
	return 0;
}
