/* SPDX-License-Identifier: Apache-2.0 */
/* Register accesses in any order, with a guest that scribbles over its memory in between. */
#include "dev/console.h"
#include "dev/rng.h"
#include "tests/fuzz/input.h"
#include "tests/unit/mock_guest.h"

#define RAM (256u << 10)

static void device_new(struct mock_guest *g, uint8_t kind)
{
	const struct console_config config = {.in_fd = -1, .out_fd = -1, .err_fd = -1, .columns = 80, .rows = 25};
	int r = (kind & 1) ? console_new(&g->device, &config, &g->memory, &g->host)
			   : rng_new(&g->device, &g->memory, &g->host);
	if (r < 0)
		abort();
}

/* What a driver does, so that the fuzzer need not find it. */
static void start(struct mock_guest *g, struct input *in)
{
	uint8_t shape = input_u8(in);
	mock_write32(g, 0x70, 0);
	mock_write32(g, 0x70, 3);
	mock_write32(g, 0x24, 0);
	mock_write32(g, 0x20, (shape & 1) ? (uint32_t)VIRTIO_F_INDIRECT_DESC : 0);
	mock_write32(g, 0x24, 1);
	mock_write32(g, 0x20, 1);
	mock_write32(g, 0x70, 11);
	for (unsigned i = 0; i < 3; i++) {
		mock_write32(g, 0x30, i);
		mock_write32(g, 0x38, 1u << (shape >> 5));
		mock_write32(g, 0x80, 0x1000 + i * 0x4000);
		mock_write32(g, 0x90, 0x2000 + i * 0x4000);
		mock_write32(g, 0xa0, 0x3000 + i * 0x4000);
		mock_write32(g, 0x44, 1);
	}
	mock_write32(g, 0x70, 15);
}

static void act(struct mock_guest *g, struct input *in)
{
	uint8_t action = input_u8(in);
	uint64_t value = 0;
	switch (action & 7) {
	case 0:
		virtio_mmio_read(g->device, input_u16(in), &value, 1u << (action >> 6));
		break;
	case 1:
		value = input_u64(in);
		virtio_mmio_write(g->device, input_u16(in), &value, 1u << (action >> 6));
		break;
	case 2:
		mock_write32(g, (action >> 3) * 4u, input_u32(in));
		break;
	case 3:
		mock_write32(g, 0x70, input_u8(in));
		break;
	case 4:
		virtio_device_notify(g->device, (action & 0x80) ? input_u32(in) : (action >> 3) & 3u);
		break;
	case 5:
		start(g, in);
		break;
	case 6: {
		/* Ring contents: descriptors, avail or used. */
		uint64_t at = 0x1000 + input_u16(in) % 0xc000u;
		input_bytes(in, g->ram + at, 1u + (action >> 3));
		break;
	}
	case 7:
		if (g->device->ops->id == VIRTIO_ID_CONSOLE)
			console_resize(g->device, action, action);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mock_guest g;
	struct input in = {data, size};
	if (g.ram == NULL)
		mock_guest_init(&g, RAM);
	memset(g.ram, 0, 0x10000);
	device_new(&g, input_u8(&in));
	for (unsigned i = 0; in.left > 0 && i < 2000; i++) {
		act(&g, &in);
		for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++) {
			const struct virtqueue *queue = &g.device->queues[q];
			if (queue->in_flight > queue->size)
				abort();
			if (queue->enabled != (queue->size != 0) || (q >= g.device->ops->queues && queue->enabled))
				abort();
		}
	}
	g.device->ops->free(g.device);
	return 0;
}
