/* SPDX-License-Identifier: Apache-2.0 */
/* The console: no byte lost, no byte kept, back-pressure to the guest, end of input told once. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <cmocka.h>

#include "dev/console.h"
#include "tests/unit/mock_guest.h"

#define RAM (8u << 20)
#define SIZE 8u
#define IN 0u
#define OUT 1u
#define ERR 2u

struct fixture {
	struct mock_guest g;
	int in, out, err;    /* the host's ends */
	int dev_in, dev_out; /* the device's */
	uint64_t buffer;
};

static void pipe_new(int *reader, int *writer)
{
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	*reader = fds[0];
	*writer = fds[1];
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct console_config config = {.columns = 80, .rows = 25};
	mock_guest_init(&f->g, RAM);
	pipe_new(&config.in_fd, &f->in);
	pipe_new(&f->out, &config.out_fd);
	pipe_new(&f->err, &config.err_fd);
	f->dev_in = config.in_fd;
	f->dev_out = config.out_fd;
	assert_int_equal(console_new(&f->g.device, &config, &f->g.memory, &f->g.host), 0);
	assert_int_equal(mock_preset(&f->g, VIRTIO_F_VERSION_1, SIZE), 0);
	f->buffer = mock_alloc(&f->g, 4u << 20);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	mock_guest_fini(&f->g);
	close(f->in);
	close(f->out);
	close(f->err);
	free(f);
	return 0;
}

/* The event loop's part. */
static void ready(struct fixture *f, int fd, uint32_t events)
{
	pthread_mutex_lock(&f->g.device->lock);
	f->g.device->ops->ready(f->g.device, fd, events);
	pthread_mutex_unlock(&f->g.device->lock);
}

static void submit(struct fixture *f, unsigned queue, uint64_t offset, uint32_t bytes)
{
	const struct mock_segment segment = {f->buffer + offset, bytes, queue == IN};
	mock_submit(&f->g, queue, &segment, 1);
}

static int used(struct fixture *f, unsigned queue)
{
	uint32_t head, bytes;
	return mock_take(&f->g, queue, &head, &bytes) ? (int)bytes : -1;
}

static void output_goes_straight_to_its_stream(void **state)
{
	struct fixture *f = *state;
	char text[64] = "";
	memcpy(mock_at(&f->g, f->buffer), "to stdout|to stderr", 19);
	submit(f, OUT, 0, 9);
	virtio_device_notify(f->g.device, OUT);
	submit(f, ERR, 10, 9);
	virtio_device_notify(f->g.device, ERR);
	assert_int_equal(read(f->out, text, sizeof(text)), 9);
	assert_memory_equal(text, "to stdout", 9);
	assert_int_equal(read(f->err, text, sizeof(text)), 9);
	assert_memory_equal(text, "to stderr", 9);
	assert_int_equal(used(f, OUT), 0);
	assert_int_equal(used(f, ERR), 0);
	assert_true(console_drained(f->g.device));
	assert_int_equal(f->g.interrupts, 2);
}

static void output_of_many_segments_keeps_its_order(void **state)
{
	struct fixture *f = *state;
	struct mock_segment segments[SIZE];
	char text[64], expected[SIZE + 1] = "";
	for (unsigned i = 0; i < SIZE; i++) {
		((char *)mock_at(&f->g, f->buffer))[2 * i] = expected[i] = (char)('a' + i);
		segments[i] = (struct mock_segment){f->buffer + 2 * i, 1, false};
	}
	mock_submit(&f->g, OUT, segments, SIZE);
	virtio_device_notify(f->g.device, OUT);
	assert_int_equal(read(f->out, text, sizeof(text)), SIZE);
	assert_memory_equal(text, expected, SIZE);
}

static void a_stopped_reader_stops_the_guest_and_nothing_is_lost(void **state)
{
	struct fixture *f = *state;
	unsigned char *data = mock_at(&f->g, f->buffer);
	const uint32_t bytes = 300000;
	for (uint32_t i = 0; i < 3 * bytes; i++)
		data[i] = (unsigned char)(i * 7 + (i >> 8));
	for (unsigned i = 0; i < 3; i++)
		submit(f, OUT, i * bytes, bytes);
	virtio_device_notify(f->g.device, OUT);
	assert_int_equal(used(f, OUT), -1); /* not given back: not yet written */
	assert_false(console_drained(f->g.device));
	assert_int_equal(mock_watched(&f->g, f->dev_out), EPOLLOUT);
	/* Ringing again changes nothing, and standard error goes on meanwhile. */
	for (unsigned i = 0; i < 1000; i++)
		virtio_device_notify(f->g.device, OUT);
	submit(f, ERR, 0, 1);
	virtio_device_notify(f->g.device, ERR);
	assert_int_equal(used(f, ERR), 0);

	unsigned char *got = malloc(3 * bytes);
	uint32_t have = 0;
	unsigned rounds = 0;
	while (have < 3 * bytes && rounds++ < 10000) {
		ssize_t n = read(f->out, got + have, 10000);
		if (n > 0)
			have += (uint32_t)n;
		if (mock_watched(&f->g, f->dev_out))
			ready(f, f->dev_out, EPOLLOUT);
	}
	assert_int_equal(have, 3 * bytes);
	assert_memory_equal(got, data, 3 * bytes);
	free(got);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(used(f, OUT), 0);
	assert_true(console_drained(f->g.device));
	assert_int_equal(mock_watched(&f->g, f->dev_out), 0);
}

static void a_closed_reader_takes_everything(void **state)
{
	struct fixture *f = *state;
	close(f->out);
	for (unsigned i = 0; i < 5; i++) {
		submit(f, OUT, 0, 100000);
		virtio_device_notify(f->g.device, OUT);
		assert_int_equal(used(f, OUT), EPIPE);
	}
	assert_true(console_drained(f->g.device));
	f->out = dup(0);
}

static void a_reader_that_closes_while_output_waits_ends_the_wait(void **state)
{
	struct fixture *f = *state;
	submit(f, OUT, 0, 300000);
	submit(f, OUT, 0, 300000);
	virtio_device_notify(f->g.device, OUT);
	assert_int_equal(used(f, OUT), -1);
	close(f->out);
	ready(f, f->dev_out, EPOLLERR);
	assert_int_equal(used(f, OUT), EPIPE);
	assert_int_equal(used(f, OUT), EPIPE);
	assert_int_equal(mock_watched(&f->g, f->dev_out), 0);
	f->out = dup(0);
}

static void a_full_disk_fails_a_write_but_not_the_stream(void **state)
{
	struct fixture *f = *state;
	const struct console_config config = {.in_fd = -1, .out_fd = open("/dev/full", O_WRONLY), .err_fd = -1};
	f->g.device->ops->free(f->g.device);
	assert_int_equal(console_new(&f->g.device, &config, &f->g.memory, &f->g.host), 0);
	assert_int_equal(mock_preset(&f->g, VIRTIO_F_VERSION_1, SIZE), 0);
	for (unsigned i = 0; i < 2; i++) {
		submit(f, OUT, 0, 10);
		virtio_device_notify(f->g.device, OUT);
		assert_int_equal(used(f, OUT), ENOSPC);
	}
	/* Somebody made room: the same descriptor takes output again. */
	int null = open("/dev/null", O_WRONLY);
	assert_int_equal(dup2(null, config.out_fd), config.out_fd);
	close(null);
	submit(f, OUT, 0, 10);
	virtio_device_notify(f->g.device, OUT);
	assert_int_equal(used(f, OUT), 0);
	assert_true(console_drained(f->g.device));
}

static void input_waits_for_room_and_for_data(void **state)
{
	struct fixture *f = *state;
	/* No room: the descriptor is not watched, whatever is there. */
	assert_int_equal(write(f->in, "hello", 5), 5);
	virtio_device_notify(f->g.device, IN);
	assert_int_equal(mock_watched(&f->g, f->dev_in), 0);
	submit(f, IN, 0, 3);
	submit(f, IN, 100, 10);
	virtio_device_notify(f->g.device, IN);
	assert_int_equal(mock_watched(&f->g, f->dev_in), EPOLLIN);
	assert_int_equal(used(f, IN), -1);
	ready(f, f->dev_in, EPOLLIN);
	assert_int_equal(used(f, IN), 3);
	ready(f, f->dev_in, EPOLLIN);
	assert_int_equal(used(f, IN), 2);
	assert_memory_equal(mock_at(&f->g, f->buffer), "hel", 3);
	assert_memory_equal(mock_at(&f->g, f->buffer + 100), "lo", 2);
	/* Nothing there any more, no room either. */
	ready(f, f->dev_in, EPOLLIN);
	assert_int_equal(used(f, IN), -1);
	assert_int_equal(mock_watched(&f->g, f->dev_in), 0);
	/* A late report does not read. */
	ready(f, f->dev_in, EPOLLIN);
}

static void end_of_input_is_told_once(void **state)
{
	struct fixture *f = *state;
	submit(f, IN, 0, 16);
	submit(f, IN, 16, 16);
	virtio_device_notify(f->g.device, IN);
	assert_int_equal(write(f->in, "x", 1), 1);
	close(f->in);
	ready(f, f->dev_in, EPOLLIN);
	assert_int_equal(used(f, IN), 1);
	ready(f, f->dev_in, EPOLLHUP);
	assert_int_equal(used(f, IN), 0);
	submit(f, IN, 0, 16);
	virtio_device_notify(f->g.device, IN);
	assert_int_equal(used(f, IN), -1);
	assert_int_equal(mock_watched(&f->g, f->dev_in), 0);
	f->in = dup(0);
}

static void absent_streams_are_at_end_and_drop(void **state)
{
	struct fixture *f = *state;
	const struct console_config config = {.in_fd = -1, .out_fd = -1, .err_fd = -1};
	f->g.device->ops->free(f->g.device);
	assert_int_equal(console_new(&f->g.device, &config, &f->g.memory, &f->g.host), 0);
	assert_int_equal(mock_preset(&f->g, VIRTIO_F_VERSION_1, SIZE), 0);
	submit(f, IN, 0, 16);
	submit(f, IN, 0, 16);
	virtio_device_notify(f->g.device, IN);
	assert_int_equal(used(f, IN), 0);
	assert_int_equal(used(f, IN), -1);
	submit(f, OUT, 0, 16);
	virtio_device_notify(f->g.device, OUT);
	assert_int_equal(used(f, OUT), 0);
	assert_true(console_drained(f->g.device));
}

static void input_from_a_file_that_cannot_be_watched_is_read(void **state)
{
	struct fixture *f = *state;
	f->g.watch_error = -EPERM;
	assert_int_equal(write(f->in, "0123456789", 10), 10);
	close(f->in);
	for (unsigned i = 0; i < 4; i++)
		submit(f, IN, 16 * i, 4);
	virtio_device_notify(f->g.device, IN);
	assert_int_equal(used(f, IN), 4);
	assert_int_equal(used(f, IN), 4);
	assert_int_equal(used(f, IN), 2);
	assert_int_equal(used(f, IN), 0);
	f->in = dup(0);
}

static void read_buffers_without_room_come_back(void **state)
{
	struct fixture *f = *state;
	const struct mock_segment segment = {f->buffer, 16, false};
	mock_submit(&f->g, IN, &segment, 1);
	virtio_device_notify(f->g.device, IN);
	assert_int_equal(used(f, IN), 0);
	assert_int_equal(mock_watched(&f->g, f->dev_in), 0);
	/* Output with a writable part only: nothing to write. */
	const struct mock_segment writable = {f->buffer, 16, true};
	mock_submit(&f->g, OUT, &writable, 1);
	virtio_device_notify(f->g.device, OUT);
	assert_int_equal(used(f, OUT), 0);
}

static void a_reset_drops_what_is_in_flight(void **state)
{
	struct fixture *f = *state;
	submit(f, OUT, 0, 300000);
	submit(f, IN, 0, 16);
	virtio_device_notify(f->g.device, OUT);
	virtio_device_notify(f->g.device, IN);
	assert_false(console_drained(f->g.device));
	mock_write32(&f->g, 0x70, 0);
	assert_true(console_drained(f->g.device));
	assert_int_equal(mock_watched(&f->g, f->dev_out), 0);
	assert_int_equal(mock_watched(&f->g, f->dev_in), 0);
	/* Late reports find nothing. */
	ready(f, f->dev_out, EPOLLOUT);
	ready(f, f->dev_in, EPOLLIN);
	assert_int_equal(used(f, OUT), -1);
}

static void a_flood_against_a_stopped_reader_keeps_nothing(void **state)
{
	struct fixture *f = *state;
	/* The same head a million times: the ring breaks, the monitor keeps one chain. */
	submit(f, OUT, 0, 300000);
	for (unsigned i = 0; i < 1000000; i++) {
		mock_publish(&f->g, OUT, 0);
		if (i % 1000 == 0)
			virtio_device_notify(f->g.device, OUT);
	}
	ready(f, f->dev_out, EPOLLOUT);
	assert_true(f->g.device->queues[OUT].in_flight <= SIZE);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(output_goes_straight_to_its_stream),
	    T(output_of_many_segments_keeps_its_order),
	    T(a_stopped_reader_stops_the_guest_and_nothing_is_lost),
	    T(a_closed_reader_takes_everything),
	    T(a_reader_that_closes_while_output_waits_ends_the_wait),
	    T(a_full_disk_fails_a_write_but_not_the_stream),
	    T(input_waits_for_room_and_for_data),
	    T(end_of_input_is_told_once),
	    T(absent_streams_are_at_end_and_drop),
	    T(input_from_a_file_that_cannot_be_watched_is_read),
	    T(read_buffers_without_room_come_back),
	    T(a_reset_drops_what_is_in_flight),
	    T(a_flood_against_a_stopped_reader_keeps_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
