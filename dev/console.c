/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-console (virtio 1.2, 5.3). */
#include "dev/console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/util.h"

#define CONSOLE_F_SIZE (1ull << 0)
#define CONSOLE_QUEUE_INPUT 0u
#define CONSOLE_QUEUE_OUTPUT 1u
#define CONSOLE_QUEUE_ERROR 2u
#define CONSOLE_QUEUES 3u
#define CONSOLE_OUTPUTS 2u
/* Attempts at a call that signals keep interrupting; then the descriptor is waited for. */
#define CONSOLE_RETRIES 8u

/* 5.3.4; what lies behind rows belongs to features that are not offered. */
struct console_layout {
	uint16_t columns, rows;
};

/* A stream and the chain that is in work on it. */
struct console_stream {
	int fd;
	bool pending; /* `chain` is in flight; for output, `done` bytes of it are written */
	bool watched;
	bool ended;     /* input: end of file was seen; output: nobody reads any more */
	uint32_t error; /* output: errno for the chain in work, or that ended the stream */
	uint64_t done;
	struct virtqueue_chain chain;
};

struct console {
	struct virtio_device device;
	struct console_layout size;
	bool end_told; /* the guest knows about the end of input */
	uint64_t dropped_bytes;
	struct console_stream input, outputs[CONSOLE_OUTPUTS];
	struct iovec slice[VIRTQUEUE_SEGMENTS_MAX];
};

static struct console *console_of(struct virtio_device *device) { return container_of(device, struct console, device); }

/* 0, or -errno: the descriptor cannot be watched (a regular file, for one). */
static int stream_watch(struct console *console, struct console_stream *stream, uint32_t events)
{
	if (stream->watched == (events != 0))
		return 0;
	int r = console->device.host.watch(console->device.host.context, &console->device, stream->fd, events);
	if (r == 0)
		stream->watched = events != 0;
	return r;
}

/* Hands a receive chain back. */
static void input_give(struct console *console, uint32_t bytes)
{
	struct virtqueue *queue = &console->device.queues[CONSOLE_QUEUE_INPUT];
	virtqueue_push(queue, console->input.chain.head, bytes);
	console->input.pending = false;
}

/* One read into the pending chain. 1: the chain was given back; 0: nothing there now. */
static int input_read(struct console *console)
{
	struct console_stream *input = &console->input;
	ssize_t n = -1;
	int error = EINTR;
	for (unsigned i = 0; i < CONSOLE_RETRIES && n < 0 && error == EINTR; i++) {
		n = readv(input->fd, input->chain.segments + input->chain.readable, (int)input->chain.writable);
		error = n < 0 ? errno : 0;
	}
	if (n < 0 && (error == EAGAIN || error == EINTR))
		return 0;
	/* An error, such as EIO from a terminal that hung up, is the end of the input. */
	if (n <= 0) {
		input->ended = console->end_told = true;
		n = 0;
	}
	input_give(console, (uint32_t)n);
	return 1;
}

/* Makes sure that a chain with room is pending. */
static bool input_have_chain(struct console *console)
{
	struct console_stream *input = &console->input;
	while (!input->pending && virtio_device_pop(&console->device, CONSOLE_QUEUE_INPUT, &input->chain)) {
		input->pending = true;
		if (input->chain.writable == 0)
			input_give(console, 0);
	}
	return input->pending;
}

/* Moves input to the guest as far as there are input and room. `readable`: the event loop says so. */
static void input_run(struct console *console, bool readable)
{
	struct console_stream *input = &console->input;
	unsigned left = console->device.queues[CONSOLE_QUEUE_INPUT].size;
	while (left > 0 && !console->end_told && input_have_chain(console)) {
		if (input->ended) {
			input_give(console, 0);
			console->end_told = true;
			break;
		}
		/* Read only what is known to be there, so that a blocking descriptor does no harm; what
		 * cannot be watched never blocks. */
		if (!readable && stream_watch(console, input, EPOLLIN) == 0)
			break;
		if (input_read(console) == 0) {
			if (stream_watch(console, input, EPOLLIN) < 0)
				input->ended = true;
			break;
		}
		if (input->watched)
			break; /* reported again if there is more */
		if (--left == 0)
			console->device.again |= 1u << CONSOLE_QUEUE_INPUT;
	}
	if (console->end_told || !input_have_chain(console))
		stream_watch(console, input, 0);
	virtio_device_signal(&console->device, &console->device.queues[CONSOLE_QUEUE_INPUT]);
}

/* Writes what is left of the pending chain. True: done with it, written or dropped. */
static bool output_write(struct console *console, struct console_stream *output)
{
	unsigned tries = 0;
	while (output->done < output->chain.readable_bytes && !output->ended) {
		uint64_t left = output->chain.readable_bytes - output->done;
		unsigned count = virtqueue_chain_slice(&output->chain, false, output->done, left, console->slice);
		ssize_t n = writev(output->fd, console->slice, (int)count);
		if (n >= 0) {
			output->done += (uint64_t)n;
			continue;
		}
		if (errno == EINTR && ++tries < CONSOLE_RETRIES)
			continue;
		if ((errno == EAGAIN || errno == EINTR) && stream_watch(console, output, EPOLLOUT) == 0)
			return false;
		/* EPIPE: nobody will ever take it. A full disk may have room for the next. */
		output->error = (uint32_t)errno;
		output->ended = errno == EPIPE;
		break;
	}
	console->dropped_bytes += output->chain.readable_bytes - output->done;
	return true;
}

static void output_run(struct console *console, unsigned number)
{
	struct virtio_device *device = &console->device;
	struct console_stream *output = &console->outputs[number];
	unsigned index = CONSOLE_QUEUE_OUTPUT + number;
	struct virtqueue *queue = &device->queues[index];
	unsigned left = queue->size;
	device->again &= ~(1u << index);
	for (;;) {
		if (!output->pending) {
			if (left-- == 0) {
				device->again |= 1u << index;
				break;
			}
			if (!virtio_device_pop(device, index, &output->chain))
				break;
			output->pending = true;
			output->done = 0;
			if (!output->ended)
				output->error = 0;
		}
		if (!output_write(console, output))
			break;
		output->pending = false;
		virtqueue_push(queue, output->chain.head, output->error);
	}
	/* With work left the watch stays, if there is one: its next report goes on. Without, the caller of
	 * notify() comes again. */
	if (!output->pending && !(device->again & (1u << index)))
		stream_watch(console, output, 0);
	virtio_device_signal(device, queue);
}

static void console_notify(struct virtio_device *device, unsigned queue)
{
	struct console *console = console_of(device);
	if (queue == CONSOLE_QUEUE_INPUT)
		input_run(console, false);
	else
		output_run(console, queue - CONSOLE_QUEUE_OUTPUT);
}

static void console_ready(struct virtio_device *device, int fd, uint32_t events)
{
	struct console *console = console_of(device);
	(void)events; /* errors and hang-ups show in the read or write itself */
	/* A report may have been under way when the watch ended; it must not lead to a blocking read. */
	if (fd == console->input.fd && console->input.watched)
		input_run(console, true);
	for (unsigned i = 0; i < CONSOLE_OUTPUTS; i++) {
		if (fd == console->outputs[i].fd && console->outputs[i].watched)
			output_run(console, i);
	}
}

static void console_config_read(struct virtio_device *device, uint32_t offset, void *to, uint32_t bytes)
{
	memcpy(to, (const char *)&console_of(device)->size + offset, bytes);
}

static void console_reset(struct virtio_device *device)
{
	struct console *console = console_of(device);
	stream_watch(console, &console->input, 0);
	console->input.pending = false;
	console->end_told = false;
	for (unsigned i = 0; i < CONSOLE_OUTPUTS; i++) {
		stream_watch(console, &console->outputs[i], 0);
		console->outputs[i].pending = false;
	}
}

static void stream_close(struct console *console, struct console_stream *stream)
{
	stream_watch(console, stream, 0);
	if (stream->fd >= 0)
		close(stream->fd);
}

static void console_free(struct virtio_device *device)
{
	struct console *console = console_of(device);
	stream_close(console, &console->input);
	for (unsigned i = 0; i < CONSOLE_OUTPUTS; i++)
		stream_close(console, &console->outputs[i]);
	virtio_device_fini(device);
	free(console);
}

static const struct virtio_device_ops console_ops = {
    .name = "console",
    .id = VIRTIO_ID_CONSOLE,
    .features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | CONSOLE_F_SIZE,
    .queues = CONSOLE_QUEUES,
    .queue_size_max = VIRTQUEUE_SIZE_MAX,
    .config_bytes = sizeof(struct console_layout),
    .config_read = console_config_read,
    .notify = console_notify,
    .ready = console_ready,
    .reset = console_reset,
    .free = console_free,
};

int console_new(struct virtio_device **device, const struct console_config *config, const struct guest_memory *memory,
		const struct virtio_host *host)
{
	struct console *console = calloc(1, sizeof(*console));
	if (console == NULL)
		return -ENOMEM;
	virtio_device_init(&console->device, &console_ops, memory, host);
	console->size = (struct console_layout){.columns = config->columns, .rows = config->rows};
	console->input.fd = config->in_fd;
	console->input.ended = config->in_fd < 0;
	console->outputs[0].fd = config->out_fd;
	console->outputs[1].fd = config->err_fd;
	for (unsigned i = 0; i < CONSOLE_OUTPUTS; i++)
		console->outputs[i].ended = console->outputs[i].fd < 0;
	*device = &console->device;
	return 0;
}

void console_resize(struct virtio_device *device, uint16_t columns, uint16_t rows)
{
	pthread_mutex_lock(&device->lock);
	console_of(device)->size = (struct console_layout){.columns = columns, .rows = rows};
	virtio_device_config_changed(device);
	pthread_mutex_unlock(&device->lock);
}

bool console_drained(struct virtio_device *device)
{
	struct console *console = console_of(device);
	pthread_mutex_lock(&device->lock);
	bool drained = !console->outputs[0].pending && !console->outputs[1].pending;
	pthread_mutex_unlock(&device->lock);
	return drained;
}
