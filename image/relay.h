/* SPDX-License-Identifier: Apache-2.0 */
/* Hands buffers from one thread to another, in order, a few at a time. One fills, one takes. */
#ifndef LAMPO_IMAGE_RELAY_H
#define LAMPO_IMAGE_RELAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_BUFFERS 6u
#define RELAY_BUFFER_BYTES (128u << 10)

struct relay {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint8_t *memory;
	size_t bytes[RELAY_BUFFERS];
	uint64_t filled, taken; /* buffers; the one being looked at still counts as not taken */
	bool looking;
	bool ended, failed, stopped;
};

int relay_init(struct relay *relay); /* -ENOMEM: relay_fini() it all the same */
void relay_fini(struct relay *relay);

/* The filling side. An empty buffer of RELAY_BUFFER_BYTES, waiting for one; NULL: the other side has stopped. */
void *relay_room(struct relay *relay);
void relay_fill(struct relay *relay, size_t bytes); /* what relay_room gave has so many now */
void relay_end(struct relay *relay, bool failed);   /* nothing more comes */

/* The taking side. The next buffer, valid until the next call; 0: the end; -1: the filling side has failed. */
int64_t relay_take(struct relay *relay, const void **data);
void relay_stop(struct relay *relay); /* wants no more */

#endif
