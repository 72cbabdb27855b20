/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console driver (virtio 1.2, 5.3; dev/console.h): queue 0 is the host's stdin, 1 its stdout,
 * 2 its stderr.
 *
 * Output: at most one chain of each stream is on its way. Usually the device has written it when the
 * notification returns; if the host's reader is slow it stays out, and the next writer waits for it.
 * Input: one chain is posted, but not before somebody reads or polls, because posting it costs an exchange.
 */
#include "kernel/virtio/console.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"

#define PAGES_MAX 16u

struct console_output {
	struct virtio_queue *queue;
	unsigned page_limit; /* a chain has no more than the queue has descriptors */
	struct page *pages[PAGES_MAX];
	bool busy;      /* being filled, or on its way */
	bool in_flight; /* the device has it */
	int error;      /* why the device dropped output; EPIPE stays, nobody takes any more */
	struct wait_queue wait;
};

static struct console {
	unsigned device;
	struct console_output outputs[2];
	struct virtio_queue *input;
	unsigned input_limit;
	struct page *input_pages[PAGES_MAX];
	unsigned input_count;             /* pages of the posted chain */
	uint32_t input_done, input_bytes; /* of the last chain: read by programs, received */
	bool posted, end;
} console = {
    /* usable even if there is no such device */
    .outputs =
	{
	    {.wait = {LIST_INIT(console.outputs[0].wait.waiters)}},
	    {.wait = {LIST_INIT(console.outputs[1].wait.waiters)}},
	},
    .input_count = 1,
};

struct wait_queue console_input_queue = {LIST_INIT(console_input_queue.waiters)};
void (*console_input_hook)(void);

static unsigned page_limit(unsigned device, unsigned queue)
{
	return (unsigned)min_u64(PAGES_MAX, boot_info->devices[device].queues[queue].size);
}

int console_init(unsigned device)
{
	console.device = device;
	for (unsigned i = 0; i < countof(console.outputs); i++) {
		console.outputs[i].queue = virtio_queue_open(device, i + 1);
		console.outputs[i].page_limit = page_limit(device, i + 1);
	}
	console.input = virtio_queue_open(device, 0);
	console.input_limit = page_limit(device, 0);
	return 0;
}

static struct console_output *output_of(unsigned stream)
{
	return stream == 1 || stream == 2 ? &console.outputs[stream - 1] : NULL;
}

/* ---- output ---- */

/* Takes the chain back if the device is done with it. */
static bool output_done(struct console_output *output)
{
	uint32_t written = 0;
	if (output->in_flight && virtio_queue_take(output->queue, &written) != NULL) {
		output->in_flight = output->busy = false;
		if (written != 0 && written < 4096)
			output->error = (int)written; /* dev/console.h */
	}
	return !output->busy;
}

static int output_pages(struct console_output *output, uint64_t bytes)
{
	for (unsigned i = 0; i < (bytes + PAGE_SIZE - 1) / PAGE_SIZE; i++) {
		if (output->pages[i] == NULL && (output->pages[i] = page_alloc_uninitialised()) == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* The first `bytes` of the pages go to the device. */
static void output_submit(struct console_output *output, uint32_t bytes, bool sleeping)
{
	struct virtio_segment segments[PAGES_MAX];
	unsigned count = 0;
	for (uint32_t done = 0; done < bytes; done += PAGE_SIZE, count++)
		segments[count] = (struct virtio_segment){
		    .gpa = page_gpa(output->pages[count]),
		    .bytes = (uint32_t)min_u64(bytes - done, PAGE_SIZE),
		};
	if (virtio_queue_add(output->queue, segments, count, output) != 0) {
		/* Never: there is one chain at a time, and the queue has room for it. */
		output->busy = false;
		return;
	}
	output->in_flight = true;
	virtio_queue_interrupts(output->queue, false);
	virtio_queue_notify(output->queue, sleeping);
	if (!output_done(output)) {
		virtio_queue_interrupts(output->queue, true);
		output_done(output); /* it may have come between the two */
	}
	if (!output->busy)
		wait_wake(&output->wait, 0, 0);
}

/* A full disk may have room later: told once, for the output that was lost. */
static int output_error_take(struct console_output *output)
{
	int error = output->error;
	if (error != EPIPE)
		output->error = 0;
	return -error;
}

int64_t console_write_buffer(unsigned stream, const struct io_buffer *from, uint64_t bytes, bool nonblock)
{
	struct console_output *output = output_of(stream);
	uint64_t done = 0;

	if (output == NULL || output->queue == NULL)
		return (int64_t)bytes; /* no such device: as a closed stream of the host */
	while (done < bytes) {
		if (!output_done(output) && nonblock)
			return done > 0 ? (int64_t)done : -EAGAIN;
		if (wait_until(&output->wait, output_done(output), WAIT_FOREVER, true) != 0)
			return done > 0 ? (int64_t)done : -ERESTARTSYS;
		if (output->error != 0)
			return done > 0 ? (int64_t)done : output_error_take(output);

		uint64_t chunk = min_u64(bytes - done, output->page_limit * PAGE_SIZE);
		output->busy = true;
		int r = output_pages(output, chunk);
		for (uint64_t at = 0; r == 0 && at < chunk; at += PAGE_SIZE)
			r = io_read_from(from, done + at, page_address(output->pages[at / PAGE_SIZE]),
					 min_u64(chunk - at, PAGE_SIZE));
		if (r != 0) {
			output->busy = false;
			wait_wake(&output->wait, 0, 0);
			return done > 0 ? (int64_t)done : r;
		}
		output_submit(output, (uint32_t)chunk, true);
		if (output->error == 0) /* else it is told above, at once if the device is done */
			done += chunk;
	}
	return (int64_t)done;
}

int64_t console_write(unsigned stream, const void *data, uint64_t bytes)
{
	struct io_buffer from = {.address = (uint64_t)data};
	return console_write_buffer(stream, &from, bytes, false);
}

uint64_t console_write_try(unsigned stream, const void *data, uint64_t bytes)
{
	struct console_output *output = output_of(stream);
	bytes = min_u64(bytes, PAGE_SIZE);
	if (output == NULL || output->queue == NULL || output->error != 0)
		return bytes;
	if (!output_done(output) || output_pages(output, bytes) != 0)
		return 0;
	output->busy = true;
	memcpy(page_address(output->pages[0]), data, bytes);
	output_submit(output, (uint32_t)bytes, false);
	return bytes;
}

bool console_writable(unsigned stream)
{
	struct console_output *output = output_of(stream);
	return output == NULL || output->queue == NULL || output_done(output);
}

bool console_output_closed(unsigned stream)
{
	struct console_output *output = output_of(stream);
	return output != NULL && output->error != 0;
}

struct wait_queue *console_output_queue(unsigned stream) { return &console.outputs[stream == 2].wait; }

/* ---- input ---- */

/* Looks for an answer of the device. */
static void input_take(void)
{
	uint32_t bytes = 0;
	if (!console.posted || virtio_queue_take(console.input, &bytes) == NULL)
		return;
	console.posted = false;
	console.input_done = 0;
	console.input_bytes = (uint32_t)min_u64(bytes, console.input_count * PAGE_SIZE);
	if (bytes == 0)
		console.end = true;
	else if (bytes == PAGE_SIZE * console.input_count)
		console.input_count = console.input_limit; /* somebody sends much: ask for more at once */
}

static bool input_present(void) { return console.end || console.input_done < console.input_bytes; }

static void input_post(void)
{
	struct virtio_segment segments[PAGES_MAX];
	if (console.posted)
		return;
	for (unsigned i = 0; i < console.input_count; i++) {
		if (console.input_pages[i] == NULL && (console.input_pages[i] = page_alloc_uninitialised()) == NULL) {
			console.input_count = i;
			break;
		}
		segments[i] = (struct virtio_segment){
		    .gpa = page_gpa(console.input_pages[i]), .bytes = PAGE_SIZE, .writable = true};
	}
	if (console.input_count == 0)
		console.input_count = 1;
	if (console.input_pages[0] == NULL ||
	    virtio_queue_add(console.input, segments, console.input_count, &console) != 0)
		return;
	console.posted = true;
	virtio_queue_interrupts(console.input, true);
	virtio_queue_notify(console.input, false);
}

bool console_readable(void)
{
	if (console.input == NULL || (boot_info->flags & LAMPO_BOOT_STDIN) == 0)
		return console.end = true;
	input_take();
	if (!input_present()) {
		input_post();
		input_take();
	}
	return input_present();
}

bool console_at_end(void) { return console_readable() && console.end && console.input_done >= console.input_bytes; }

uint64_t console_available(void) { return console_readable() ? console.input_bytes - console.input_done : 0; }

int64_t console_read_buffer(const struct io_buffer *to, uint64_t bytes)
{
	uint64_t done = 0;

	if (!console_readable())
		return 0;
	bytes = min_u64(bytes, console.input_bytes - console.input_done);
	/* After this nothing sleeps, so that no other reader gets the same bytes. */
	if (bytes > 0 && to->user && user_prepare(to->address, bytes, true) != 0)
		return -EFAULT;
	bytes = min_u64(bytes, console.input_bytes - console.input_done);
	while (done < bytes) {
		uint64_t at = console.input_done % PAGE_SIZE;
		uint64_t part = min_u64(bytes - done, PAGE_SIZE - at);
		uint8_t *page = page_address(console.input_pages[console.input_done / PAGE_SIZE]);
		if (io_write_to(to, done, page + at, part) != 0)
			return done > 0 ? (int64_t)done : -EFAULT;
		console.input_done += (uint32_t)part;
		done += part;
	}
	return (int64_t)done;
}

uint64_t console_read(void *to, uint64_t bytes, bool *eof)
{
	struct io_buffer buffer = {.address = (uint64_t)to};
	int64_t n = console_read_buffer(&buffer, bytes);
	*eof = console_at_end();
	return n > 0 ? (uint64_t)n : 0;
}

void console_on_event(unsigned device)
{
	if (device != console.device)
		return;
	for (unsigned i = 0; i < countof(console.outputs); i++) {
		struct console_output *output = &console.outputs[i];
		if (output->in_flight && output_done(output))
			wait_wake(&output->wait, 0, 0);
	}
	if (!console.posted)
		return;
	input_take();
	if (!input_present())
		return;
	if (console_input_hook != NULL)
		console_input_hook();
	wait_wake(&console_input_queue, 0, 0);
}
