/* SPDX-License-Identifier: Apache-2.0 */
#include "image/relay.h"

#include <errno.h>
#include <stdlib.h>

int relay_init(struct relay *relay)
{
	*relay = (struct relay){.memory = malloc((size_t)RELAY_BUFFERS * RELAY_BUFFER_BYTES)};
	pthread_mutex_init(&relay->lock, NULL);
	pthread_cond_init(&relay->changed, NULL);
	return relay->memory == NULL ? -ENOMEM : 0;
}

void relay_fini(struct relay *relay)
{
	pthread_cond_destroy(&relay->changed);
	pthread_mutex_destroy(&relay->lock);
	free(relay->memory);
}

void *relay_room(struct relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	while (!relay->stopped && relay->filled - relay->taken == RELAY_BUFFERS)
		pthread_cond_wait(&relay->changed, &relay->lock);
	void *room = relay->stopped ? NULL : relay->memory + relay->filled % RELAY_BUFFERS * RELAY_BUFFER_BYTES;
	pthread_mutex_unlock(&relay->lock);
	return room;
}

void relay_fill(struct relay *relay, size_t bytes)
{
	pthread_mutex_lock(&relay->lock);
	relay->bytes[relay->filled % RELAY_BUFFERS] = bytes;
	relay->filled++;
	pthread_cond_signal(&relay->changed);
	pthread_mutex_unlock(&relay->lock);
}

void relay_end(struct relay *relay, bool failed)
{
	pthread_mutex_lock(&relay->lock);
	relay->ended = true;
	relay->failed = failed;
	pthread_cond_signal(&relay->changed);
	pthread_mutex_unlock(&relay->lock);
}

int64_t relay_take(struct relay *relay, const void **data)
{
	int64_t bytes;

	pthread_mutex_lock(&relay->lock);
	if (relay->looking) {
		relay->taken++;
		relay->looking = false;
		pthread_cond_signal(&relay->changed);
	}
	while (!relay->ended && relay->filled == relay->taken)
		pthread_cond_wait(&relay->changed, &relay->lock);
	if (relay->failed) {
		bytes = -1;
	} else if (relay->filled == relay->taken) {
		bytes = 0;
	} else {
		size_t slot = relay->taken % RELAY_BUFFERS;
		*data = relay->memory + slot * RELAY_BUFFER_BYTES;
		bytes = (int64_t)relay->bytes[slot];
		relay->looking = true;
	}
	pthread_mutex_unlock(&relay->lock);
	return bytes;
}

void relay_stop(struct relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	relay->stopped = true;
	pthread_cond_signal(&relay->changed);
	pthread_mutex_unlock(&relay->lock);
}
