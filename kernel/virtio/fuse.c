/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE exchanges over virtio-fs (virtio 1.2, 5.11): one request, one reply, each in one chain. */
#include <linux/fuse.h>

#include "kernel/mm/page.h"
#include "kernel/proc/wait.h"
#include "kernel/virtio/fuse.h"
#include "kernel/virtio/virtio.h"

#define QUEUE_HIGH_PRIORITY 0u
#define QUEUE_REQUESTS 1u
#define SEGMENTS_MAX 40u

/* One exchange in flight. Headers and segment list lie here and not on the stack: the thread may sleep,
 * and the device reads them by physical address. */
struct exchange {
	struct fuse_in_header in;
	struct fuse_out_header out;
	uint32_t written;
	bool done;
	struct exchange *next_spare;
	struct virtio_segment segments[SEGMENTS_MAX];
};

struct fuse_device {
	struct virtio_queue *requests;
	struct wait_queue done;
	uint64_t unique;
	unsigned waiting;
};

static struct fuse_device devices[LAMPO_DEVICES_MAX];
static struct exchange *spare;
struct fuse_statistics fuse_statistics;

int fuse_init(unsigned device)
{
	struct fuse_device *d = &devices[device];

	d->requests = virtio_queue_open(device, QUEUE_REQUESTS);
	wait_queue_init(&d->done);
	return d->requests != NULL ? 0 : -ENODEV;
}

static void take_finished(struct fuse_device *d)
{
	struct exchange *x;
	uint32_t written;
	bool any = false;

	while ((x = virtio_queue_take(d->requests, &written)) != NULL) {
		x->written = written;
		x->done = true;
		any = true;
	}
	if (any && d->waiting > 0)
		wait_wake(&d->done, 0, 0);
}

void fuse_on_event(unsigned device)
{
	if (devices[device].requests != NULL)
		take_finished(&devices[device]);
}

static struct exchange *exchange_new(void)
{
	struct exchange *x = spare;

	if (x != NULL) {
		spare = x->next_spare;
		return x;
	}
	return kmalloc(sizeof(*x));
}

static void exchange_free(struct exchange *x)
{
	x->next_spare = spare;
	spare = x;
}

/* Adds the pieces of one kernel buffer; adjacent physical memory is one piece, as the direct map is linear. */
static bool add_segments(struct exchange *x, unsigned *count, const struct fuse_segment *from, unsigned n,
			 bool writable)
{
	for (unsigned i = 0; i < n; i++) {
		if (from[i].bytes == 0)
			continue;
		if (*count == SEGMENTS_MAX)
			return false;
		x->segments[(*count)++] =
		    (struct virtio_segment){arch_virt_to_phys(from[i].data), from[i].bytes, writable};
	}
	return true;
}

/* Hands it over and waits for its end. */
static int run(struct fuse_device *d, struct exchange *x, unsigned count)
{
	int result;

	while ((result = virtio_queue_add(d->requests, x->segments, count, x)) == -ENOSPC) {
		struct waiter waiter;

		virtio_queue_interrupts(d->requests, true);
		waiter_init(&waiter);
		wait_add(&d->done, &waiter);
		d->waiting++;
		wait_sleep(&waiter, clock_monotonic() + 10 * NS_PER_MS, false);
		d->waiting--;
		wait_remove(&waiter);
		take_finished(d);
	}
	if (result < 0)
		return result;
	virtio_queue_notify(d->requests, true);
	take_finished(d);
	while (!x->done) {
		struct waiter waiter;

		virtio_queue_interrupts(d->requests, true);
		take_finished(d); /* it may have come just before interrupts were asked for */
		if (x->done)
			break;
		waiter_init(&waiter);
		wait_add(&d->done, &waiter);
		d->waiting++;
		wait_sleep(&waiter, WAIT_FOREVER, false);
		d->waiting--;
		wait_remove(&waiter);
		take_finished(d);
	}
	return 0;
}

static int64_t reply_length(const struct exchange *x)
{
	if (x->written < sizeof(x->out) || x->out.len < sizeof(x->out) || x->out.len > x->written ||
	    x->out.unique != x->in.unique)
		return -EIO;
	if (x->out.error > 0 || x->out.error < -4095)
		return -EIO;
	return x->out.error != 0 ? x->out.error : (int64_t)(x->out.len - sizeof(x->out));
}

static int64_t exchange(unsigned device, uint32_t opcode, uint64_t nodeid, const struct fuse_segment *in,
			unsigned in_count, const struct fuse_segment *out, unsigned out_count)
{
	struct fuse_device *d;
	struct exchange *x;
	struct fuse_segment head;
	unsigned count = 0;
	int64_t result;

	if (device >= LAMPO_DEVICES_MAX || devices[device].requests == NULL)
		return -ENODEV;
	d = &devices[device];
	x = exchange_new();
	if (x == NULL)
		return -ENOMEM;
	memset(&x->in, 0, sizeof(x->in));
	memset(&x->out, 0, sizeof(x->out));
	x->done = false;
	x->in.len = sizeof(x->in);
	for (unsigned i = 0; i < in_count; i++)
		x->in.len += in[i].bytes;
	x->in.opcode = opcode;
	x->in.unique = ++d->unique;
	x->in.nodeid = nodeid;
	x->in.uid = current->process->credentials.fsuid;
	x->in.gid = current->process->credentials.fsgid;
	x->in.pid = (uint32_t)current->process->pid;
	fuse_statistics.exchanges++;
	head = (struct fuse_segment){&x->in, sizeof(x->in)};
	add_segments(x, &count, &head, 1, false);
	if (!add_segments(x, &count, in, in_count, false)) {
		exchange_free(x);
		return -EIO;
	}
	head = (struct fuse_segment){&x->out, sizeof(x->out)};
	if (!add_segments(x, &count, &head, 1, true) || !add_segments(x, &count, out, out_count, true)) {
		exchange_free(x);
		return -EIO;
	}
	result = run(d, x, count);
	if (result == 0)
		result = reply_length(x);
	exchange_free(x);
	return result;
}

/* FORGETs are collected and sent some at a time, before a later request: fuse_forget() never sleeps. */
#define FORGETS_MAX 512u
#define FORGETS_AT_ONCE 64u
static struct forget {
	uint64_t nodeid, lookups;
	unsigned device;
} forgets[FORGETS_MAX];
static unsigned forget_count;

void fuse_forget(unsigned device, uint64_t nodeid, uint64_t lookups)
{
	if (forget_count < FORGETS_MAX) /* otherwise the host keeps a node that nobody uses: nothing breaks */
		forgets[forget_count++] = (struct forget){nodeid, lookups, device};
}

/* FUSE_BATCH_FORGET has no reply; the chain comes back all the same, with nothing written. */
static bool send_some_forgets(void)
{
	struct {
		struct fuse_batch_forget_in head;
		struct fuse_forget_one items[FORGETS_AT_ONCE];
	} *batch = kzalloc(sizeof(*batch));
	struct fuse_segment in = {batch, sizeof(batch->head)};
	unsigned device = forgets[forget_count - 1].device;

	if (batch == NULL)
		return false;
	while (forget_count > 0 && batch->head.count < FORGETS_AT_ONCE && forgets[forget_count - 1].device == device) {
		struct forget *f = &forgets[--forget_count];

		batch->items[batch->head.count++] = (struct fuse_forget_one){f->nodeid, f->lookups};
	}
	in.bytes += batch->head.count * (uint32_t)sizeof(batch->items[0]);
	(void)exchange(device, FUSE_BATCH_FORGET, 0, &in, 1, NULL, 0);
	kfree(batch);
	return true;
}

void fuse_forget_flush(void)
{
	while (forget_count > 0 && send_some_forgets())
		;
}

int64_t fuse_request(unsigned device, uint32_t opcode, uint64_t nodeid, const struct fuse_segment *in,
		     unsigned in_count, const struct fuse_segment *out, unsigned out_count)
{
	if (forget_count >= FORGETS_AT_ONCE)
		send_some_forgets();
	return exchange(device, opcode, nodeid, in, in_count, out, out_count);
}
