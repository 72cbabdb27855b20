/* SPDX-License-Identifier: Apache-2.0 */
/* The MMIO transport, the common part of devices, and the rng device behind them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/virtio_mmio.h>

#include "dev/console.h"
#include "dev/rng.h"
#include "tests/unit/mock_guest.h"

#define RAM (4u << 20)
#define SIZE 8u
#define FEATURES_OK (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK)
#define RUNNING (FEATURES_OK | VIRTIO_STATUS_DRIVER_OK)

static int setup(void **state)
{
	struct mock_guest *g = calloc(1, sizeof(*g));
	mock_guest_init(g, RAM);
	assert_int_equal(rng_new(&g->device, &g->memory, &g->host), 0);
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	mock_guest_fini(*state);
	free(*state);
	return 0;
}

static void negotiate(struct mock_guest *g, uint64_t features)
{
	mock_write32(g, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
	mock_write32(g, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	for (unsigned i = 0; i < 2; i++) {
		mock_write32(g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		mock_write32(g, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * i)));
	}
	mock_write32(g, VIRTIO_MMIO_STATUS, FEATURES_OK);
}

static void queue_registers(struct mock_guest *g, unsigned queue, uint32_t size, uint64_t desc, uint64_t avail,
			    uint64_t used)
{
	mock_write32(g, VIRTIO_MMIO_QUEUE_SEL, queue);
	mock_write32(g, VIRTIO_MMIO_QUEUE_NUM, size);
	mock_write32(g, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)desc);
	mock_write32(g, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(desc >> 32));
	mock_write32(g, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)avail);
	mock_write32(g, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(avail >> 32));
	mock_write32(g, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)used);
	mock_write32(g, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(used >> 32));
	mock_write32(g, VIRTIO_MMIO_QUEUE_READY, 1);
}

static void start(struct mock_guest *g)
{
	negotiate(g, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC);
	mock_queue_alloc(g, 0, SIZE);
	queue_registers(g, 0, SIZE, g->queues[0].desc, g->queues[0].avail, g->queues[0].used);
	mock_write32(g, VIRTIO_MMIO_STATUS, RUNNING);
}

static void a_driver_starts_the_device_and_gets_random_bytes(void **state)
{
	struct mock_guest *g = *state;
	assert_int_equal(mock_read32(g, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(mock_read32(g, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(mock_read32(g, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_RNG);
	mock_write32(g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(mock_read32(g, VIRTIO_MMIO_DEVICE_FEATURES), 1);
	mock_write32(g, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(mock_read32(g, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	assert_int_equal(mock_read32(g, VIRTIO_MMIO_QUEUE_NUM_MAX), VIRTQUEUE_SIZE_MAX);
	start(g);
	assert_int_equal(mock_read32(g, VIRTIO_MMIO_STATUS), RUNNING);

	uint64_t buffer = mock_alloc(g, 256);
	const struct mock_segment segments[] = {{buffer, 100, true}, {buffer + 128, 100, true}};
	mock_submit(g, 0, segments, 2);
	mock_write32(g, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	uint32_t head, bytes;
	assert_true(mock_take(g, 0, &head, &bytes));
	assert_int_equal(bytes, 200);
	assert_memory_not_equal(mock_at(g, buffer), mock_at(g, buffer + 128), 100);
	const char zeros[28] = "";
	assert_memory_equal((char *)mock_at(g, buffer) + 100, zeros, 28);
	assert_int_equal(g->interrupts, 1);
	assert_int_equal(mock_read32(g, VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	mock_write32(g, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	assert_int_equal(mock_read32(g, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void rng_bounds_a_huge_request(void **state)
{
	struct mock_guest *g = *state;
	start(g);
	uint64_t buffer = mock_alloc(g, 1u << 20);
	const struct mock_segment segments[] = {{buffer, 60000, true}, {buffer + 65536, 900000, true}};
	uint32_t head, bytes;
	mock_submit(g, 0, segments, 2);
	/* A chain with nothing to write into comes back empty. */
	const struct mock_segment readable = {buffer, 100, false};
	mock_submit(g, 0, &readable, 1);
	virtio_device_notify(g->device, 0);
	assert_true(mock_take(g, 0, &head, &bytes));
	assert_true(bytes > 0 && bytes <= 65536);
	assert_true(mock_take(g, 0, &head, &bytes));
	assert_int_equal(bytes, 0);
}

static void unknown_features_are_not_accepted(void **state)
{
	struct mock_guest *g = *state;
	const uint64_t refused[] = {0, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_VERSION_1 | 1, VIRTIO_F_VERSION_1 | 1ull << 63,
				    VIRTIO_F_VERSION_1 | 1ull << 34};
	for (unsigned i = 0; i < countof(refused); i++) {
		negotiate(g, refused[i]);
		assert_false(mock_read32(g, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_FEATURES_OK);
		/* And then no way to run it. */
		mock_write32(g, VIRTIO_MMIO_STATUS, RUNNING);
		assert_false(mock_read32(g, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_DRIVER_OK);
		mock_write32(g, VIRTIO_MMIO_STATUS, 0);
	}
	negotiate(g, VIRTIO_F_VERSION_1);
	/* Fixed once accepted. */
	mock_write32(g, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	mock_write32(g, VIRTIO_MMIO_DRIVER_FEATURES, ~0u);
	assert_int_equal(g->device->driver_features, VIRTIO_F_VERSION_1);
}

static void layout_is_frozen_once_it_runs(void **state)
{
	struct mock_guest *g = *state;
	start(g);
	const uint64_t registers[] = {
	    VIRTIO_MMIO_QUEUE_NUM,       VIRTIO_MMIO_QUEUE_READY,     VIRTIO_MMIO_QUEUE_DESC_LOW,
	    VIRTIO_MMIO_QUEUE_DESC_HIGH, VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_AVAIL_HIGH,
	    VIRTIO_MMIO_QUEUE_USED_LOW,  VIRTIO_MMIO_QUEUE_USED_HIGH, VIRTIO_MMIO_DRIVER_FEATURES};
	const uint32_t values[] = {0, 1, 2, 7, 256, 257, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff};
	struct virtqueue before = g->device->queues[0];
	for (unsigned i = 0; i < countof(registers); i++) {
		for (unsigned j = 0; j < countof(values); j++) {
			mock_write32(g, registers[i], values[j]);
			mock_write32(g, VIRTIO_MMIO_STATUS, RUNNING);
			virtio_device_notify(g->device, 0);
		}
	}
	assert_memory_equal(&before, &g->device->queues[0], sizeof(before));
	assert_int_equal(g->device->driver_features, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC);
}

static void a_bad_queue_breaks_the_device_at_the_start(void **state)
{
	struct mock_guest *g = *state;
	const struct {
		uint32_t size;
		uint64_t desc, avail, used;
	} bad[] = {
	    {0, 0x1000, 0x2000, 0x3000},
	    {3, 0x1000, 0x2000, 0x3000},
	    {512, 0x1000, 0x4000, 0x5000},
	    {0x10008, 0x1000, 0x2000, 0x3000},
	    {8, 0, 0, 0},
	    {8, RAM, 0x2000, 0x3000},
	    {8, 0x1000, UINT64_MAX, 0x3000},
	    {8, 0x1000, 0x2000, 0x3001},
	};
	for (unsigned i = 0; i < countof(bad); i++) {
		negotiate(g, VIRTIO_F_VERSION_1);
		queue_registers(g, 0, bad[i].size, bad[i].desc, bad[i].avail, bad[i].used);
		mock_write32(g, VIRTIO_MMIO_STATUS, RUNNING);
		uint32_t status = mock_read32(g, VIRTIO_MMIO_STATUS);
		assert_true(status & VIRTIO_STATUS_NEEDS_RESET);
		assert_false(status & VIRTIO_STATUS_DRIVER_OK);
		assert_false(g->device->queues[0].enabled);
		virtio_device_notify(g->device, 0);
		mock_write32(g, VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(mock_read32(g, VIRTIO_MMIO_STATUS), 0);
	}
	/* After all that it still works. */
	a_driver_starts_the_device_and_gets_random_bytes(state);
}

static void a_broken_ring_needs_a_reset(void **state)
{
	struct mock_guest *g = *state;
	start(g);
	mock_avail(g, 0)[1] = 1000;
	virtio_device_notify(g->device, 0);
	assert_true(mock_read32(g, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
	assert_true(mock_read32(g, VIRTIO_MMIO_INTERRUPT_STATUS) & 2);
	assert_int_equal(g->complaints, 1);
	/* Notifications are ignored now, and the log stays quiet. */
	for (unsigned i = 0; i < 100; i++)
		virtio_device_notify(g->device, 0);
	assert_int_equal(g->complaints, 1);
	/* Writing status again does not clear it; a reset does. */
	mock_write32(g, VIRTIO_MMIO_STATUS, RUNNING);
	assert_true(mock_read32(g, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
	mock_write32(g, VIRTIO_MMIO_STATUS, 0);
	g->interrupts = 0;
	a_driver_starts_the_device_and_gets_random_bytes(state);
}

static void every_offset_and_width_is_safe(void **state)
{
	struct mock_guest *g = *state;
	start(g);
	const uint32_t widths[] = {1, 2, 4, 8};
	for (uint64_t offset = 0; offset < 0x1100; offset++) {
		for (unsigned i = 0; i < countof(widths); i++) {
			unsigned char data[8];
			memset(data, 0xa5, sizeof(data));
			virtio_mmio_read(g->device, offset, data, widths[i]);
			bool is_register = offset < 0x100 && offset % 4 == 0 && widths[i] == 4;
			for (unsigned b = 0; b < sizeof(data); b++) {
				if (b >= widths[i])
					assert_int_equal(data[b], 0xa5);
				else if (!is_register)
					assert_int_equal(data[b], 0);
			}
		}
	}
	const uint64_t far[] = {0x1000, 0xfff, 0x80000000ull, UINT64_MAX, UINT64_MAX - 3};
	for (unsigned i = 0; i < countof(far); i++) {
		uint64_t value = UINT64_MAX;
		virtio_mmio_read(g->device, far[i], &value, 8);
		assert_int_equal(value, 0);
		virtio_mmio_write(g->device, far[i], &value, 8);
	}
	/* Narrow and unaligned writes to registers change nothing: no reset by a stray byte. */
	uint64_t zero = 0;
	virtio_mmio_write(g->device, VIRTIO_MMIO_STATUS, &zero, 1);
	virtio_mmio_write(g->device, VIRTIO_MMIO_STATUS, &zero, 2);
	virtio_mmio_write(g->device, VIRTIO_MMIO_STATUS, &zero, 8);
	virtio_mmio_write(g->device, VIRTIO_MMIO_STATUS - 1, &zero, 4);
	assert_int_equal(mock_read32(g, VIRTIO_MMIO_STATUS), RUNNING);
}

static void scribbling_over_all_registers_is_survived(void **state)
{
	struct mock_guest *g = *state;
	uint64_t seed = 1;
	for (unsigned i = 0; i < 200000; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		const uint32_t values[] = {0, 1, 15, 255, 0x1000, (uint32_t)(seed >> 20), 0xffffffff, 0x80000000};
		mock_write32(g, (seed >> 33) % 0x110 & ~3ull, values[(seed >> 55) % countof(values)]);
	}
}

static void notify_of_no_queue_is_ignored(void **state)
{
	struct mock_guest *g = *state;
	const uint32_t queues[] = {0, 1, 3, 4, 31, 32, 255, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff};
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < countof(queues); i++) {
			virtio_device_notify(g->device, queues[i]);
			mock_write32(g, VIRTIO_MMIO_QUEUE_NOTIFY, queues[i]);
			mock_write32(g, VIRTIO_MMIO_QUEUE_SEL, queues[i]);
			mock_write32(g, VIRTIO_MMIO_QUEUE_NUM, 8);
			mock_read32(g, VIRTIO_MMIO_QUEUE_NUM_MAX);
			mock_read32(g, VIRTIO_MMIO_QUEUE_READY);
		}
		mock_write32(g, VIRTIO_MMIO_STATUS, 0);
		start(g);
	}
}

static void preset_runs_without_registers(void **state)
{
	struct mock_guest *g = *state;
	assert_int_equal(mock_preset(g, VIRTIO_F_VERSION_1, 16), 0);
	assert_int_equal(mock_read32(g, VIRTIO_MMIO_STATUS), RUNNING);
	uint64_t buffer = mock_alloc(g, 64);
	const struct mock_segment segment = {buffer, 64, true};
	mock_submit(g, 0, &segment, 1);
	virtio_device_notify(g->device, 0);
	uint32_t head, bytes;
	assert_true(mock_take(g, 0, &head, &bytes));
	assert_int_equal(bytes, 64);
}

static void preset_refuses_what_does_not_fit(void **state)
{
	struct mock_guest *g = *state;
	struct virtio_queue_layout layout[VIRTIO_QUEUES_MAX] = {{8, {0x1000}, {0x2000}, {0x3000}}};
	assert_int_equal(virtio_device_preset(g->device, VIRTIO_F_VERSION_1, layout, 2), -EINVAL);
	assert_int_equal(virtio_device_preset(g->device, 0, layout, 1), -EINVAL);
	assert_int_equal(virtio_device_preset(g->device, VIRTIO_F_VERSION_1 | 1ull << 40, layout, 1), -EINVAL);
	layout[0].desc.value = RAM;
	assert_int_equal(virtio_device_preset(g->device, VIRTIO_F_VERSION_1, layout, 1), -EINVAL);
	assert_int_equal(g->device->status, 0);
	layout[0].size = 0; /* left out */
	assert_int_equal(virtio_device_preset(g->device, VIRTIO_F_VERSION_1, layout, 1), 0);
	assert_false(g->device->queues[0].enabled);
	virtio_device_notify(g->device, 0);
}

static void configuration_space_is_read_in_any_width(void **state)
{
	struct mock_guest *g = *state;
	g->device->ops->free(g->device);
	const struct console_config config = {
	    .in_fd = -1, .out_fd = -1, .err_fd = -1, .columns = 0x1234, .rows = 0x5678};
	assert_int_equal(console_new(&g->device, &config, &g->memory, &g->host), 0);
	uint64_t value = 0;
	virtio_mmio_read(g->device, 0x100, &value, 4);
	assert_int_equal(value, 0x56781234);
	virtio_mmio_read(g->device, 0x100, &value, 8);
	assert_int_equal(value, 0x56781234);
	value = 0;
	virtio_mmio_read(g->device, 0x101, &value, 1);
	assert_int_equal(value, 0x12);
	virtio_mmio_read(g->device, 0x103, &value, 8);
	assert_int_equal(value, 0x56);
	virtio_mmio_read(g->device, 0x104, &value, 8);
	assert_int_equal(value, 0);
	virtio_mmio_write(g->device, 0x100, &value, 8);
	virtio_mmio_read(g->device, 0x100, &value, 4);
	assert_int_equal(value, 0x56781234);
	/* A new size: another generation and, once the driver runs, a configuration interrupt. */
	uint32_t generation = mock_read32(g, VIRTIO_MMIO_CONFIG_GENERATION);
	console_resize(g->device, 80, 24);
	assert_int_equal(g->interrupts, 0);
	assert_int_not_equal(mock_read32(g, VIRTIO_MMIO_CONFIG_GENERATION), generation);
	assert_int_equal(mock_preset(g, VIRTIO_F_VERSION_1 | 1, 8), 0);
	console_resize(g->device, 100, 40);
	assert_int_equal(g->interrupts, 1);
	assert_int_equal(mock_read32(g, VIRTIO_MMIO_INTERRUPT_STATUS), 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(a_driver_starts_the_device_and_gets_random_bytes),
	    T(rng_bounds_a_huge_request),
	    T(unknown_features_are_not_accepted),
	    T(layout_is_frozen_once_it_runs),
	    T(a_bad_queue_breaks_the_device_at_the_start),
	    T(a_broken_ring_needs_a_reset),
	    T(every_offset_and_width_is_safe),
	    T(scribbling_over_all_registers_is_survived),
	    T(notify_of_no_queue_is_ignored),
	    T(preset_runs_without_registers),
	    T(preset_refuses_what_does_not_fit),
	    T(configuration_space_is_read_in_any_width),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
