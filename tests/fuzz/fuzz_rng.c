/* SPDX-License-Identifier: Apache-2.0 */
/* The input is what the guest puts into the queue of the rng device. */
#include "dev/rng.h"
#include "tests/fuzz/input.h"
#include "tests/unit/mock_guest.h"

#define RAM (1u << 20)
#define SIZE 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mock_guest g;
	struct input in = {data, size};
	if (g.ram == NULL) {
		mock_guest_init(&g, RAM);
		if (rng_new(&g.device, &g.memory, &g.host) < 0)
			abort();
	}
	g.allocated = MOCK_PAGE;
	memset(g.ram, 0, 0x4000);
	if (mock_preset(&g, VIRTIO_F_VERSION_1 | ((size & 1) ? VIRTIO_F_INDIRECT_DESC : 0), SIZE) < 0)
		abort();
	for (unsigned i = 0; in.left > 0 && i < 64; i++) {
		struct mock_desc desc = {
		    .addr = input_u32(&in), .len = input_u32(&in), .flags = input_u16(&in), .next = input_u16(&in)};
		*mock_desc_at(&g, 0, i % SIZE) = desc;
		mock_publish(&g, 0, input_u8(&in) % (SIZE + 1));
		if (desc.flags & 0x100)
			virtio_device_notify(g.device, 0);
	}
	virtio_device_notify(g.device, 0);
	/* Nothing stays with the device. (The ring itself tells nothing: the guest may have random bytes put
	 * into it.) */
	if (g.device->queues[0].in_flight != 0 && !(g.device->status & VIRTIO_STATUS_NEEDS_RESET))
		abort();
	return 0;
}
