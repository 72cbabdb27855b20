/* SPDX-License-Identifier: Apache-2.0 */
/* A guest, a reader, a writer and the event loop act on the console in any order. */
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "dev/console.h"
#include "tests/fuzz/input.h"
#include "tests/unit/mock_guest.h"

#define RAM (1u << 20)
#define SIZE 8u

struct host {
	struct mock_guest g;
	int in, out, err; /* the host's ends, -1: closed */
	int dev_in, dev_out, dev_err;
};

static void pipe_new(int *reader, int *writer)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		abort();
	/* The smallest pipe, so that it fills. */
	fcntl(fds[1], F_SETPIPE_SZ, 4096);
	*reader = fds[0];
	*writer = fds[1];
}

static void host_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void host_new(struct host *h)
{
	pipe_new(&h->dev_in, &h->in);
	pipe_new(&h->out, &h->dev_out);
	pipe_new(&h->err, &h->dev_err);
	const struct console_config config = {.in_fd = h->dev_in, .out_fd = h->dev_out, .err_fd = h->dev_err};
	if (console_new(&h->g.device, &config, &h->g.memory, &h->g.host) < 0)
		abort();
	h->g.allocated = MOCK_PAGE;
	memset(h->g.ram, 0, 0x4000);
	memset(h->g.watches, 0, sizeof(h->g.watches));
	if (mock_preset(&h->g, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC, SIZE) < 0)
		abort();
}

static void ready(struct host *h, int fd, bool forced)
{
	if (!forced && mock_watched(&h->g, fd) == 0)
		return;
	pthread_mutex_lock(&h->g.device->lock);
	h->g.device->ops->ready(h->g.device, fd, EPOLLIN | EPOLLOUT);
	pthread_mutex_unlock(&h->g.device->lock);
}

static void submit(struct host *h, struct input *in, unsigned queue)
{
	struct mock_segment segments[4];
	unsigned count = 1 + input_u8(in) % 4;
	for (unsigned i = 0; i < count; i++)
		segments[i] = (struct mock_segment){0x10000u + input_u16(in), input_u16(in), (queue == 0) ^ (i == 3)};
	mock_submit(&h->g, queue, segments, count);
}

static void act(struct host *h, struct input *in)
{
	static char buffer[5000];
	uint8_t action = input_u8(in);
	unsigned queue = (action >> 4) % 3;
	switch (action & 15) {
	case 0:
	case 1:
	case 2:
		submit(h, in, queue);
		break;
	case 3:
	case 4:
		virtio_device_notify(h->g.device, queue);
		break;
	case 5:
		ready(h, h->dev_in, action & 0x80);
		break;
	case 6:
		ready(h, h->dev_out, action & 0x80);
		ready(h, h->dev_err, action & 0x80);
		break;
	case 7:
		if (h->out >= 0 && read(h->out, buffer, input_u8(in) * 16u) < 0)
			break;
		break;
	case 8:
		if (h->err >= 0 && read(h->err, buffer, sizeof(buffer)) < 0)
			break;
		break;
	case 9:
	case 10:
		if (h->in >= 0 && write(h->in, buffer, input_u8(in) * 8u) < 0)
			break;
		break;
	case 11:
		host_close(queue == 0 ? &h->in : queue == 1 ? &h->out : &h->err);
		break;
	case 12:
		/* The guest scribbles over its rings. */
		input_bytes(in, h->g.ram + 0x1000 + input_u16(in) % 0x1000, 1 + (action >> 4));
		break;
	case 13:
		console_resize(h->g.device, action, input_u16(in));
		break;
	case 14:
		console_drained(h->g.device);
		break;
	case 15:
		if (action == 0xff)
			mock_write32(&h->g, 0x70, 0);
		h->g.watch_error = action == 0xef ? -1 : 0;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct host h;
	struct input in = {data, size};
	if (h.g.ram == NULL) {
		signal(SIGPIPE, SIG_IGN);
		mock_guest_init(&h.g, RAM);
	}
	host_new(&h);
	for (unsigned i = 0; in.left > 0 && i < 1000; i++) {
		act(&h, &in);
		for (unsigned q = 0; q < 3; q++) {
			if (h.g.device->queues[q].in_flight > 1)
				abort(); /* one chain a stream: the rest waits in the guest */
		}
	}
	h.g.device->ops->free(h.g.device);
	host_close(&h.in);
	host_close(&h.out);
	host_close(&h.err);
	return 0;
}
