/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-rng (virtio 1.2, 5.4), from getrandom(). */
#ifndef LAMPO_DEV_RNG_H
#define LAMPO_DEV_RNG_H

#include "dev/virtio_device.h"

int rng_new(struct virtio_device **device, const struct guest_memory *memory, const struct virtio_host *host);

#endif
