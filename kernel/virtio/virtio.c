/* SPDX-License-Identifier: Apache-2.0 */
/* Which driver has which device, and the monitor's word that a device has something new. */
#include "kernel/virtio/virtio.h"
#include "kernel/virtio/console.h"

#define VIRTIO_ID_CONSOLE 3u
#define VIRTIO_ID_RNG 4u
#define VIRTIO_ID_FS 26u

/* kernel/virtio/fuse.c */
int fuse_init(unsigned device) __attribute__((weak));
void fuse_on_event(unsigned device) __attribute__((weak));

static const struct {
	uint32_t id;
	int (*init)(unsigned device);
	void (*on_event)(unsigned device);
} drivers[] = {
    {VIRTIO_ID_CONSOLE, console_init, console_on_event},
    {VIRTIO_ID_RNG, rng_init, rng_on_event},
    {VIRTIO_ID_FS, fuse_init, fuse_on_event},
};

int virtio_init(void)
{
	for (unsigned device = 0; device < boot_info->device_count && device < LAMPO_DEVICES_MAX; device++) {
		for (unsigned i = 0; i < countof(drivers); i++) {
			if (drivers[i].id != boot_info->devices[device].virtio_id || drivers[i].init == NULL)
				continue;
			int r = drivers[i].init(device);
			if (r != 0)
				return r;
		}
	}
	return 0;
}

void virtio_handle_events(void)
{
	if (__atomic_load_n(&boot_info->device_events, __ATOMIC_RELAXED) == 0)
		return;
	/* Acquire: what the devices wrote to their rings before they set the bit is seen after it. */
	uint64_t events = __atomic_exchange_n(&boot_info->device_events, 0, __ATOMIC_ACQ_REL);
	while (events != 0) {
		unsigned device = (unsigned)__builtin_ctzll(events);
		events &= events - 1;
		if (device >= boot_info->device_count || device >= LAMPO_DEVICES_MAX)
			continue;
		for (unsigned i = 0; i < countof(drivers); i++) {
			if (drivers[i].id == boot_info->devices[device].virtio_id && drivers[i].on_event != NULL)
				drivers[i].on_event(device);
		}
	}
}
