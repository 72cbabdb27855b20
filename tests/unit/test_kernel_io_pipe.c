/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes and FIFOs keep their bytes in order, block and wake as pipe(7) and fifo(7) say, and leave nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <asm/ioctls.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>

#include "kernel/fs/ring.h"
#include "tests/unit/kernel_descriptors.h"

DECLARE_CALL(pipe);
DECLARE_CALL(pipe2);

static int fds[2];
static int64_t results[4];
static uint8_t block[200000], copy[200000];

static int setup(void **state)
{
	(void)state;
	descriptors_reset(1);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * 31 + i / 256);
	memset(copy, 0, sizeof(copy));
	return 0;
}

static void open_pipe(void) { results[0] = call(sys_pipe2, P(fds), 0); }
static void open_nonblocking(void) { results[0] = call(sys_pipe2, P(fds), O_NONBLOCK); }

static void read_one(void) { results[1] = fd_read(fds[0], copy, 1); }
static void write_hello(void) { results[2] = fd_write(fds[1], "hello", 5); }

static void a_reader_sleeps_until_bytes_come(void **state)
{
	(void)state;
	assert_true(descriptors_run(open_pipe));
	assert_int_equal(results[0], 0);
	assert_false(descriptors_run(read_one));
	assert_true(descriptors_run(write_hello));
	machine_run();
	assert_int_equal(results[1], 1);
	assert_int_equal(results[2], 5);
	assert_int_equal(copy[0], 'h');
	assert_int_equal(fd_poll(fds[0]), EPOLLIN | EPOLLRDNORM);
}

static void write_block(void) { results[1] = fd_write(fds[1], block, sizeof(block)); }
static void read_all(void)
{
	uint64_t done = 0;
	while (done < sizeof(copy)) {
		int64_t n = fd_read(fds[0], copy + done, 7777);
		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	results[2] = (int64_t)done;
}

static void more_than_fits_arrives_in_order(void **state)
{
	(void)state;
	descriptors_run(open_pipe);
	assert_false(descriptors_run(write_block));
	assert_int_equal(fd_poll(fds[1]), 0);
	descriptors_run(read_all);
	machine_run();
	assert_int_equal(results[1], sizeof(block));
	assert_int_equal(results[2], sizeof(block));
	assert_memory_equal(copy, block, sizeof(block));
}

static void nothing_and_everything(void)
{
	results[0] = fd_read(fds[0], copy, 1);
	uint64_t n = 0;
	while (fd_write(fds[1], block, 1) == 1)
		n++;
	results[1] = (int64_t)n;
	results[2] = fd_read(fds[0], copy, 4095);
	/* Less than PIPE_BUF is written whole or not at all. */
	results[3] = fd_write(fds[1], block, 4096);
}

static void without_blocking_a_pipe_holds_64_kib_and_keeps_small_writes_whole(void **state)
{
	(void)state;
	descriptors_run(open_nonblocking);
	assert_true(descriptors_run(nothing_and_everything));
	assert_int_equal(results[0], -EAGAIN);
	assert_int_equal(results[1], 65536);
	assert_int_equal(results[2], 4095);
	assert_int_equal(results[3], -EAGAIN);
	results[3] = 0;
	assert_false(fd_poll(fds[1]) & EPOLLOUT);
}

static void close_write_end(void) { fd_close(fds[1]); }
static void close_read_end(void) { fd_close(fds[0]); }

static void the_last_writer_ends_a_read_and_the_last_reader_breaks_a_write(void **state)
{
	(void)state;
	descriptors_run(open_pipe);
	assert_false(descriptors_run(read_one));
	results[1] = 4711;
	descriptors_run(close_write_end);
	machine_run();
	assert_int_equal(results[1], 0);
	assert_int_equal(fd_poll(fds[0]), EPOLLHUP);
	descriptors_run(close_read_end);
	assert_int_equal(descriptors_open(), 0);

	descriptors_run(open_pipe);
	assert_false(descriptors_run(write_block));
	descriptors_run(close_read_end);
	machine_run();
	assert_int_equal(results[1], 65536); /* what was taken before counts */
	assert_true(fd_poll(fds[1]) & EPOLLERR);
	descriptors_run(write_hello);
	assert_int_equal(results[2], -EPIPE);
}

static void set_size(void)
{
	struct file *file = fd_get(fds[0]);
	fd_write(fds[1], block, 50000);
	fd_read(fds[0], copy, 45000); /* the content wraps */
	fd_write(fds[1], block + 50000, 60000);
	results[3] = file->ops->fcntl(file, F_SETPIPE_SZ, 4096, &results[0]);
	results[2] = file->ops->fcntl(file, F_SETPIPE_SZ, 200000, &results[1]);
	file_put(file);
	fd_write(fds[1], block + 110000, 90000);
	results[0] = fd_read(fds[0], copy, sizeof(copy));
}

static void resizing_keeps_the_content(void **state)
{
	(void)state;
	descriptors_run(open_pipe);
	assert_true(descriptors_run(set_size));
	assert_int_equal(results[3], -EBUSY);
	assert_int_equal(results[2], 0);
	assert_int_equal(results[1], 262144);
	assert_int_equal(results[0], 155000);
	assert_memory_equal(copy, block + 45000, 155000);
}

static void bad_buffers(void)
{
	results[0] = fd_write(fds[1], (void *)16, 10);
	fd_write(fds[1], "abc", 3);
	results[1] = fd_read(fds[0], (void *)16, 10);
	results[2] = fd_read(fds[0], copy, 10);
	results[3] = call(sys_pipe2, P(fds), 0x100000);
}

static void bad_addresses_lose_nothing(void **state)
{
	(void)state;
	descriptors_run(open_pipe);
	assert_true(descriptors_run(bad_buffers));
	assert_int_equal(results[0], -EFAULT);
	assert_int_equal(results[1], -EFAULT);
	assert_int_equal(results[2], 3);
	assert_int_equal(results[3], -EINVAL);
}

static void open_to_nowhere(void) { results[0] = call(sys_pipe, 16); }

static void a_pipe_whose_descriptors_cannot_be_told_is_gone(void **state)
{
	(void)state;
	assert_true(descriptors_run(open_to_nowhere));
	assert_int_equal(results[0], -EFAULT);
	assert_int_equal(descriptors_open(), 0);
}

/* ---- FIFOs ---- */

static struct inode *fifo;

static int64_t open_fifo(uint32_t flags)
{
	struct file *file;
	file_new(&file, NULL, inode_get(fifo), flags, NULL);
	int r = fifo_open(fifo, file);
	if (r != 0) {
		file->ops = NULL;
		file_put(file);
		return r;
	}
	return fd_install(file, 0, 0);
}

static void open_fifo_reader(void) { results[0] = open_fifo(O_RDONLY); }
static void open_fifo_writer(void) { results[1] = open_fifo(O_WRONLY); }
static void open_fifo_without_peer(void)
{
	results[0] = open_fifo(O_WRONLY | O_NONBLOCK);
	results[1] = open_fifo(O_RDONLY | O_NONBLOCK);
	results[2] = open_fifo(O_WRONLY | O_NONBLOCK);
}
static void close_both(void)
{
	fd_close((int)results[0]);
	fd_close((int)results[1]);
}

static void a_fifo_opens_when_both_sides_are_there(void **state)
{
	(void)state;
	fifo = inode_new_anonymous(S_IFIFO | 0600);
	assert_false(descriptors_run(open_fifo_reader));
	assert_true(descriptors_run(open_fifo_writer));
	machine_run();
	assert_true(results[0] >= 0 && results[1] >= 0);
	descriptors_run(close_both);
	assert_int_equal(descriptors_open(), 0);
	assert_null(fifo->data);

	assert_true(descriptors_run(open_fifo_without_peer));
	assert_int_equal(results[0], -ENXIO);
	assert_true(results[1] >= 0 && results[2] >= 0);
	fd_close((int)results[2]);
	assert_true(fd_poll((int)results[1]) & EPOLLHUP);
	fd_close((int)results[1]);
	assert_int_equal(open_fifo(O_RDONLY | O_NONBLOCK), 0);
	assert_false(fd_poll(0) & EPOLLHUP); /* no writer yet is not a hang-up */
	fd_close(0);
	inode_put(fifo);
}

/* The ring against a plain model: random puts and takes of random sizes. */
static void a_ring_is_a_queue(void **state)
{
	struct ring ring;
	uint32_t random = 1;
	uint64_t put = 0, taken = 0;
	(void)state;
	assert_int_equal(ring_init(&ring, 3), 0);
	for (unsigned i = 0; i < 20000; i++) {
		random = random * 1664525 + 1013904223;
		uint64_t size = random >> 8 & 0x3fff;
		struct io_buffer buffer = {.address = P(copy), .user = true};
		if ((random & 0x80) != 0) {
			for (uint64_t k = 0; k < size; k++)
				copy[k] = (uint8_t)((put + k) * 7 + (put + k) / 251);
			uint64_t n = ring_put(&ring, &buffer, 0, size);
			assert_int_equal(n, min_u64(size, 3 * PAGE_SIZE - (put - taken)));
			put += n;
		} else {
			uint64_t n = ring_peek(&ring, 0, &buffer, 0, size);
			assert_int_equal(n, min_u64(size, put - taken));
			for (uint64_t k = 0; k < n; k++)
				assert_int_equal(copy[k], (uint8_t)((taken + k) * 7 + (taken + k) / 251));
			ring_drop(&ring, n);
			taken += n;
		}
	}
	ring_fini(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_reader_sleeps_until_bytes_come, setup),
	    cmocka_unit_test_setup(more_than_fits_arrives_in_order, setup),
	    cmocka_unit_test_setup(without_blocking_a_pipe_holds_64_kib_and_keeps_small_writes_whole, setup),
	    cmocka_unit_test_setup(the_last_writer_ends_a_read_and_the_last_reader_breaks_a_write, setup),
	    cmocka_unit_test_setup(resizing_keeps_the_content, setup),
	    cmocka_unit_test_setup(bad_addresses_lose_nothing, setup),
	    cmocka_unit_test_setup(a_pipe_whose_descriptors_cannot_be_told_is_gone, setup),
	    cmocka_unit_test_setup(a_fifo_opens_when_both_sides_are_there, setup),
	    cmocka_unit_test_setup(a_ring_is_a_queue, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
