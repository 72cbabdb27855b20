/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory and virtqueues: what a hostile driver writes ends in a rejected chain or -EPROTO. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/mock_guest.h"

#define RAM (8u << 20)
#define SIZE 8u

struct fixture {
	struct mock_guest g;
	struct virtqueue queue;
	struct virtqueue_chain chain;
	unsigned bad;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	mock_guest_init(&f->g, RAM);
	mock_queue_alloc(&f->g, 0, SIZE);
	const struct mock_queue *q = &f->g.queues[0];
	assert_int_equal(virtqueue_activate(&f->queue, &f->g.memory, SIZE, (struct guest_addr){q->desc},
					    (struct guest_addr){q->avail}, (struct guest_addr){q->used}),
			 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	mock_guest_fini(&f->g);
	free(f);
	return 0;
}

static int pop(struct fixture *f) { return virtqueue_pop(&f->queue, &f->chain, &f->bad); }

static void desc(struct fixture *f, unsigned index, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	*mock_desc_at(&f->g, 0, index) = (struct mock_desc){.addr = addr, .len = len, .flags = flags, .next = next};
}

/* The chain at head 0 is published and must come back unused, counted as bad. */
static void assert_rejected(struct fixture *f)
{
	uint32_t head, bytes;
	unsigned before = f->bad;
	mock_publish(&f->g, 0, 0);
	assert_int_equal(pop(f), 0);
	assert_int_equal(f->bad, before + 1);
	assert_true(mock_take(&f->g, 0, &head, &bytes));
	assert_int_equal(head, 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(f->queue.in_flight, 0);
}

static void memory_refuses_what_is_not_wholly_in_one_region(void **state)
{
	struct fixture *f = *state;
	const struct guest_memory *m = &f->g.memory;
	const struct {
		uint64_t addr, bytes;
		bool writable, good;
	} cases[] = {
	    {0, 1, true, true},
	    {0, RAM, true, true},
	    {0, RAM + 1ull, false, false},
	    {RAM - 1, 1, false, true},
	    {RAM - 1, 2, false, false},
	    {RAM, 1, false, false},
	    {0, 0, false, false},
	    {UINT64_MAX, 1, false, false},
	    {UINT64_MAX, UINT64_MAX, false, false},
	    {1, UINT64_MAX, false, false},
	    {0, UINT64_MAX, false, false},
	    {MOCK_ROM_GPA, MOCK_ROM_BYTES, false, true},
	    {MOCK_ROM_GPA, 1, true, false},
	    {MOCK_ROM_GPA - 1, 2, false, false},
	    {MOCK_ROM_GPA + MOCK_ROM_BYTES - 1, 2, false, false},
	};
	for (unsigned i = 0; i < countof(cases); i++) {
		void *at = guest_memory_at(m, (struct guest_addr){cases[i].addr}, cases[i].bytes, cases[i].writable);
		assert_int_equal(at != NULL, cases[i].good);
	}
	uint64_t value = 42, back = 0;
	assert_true(guest_memory_write(m, (struct guest_addr){RAM - 8}, &value, 8));
	assert_true(guest_memory_read(m, (struct guest_addr){RAM - 8}, &back, 8));
	assert_int_equal(back, 42);
	assert_false(guest_memory_write(m, (struct guest_addr){MOCK_ROM_GPA}, &value, 8));
	assert_false(guest_memory_read(m, (struct guest_addr){RAM - 7}, &back, 8));
}

static void activation_refuses_bad_layouts(void **state)
{
	struct fixture *f = *state;
	const struct {
		uint16_t size;
		uint64_t desc, avail, used;
		int result;
	} cases[] = {
	    {8, 0x1000, 0x2000, 0x3000, 0},
	    {256, 0x1000, 0x3000, 0x4000, 0},
	    {0, 0x1000, 0x2000, 0x3000, -EINVAL},
	    {3, 0x1000, 0x2000, 0x3000, -EINVAL},
	    {512, 0x1000, 0x4000, 0x5000, -EINVAL},
	    {32768, 0x1000, 0x2000, 0x3000, -EINVAL},
	    {8, 0x1008, 0x2000, 0x3000, -EINVAL},
	    {8, 0x1000, 0x2001, 0x3000, -EINVAL},
	    {8, 0x1000, 0x2000, 0x3002, -EINVAL},
	    {8, 0, 0, 0, -EINVAL},
	    {8, 0x1000, 0x1000, 0x3000, -EINVAL},
	    {8, 0x1000, 0x2000, 0x2004, -EINVAL},
	    {8, RAM - 16 * 8, 0x2000, 0x3000, 0},
	    {8, RAM - 16 * 8 + 16, 0x2000, 0x3000, -EINVAL},
	    {8, 0x1000, RAM - 22, 0x3000, 0},
	    {8, 0x1000, RAM - 20, 0x3000, -EINVAL},
	    {8, 0x1000, 0x2000, RAM - 72, 0},
	    {8, 0x1000, 0x2000, RAM - 68, -EINVAL},
	    {8, MOCK_ROM_GPA, 0x2000, 0x3000, -EINVAL},
	    {8, 0x1000, 0x2000, 0xfffffffffffffffcull, -EINVAL},
	};
	for (unsigned i = 0; i < countof(cases); i++) {
		struct virtqueue queue;
		assert_int_equal(
		    virtqueue_activate(&queue, &f->g.memory, cases[i].size, (struct guest_addr){cases[i].desc},
				       (struct guest_addr){cases[i].avail}, (struct guest_addr){cases[i].used}),
		    cases[i].result);
	}
}

static void chain_gives_segments_in_order(void **state)
{
	struct fixture *f = *state;
	uint64_t a = mock_alloc(&f->g, 64), b = mock_alloc(&f->g, 64), c = mock_alloc(&f->g, 64);
	memcpy(mock_at(&f->g, a), "hello ", 6);
	memcpy(mock_at(&f->g, b), "world", 5);
	const struct mock_segment segments[] = {{a, 6, false}, {b, 5, false}, {c, 10, true}, {c + 20, 3, true}};
	uint16_t head = mock_submit(&f->g, 0, segments, countof(segments));
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.head, head);
	assert_int_equal(f->chain.readable, 2);
	assert_int_equal(f->chain.writable, 2);
	assert_int_equal(f->chain.readable_bytes, 11);
	assert_int_equal(f->chain.writable_bytes, 13);

	char text[32] = "";
	assert_int_equal(virtqueue_chain_read(&f->chain, 4, text, sizeof(text)), 7);
	assert_string_equal(text, "o world");
	assert_int_equal(virtqueue_chain_read(&f->chain, 11, text, sizeof(text)), 0);
	assert_int_equal(virtqueue_chain_write(&f->chain, 8, "0123456789", 10), 5);
	assert_memory_equal((char *)mock_at(&f->g, c) + 8, "01", 2);
	assert_memory_equal((char *)mock_at(&f->g, c) + 20, "234", 3);

	struct iovec slice[VIRTQUEUE_SEGMENTS_MAX];
	assert_int_equal(virtqueue_chain_slice(&f->chain, false, 5, 3, slice), 2);
	assert_int_equal(slice[0].iov_len, 1);
	assert_int_equal(slice[1].iov_len, 2);
	assert_int_equal(virtqueue_chain_slice(&f->chain, true, 10, 100, slice), 1);
	assert_int_equal(slice[0].iov_len, 3);
	assert_int_equal(virtqueue_chain_slice(&f->chain, true, 13, 100, slice), 0);

	uint32_t used_head, bytes;
	virtqueue_push(&f->queue, head, 13);
	assert_true(mock_take(&f->g, 0, &used_head, &bytes));
	assert_int_equal(bytes, 13);
	assert_int_equal(pop(f), 0);
}

static void ring_wraps_around(void **state)
{
	struct fixture *f = *state;
	uint64_t a = mock_alloc(&f->g, 64);
	const struct mock_segment segments[] = {{a, 6, false}, {a + 8, 5, true}};
	for (unsigned i = 0; i < 70000; i++) {
		uint32_t head, bytes;
		mock_submit(&f->g, 0, segments, 2);
		assert_int_equal(pop(f), 1);
		virtqueue_push(&f->queue, f->chain.head, i);
		assert_true(mock_take(&f->g, 0, &head, &bytes));
		assert_int_equal(bytes, i);
	}
	assert_int_equal(f->bad, 0);
}

static void loops_are_rejected(void **state)
{
	struct fixture *f = *state;
	uint64_t a = mock_alloc(&f->g, 64);
	desc(f, 0, a, 1, MOCK_NEXT, 0);
	assert_rejected(f);
	desc(f, 0, a, 1, MOCK_NEXT, 1);
	desc(f, 1, a, 1, MOCK_NEXT, 0);
	assert_rejected(f);
	for (unsigned i = 0; i < SIZE; i++)
		desc(f, i, a, 1, MOCK_NEXT, (uint16_t)((i + 1) % SIZE));
	assert_rejected(f);
	/* The same without the last link is a good chain of the greatest length. */
	desc(f, SIZE - 1, a, 1, 0, 0);
	mock_publish(&f->g, 0, 0);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.readable, SIZE);
}

static void bad_descriptors_are_rejected(void **state)
{
	struct fixture *f = *state;
	uint64_t a = mock_alloc(&f->g, 64);
	const struct mock_desc cases[] = {
	    {a, 1, MOCK_NEXT, SIZE}, /* next outside the table */
	    {a, 1, MOCK_NEXT, 0xffff},
	    {a, 0, 0, 0}, /* no bytes */
	    {a, UINT32_MAX, 0, 0},
	    {RAM - 1, 2, 0, 0}, /* one byte past the end */
	    {RAM, 1, 0, 0},
	    {UINT64_MAX, 2, 0, 0}, /* wraps */
	    {UINT64_MAX - 0xfff, 0x1000, 0, 0},
	    {0x3e00000000ull, 4, MOCK_WRITE, 0}, /* the devices' registers */
	    {MOCK_ROM_GPA, 4, MOCK_WRITE, 0},    /* read-only memory */
	    {a, 1, MOCK_INDIRECT, 0},            /* not negotiated */
	};
	for (unsigned i = 0; i < countof(cases); i++) {
		*mock_desc_at(&f->g, 0, 0) = cases[i];
		assert_rejected(f);
	}
	/* A writable segment before a readable one. */
	desc(f, 0, a, 1, MOCK_WRITE | MOCK_NEXT, 1);
	desc(f, 1, a, 1, 0, 0);
	assert_rejected(f);
	/* Read-only memory may be read. */
	desc(f, 0, MOCK_ROM_GPA, 4, 0, 0);
	mock_publish(&f->g, 0, 0);
	assert_int_equal(pop(f), 1);
}

static void chain_bytes_are_bounded(void **state)
{
	struct fixture *f = *state;
	desc(f, 0, 0, RAM, MOCK_NEXT, 1);
	desc(f, 1, 0, 1, 0, 0);
	assert_int_equal(RAM, VIRTQUEUE_CHAIN_BYTES_MAX);
	assert_rejected(f);
	desc(f, 0, 0, RAM, 0, 0);
	mock_publish(&f->g, 0, 0);
	assert_int_equal(pop(f), 1);
}

static void indirect_tables_are_checked(void **state)
{
	struct fixture *f = *state;
	uint64_t a = mock_alloc(&f->g, 64);
	uint64_t table = mock_alloc(&f->g, 16 * 300);
	struct mock_desc *t = mock_at(&f->g, table);
	f->queue.indirect = true;
	for (unsigned i = 0; i < 300; i++)
		t[i] = (struct mock_desc){.addr = a, .len = 1, .flags = MOCK_NEXT, .next = (uint16_t)(i + 1)};

	const struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags;
	} bad[] = {
	    {table, 0, 0},          {table, 15, 0},    {table, 17, 0},           {table, 16 * 257, 0},
	    {table, 16, MOCK_NEXT}, {RAM - 16, 32, 0}, {UINT64_MAX - 15, 16, 0}, {table, 0xfffffff0u, 0},
	};
	t[0].flags = 0;
	for (unsigned i = 0; i < countof(bad); i++) {
		desc(f, 0, bad[i].addr, bad[i].len, MOCK_INDIRECT | bad[i].flags, 0);
		assert_rejected(f);
	}
	t[0].flags = MOCK_INDIRECT; /* nested */
	desc(f, 0, table, 32, MOCK_INDIRECT, 0);
	assert_rejected(f);
	t[0] = (struct mock_desc){a, 1, MOCK_NEXT, 0}; /* loop inside */
	assert_rejected(f);
	t[0].next = 2; /* outside the table */
	assert_rejected(f);
	t[0].next = 1;
	t[255].flags = 0;
	desc(f, 0, table, 16 * 256, MOCK_INDIRECT, 0); /* the greatest good one */
	mock_publish(&f->g, 0, 0);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.readable, 256);
	/* One direct segment before it makes it too long. */
	desc(f, 0, a, 1, MOCK_NEXT, 1);
	desc(f, 1, table, 16 * 256, MOCK_INDIRECT, 0);
	virtqueue_push(&f->queue, 0, 0);
	uint32_t head, bytes;
	mock_take(&f->g, 0, &head, &bytes);
	assert_rejected(f);
}

static void avail_index_that_jumps_is_refused(void **state)
{
	struct fixture *f = *state;
	uint16_t *avail = mock_avail(&f->g, 0);
	const uint16_t jumps[] = {SIZE + 1, 0xffff, 0x8000, (uint16_t)-1};
	for (unsigned i = 0; i < countof(jumps); i++) {
		avail[1] = jumps[i];
		assert_int_equal(pop(f), -EPROTO);
	}
	avail[1] = 1;
	avail[2] = SIZE; /* head outside */
	assert_int_equal(pop(f), -EPROTO);
	avail[2] = 0xffff;
	assert_int_equal(pop(f), -EPROTO);
	assert_int_equal(f->queue.in_flight, 0);
}

static void in_flight_never_exceeds_the_size(void **state)
{
	struct fixture *f = *state;
	uint64_t a = mock_alloc(&f->g, 64);
	desc(f, 0, a, 1, 0, 0);
	unsigned taken = 0;
	for (unsigned i = 0; i < 1000000; i++) {
		mock_publish(&f->g, 0, 0);
		int r = pop(f);
		taken += r == 1;
		assert_true(r == 1 || r == -EPROTO);
		assert_true(f->queue.in_flight <= SIZE);
		if (r == -EPROTO)
			mock_avail(&f->g, 0)[1]--;
	}
	assert_int_equal(taken, SIZE);
}

static void a_full_ring_of_bad_chains_ends(void **state)
{
	struct fixture *f = *state;
	desc(f, 0, UINT64_MAX, 1, 0, 0);
	for (unsigned i = 0; i < SIZE; i++)
		mock_publish(&f->g, 0, 0);
	assert_int_equal(pop(f), 0);
	assert_int_equal(f->bad, SIZE);
}

static void interrupts_follow_the_guests_wish(void **state)
{
	struct fixture *f = *state;
	uint64_t a = mock_alloc(&f->g, 64);
	const struct mock_segment segment = {a, 6, false};
	assert_false(virtqueue_wants_interrupt(&f->queue));
	mock_submit(&f->g, 0, &segment, 1);
	pop(f);
	virtqueue_push(&f->queue, f->chain.head, 0);
	assert_true(virtqueue_wants_interrupt(&f->queue));
	assert_false(virtqueue_wants_interrupt(&f->queue));
	mock_avail(&f->g, 0)[0] = 1; /* NO_INTERRUPT */
	mock_submit(&f->g, 0, &segment, 1);
	pop(f);
	virtqueue_push(&f->queue, f->chain.head, 0);
	assert_false(virtqueue_wants_interrupt(&f->queue));
}

static void event_index_decides_about_notifications(void **state)
{
	struct fixture *f = *state;
	uint64_t a = mock_alloc(&f->g, 64);
	const struct mock_segment segment = {a, 6, false};
	uint16_t *used_event = &mock_avail(&f->g, 0)[2 + SIZE];
	uint16_t *avail_event = &mock_used(&f->g, 0)[2 + 4 * SIZE];
	f->queue.event_idx = true;
	*used_event = 1; /* after the second */
	for (unsigned i = 0; i < 3; i++) {
		mock_submit(&f->g, 0, &segment, 1);
		assert_int_equal(pop(f), 1);
		virtqueue_push(&f->queue, f->chain.head, 0);
		assert_int_equal(virtqueue_wants_interrupt(&f->queue), i == 1);
	}
	assert_int_equal(pop(f), 0);
	assert_int_equal(*avail_event, 3);
}

static void a_disabled_queue_does_nothing(void **state)
{
	struct fixture *f = *state;
	mock_publish(&f->g, 0, 0);
	virtqueue_reset(&f->queue);
	assert_int_equal(pop(f), 0);
	virtqueue_push(&f->queue, 0, 0);
	assert_false(virtqueue_wants_interrupt(&f->queue));
	assert_int_equal(mock_used(&f->g, 0)[1], 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(memory_refuses_what_is_not_wholly_in_one_region),
	    T(activation_refuses_bad_layouts),
	    T(chain_gives_segments_in_order),
	    T(ring_wraps_around),
	    T(loops_are_rejected),
	    T(bad_descriptors_are_rejected),
	    T(chain_bytes_are_bounded),
	    T(indirect_tables_are_checked),
	    T(avail_index_that_jumps_is_refused),
	    T(in_flight_never_exceeds_the_size),
	    T(a_full_ring_of_bad_chains_ends),
	    T(interrupts_follow_the_guests_wish),
	    T(event_index_decides_about_notifications),
	    T(a_disabled_queue_does_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
