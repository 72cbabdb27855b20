/* SPDX-License-Identifier: Apache-2.0 */
/* The input is guest memory with a virtqueue in it: whatever it holds, a chain lies inside that memory. */
#include "tests/fuzz/input.h"
#include "tests/unit/mock_guest.h"

#define RAM 32768u

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_chain(const struct mock_guest *g, const struct virtqueue_chain *chain)
{
	uint64_t bytes = 0;
	check(chain->readable + chain->writable >= 1 && chain->readable + chain->writable <= VIRTQUEUE_SEGMENTS_MAX);
	for (unsigned i = 0; i < chain->readable + chain->writable; i++) {
		const char *at = chain->segments[i].iov_base;
		uint64_t n = chain->segments[i].iov_len;
		bool in_ram = at >= g->ram && n <= RAM && at + n <= g->ram + RAM;
		bool in_rom = at >= g->rom && n <= MOCK_ROM_BYTES && at + n <= g->rom + MOCK_ROM_BYTES;
		check(n > 0 && (in_ram || (in_rom && i < chain->readable)));
		bytes += n;
	}
	check(bytes == chain->readable_bytes + chain->writable_bytes && bytes <= VIRTQUEUE_CHAIN_BYTES_MAX);
}

static void serve(struct mock_guest *g, struct virtqueue *queue, struct input *in)
{
	static struct virtqueue_chain chain;
	static char buffer[4096];
	static struct iovec slice[VIRTQUEUE_SEGMENTS_MAX];
	uint16_t heads[VIRTQUEUE_SIZE_MAX];
	unsigned held = 0, bad = 0;
	for (unsigned i = 0; i < 64; i++) {
		uint8_t action = input_u8(in);
		int r = virtqueue_pop(queue, &chain, &bad);
		check(queue->in_flight <= queue->size);
		if (r < 0)
			break;
		if (r == 1) {
			check_chain(g, &chain);
			virtqueue_chain_read(&chain, action, buffer, sizeof(buffer));
			virtqueue_chain_slice(&chain, action & 1, action * 3u, action * 50u, slice);
			if (action & 2)
				virtqueue_chain_write(&chain, action, buffer, action * 8u);
			heads[held++] = chain.head;
		}
		if (held > 0 && (action & 4))
			virtqueue_push(queue, heads[--held], action);
		virtqueue_wants_interrupt(queue);
		if (action & 8) /* another vCPU */
			input_bytes(in, g->ram + input_u16(in) % (RAM - 8), 8);
		if (held == countof(heads))
			break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mock_guest g;
	struct input in = {data, size};
	if (g.ram == NULL)
		mock_guest_init(&g, RAM);
	struct virtqueue queue;
	uint8_t shape = input_u8(&in);
	/* Mostly a layout that is accepted: rings at fixed places, their content from the input. */
	uint16_t queue_size = (uint16_t)(1u << (shape & 7));
	struct guest_addr desc = {0x1000}, avail = {0x2000}, used = {0x3000};
	if (shape & 0x80) {
		queue_size = input_u16(&in);
		desc.value = input_u64(&in);
		avail.value = input_u64(&in);
		used.value = input_u64(&in);
	}
	if (virtqueue_activate(&queue, &g.memory, queue_size, desc, avail, used) < 0)
		return 0;
	queue.indirect = shape & 0x10;
	queue.event_idx = shape & 0x20;
	memset(g.ram, 0, RAM);
	size_t rings = in.left / 2;
	input_bytes(&in, g.ram + 0x1000, rings < 2048 ? rings : 2048);
	input_bytes(&in, g.ram + 0x2000, 4 + 2 * 16);
	input_bytes(&in, g.ram + 0x4000, in.left > 1024 ? 1024 : in.left / 2);
	serve(&g, &queue, &in);
	return 0;
}
