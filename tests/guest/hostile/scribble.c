/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that attacks its monitor: in its VM it can reach the kernel's memory, the virtqueues, the boot page, the
 * device registers and the doorbells, and it writes nonsense into all of them. Whatever comes of the VM, the monitor
 * must live on, or end with one clear line. See tests/e2e/vm/test_hostile.py.
 *
 * Usage: scribble ram|boot|queues|registers|doorbells|all SEED
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "include/abi/boot.h"
#include "include/abi/doorbell.h"

#define BOOT_SEARCH (16ull << 20)

static uint64_t state;
static sigjmp_buf go_on;
static volatile long faults, attacks;

/* An attack that faults is over; the next one begins. */
static void on_fault(int sig)
{
	(void)sig;
	if (++faults > 2000)
		_exit(4);
	siglongjmp(go_on, 1);
}
static volatile struct lampo_boot_info *boot;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dull;
}

/* A number that somebody forgot to check. */
static uint64_t nasty(void)
{
	static const uint64_t values[] = {0,
					  1,
					  2,
					  15,
					  16,
					  17,
					  4095,
					  4096,
					  0x7fff,
					  0x8000,
					  0xffff,
					  0x10000,
					  0x7fffffff,
					  0x80000000,
					  0xffffffff,
					  0x100000000,
					  LAMPO_GPA_MMIO,
					  LAMPO_GPA_KERNEL,
					  0x7fffffffffffffff,
					  0x8000000000000000,
					  ~0ull,
					  ~0ull - 4095,
					  ~0ull - 15};
	uint64_t r = next();

	switch (r & 3) {
	case 0:
		return values[(r >> 8) % (sizeof(values) / sizeof(values[0]))];
	case 1:
		return values[(r >> 8) % (sizeof(values) / sizeof(values[0]))] + (r >> 40) % 33 - 16;
	case 2:
		return boot != NULL ? boot->ram_bytes + (r >> 40) % 8193 - 4096 : r;
	default:
		return r >> (r >> 58);
	}
}

static void *at_gpa(uint64_t gpa) { return (void *)(LAMPO_VA_DIRECT + gpa); }

static void boot_find(void)
{
	for (uint64_t gpa = 0; gpa < BOOT_SEARCH; gpa += 4096) {
		struct lampo_boot_info *b = at_gpa(gpa);
		if (b->magic == LAMPO_BOOT_MAGIC && b->abi_version == LAMPO_ABI_VERSION) {
			boot = b;
			return;
		}
	}
	fprintf(stderr, "no boot information found\n");
	exit(3);
}

static void register_write(unsigned device, unsigned offset, uint32_t value, unsigned width)
{
	uintptr_t at = LAMPO_VA_MMIO + (uintptr_t)device * LAMPO_MMIO_STRIDE + offset;

	if (width == 1)
		*(volatile uint8_t *)at = (uint8_t)value;
	else if (width == 2)
		*(volatile uint16_t *)at = (uint16_t)value;
	else if (width == 4)
		*(volatile uint32_t *)at = value;
	else
		*(volatile uint64_t *)at = value | (uint64_t)value << 32;
}

static void registers(void)
{
	for (int i = 0; i < 40; i++) {
		uint64_t r = next();
		unsigned offset = (r & 1) ? (unsigned)(r >> 8) % 0x1000 : (unsigned)(r >> 8) % 0x40 * 4;
		unsigned width = 1u << ((r >> 4) & 3);
		if (offset + width > LAMPO_MMIO_STRIDE)
			offset = 0;
		unsigned device = (unsigned)((r >> 32) % (boot->device_count + 1u));
		if (r & 2)
			register_write(device, offset, (uint32_t)nasty(), width);
		else
			(void)*(volatile uint32_t *)(LAMPO_VA_MMIO + (uintptr_t)device * LAMPO_MMIO_STRIDE +
						     (offset & ~3u));
	}
}

static void notify(unsigned device, unsigned queue) { register_write(device, 0x50, queue, 4); }

struct descriptor {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static void queues(void)
{
	for (int i = 0; i < 4; i++) {
		unsigned d = (unsigned)(next() % (boot->device_count ? boot->device_count : 1));
		unsigned q = (unsigned)(next() % LAMPO_QUEUES_MAX);
		volatile struct lampo_boot_queue *bq = &boot->devices[d % LAMPO_DEVICES_MAX].queues[q];
		uint32_t size = bq->size;
		if (size == 0 || size > 32768)
			continue;
		volatile struct descriptor *desc = at_gpa(bq->desc_gpa);
		volatile uint16_t *avail = at_gpa(bq->avail_gpa);
		volatile uint16_t *used = at_gpa(bq->used_gpa);
		uint64_t kind = next() % 6;
		for (uint32_t n = 0; n < size; n++) {
			desc[n].addr = kind == 0 ? 0x1000 * (next() % 4096) : nasty();
			desc[n].len = (uint32_t)(kind == 1 ? next() % 128 : nasty());
			desc[n].flags = (uint16_t)(kind == 2 ? 1 : next() & 7);
			desc[n].next = (uint16_t)(kind == 3 ? n : kind == 4 ? (n + 1) % size : next() % (size + 2));
			avail[2 + n] = (uint16_t)(kind == 5 ? nasty() : next() % size);
		}
		avail[0] = (uint16_t)next();
		avail[1] = (uint16_t)(next() & 1 ? avail[1] + 1 + next() % 4 : nasty());
		if (next() % 4 == 0)
			used[1] = (uint16_t)nasty();
		notify(d, q);
	}
}

static void boot_page(void)
{
	volatile uint8_t *bytes = (volatile uint8_t *)boot;

	for (int i = 0; i < 40; i++) {
		uint64_t at = next() % (sizeof(*boot) + 64);
		uint64_t value = nasty();
		/* Keep what we need ourselves to find our way. */
		if (at >= offsetof(struct lampo_boot_info, devices) && next() % 8 != 0)
			continue;
		for (unsigned n = 0; n < 8; n++)
			bytes[(at & ~7ull) + n] = (uint8_t)(value >> 8 * n);
	}
}

static void doorbells(void)
{
	static const unsigned numbers[] = {LAMPO_PORT_NOTIFY,
					   LAMPO_PORT_KICK,
					   LAMPO_PORT_TIMER,
					   LAMPO_PORT_START_CPU,
					   LAMPO_PORT_POPULATE,
					   LAMPO_PORT_RELEASE,
					   LAMPO_PORT_YIELD,
					   LAMPO_PORT_LOG,
					   0x500,
					   0x53c,
					   0xffc};
	uintptr_t page = LAMPO_VA_MMIO + (LAMPO_GPA_DOORBELL - LAMPO_GPA_MMIO);

	for (int i = 0; i < 15; i++) {
		struct lampo_cpu_head *cpu = at_gpa(boot->cpu_pages % (boot->ram_bytes ? boot->ram_bytes : 4096));
		unsigned number = numbers[next() % (sizeof(numbers) / sizeof(numbers[0]))];
		if (next() & 1) {
			cpu->mailbox[0] = nasty();
			cpu->mailbox[1] = nasty();
			cpu->deadline_ns = nasty();
		}
		*(volatile uint32_t *)(page + number) = (uint32_t)nasty();
	}
}

static void ram(void)
{
	uint64_t words = boot->ram_bytes / 8;

	for (int i = 0; i < 1000; i++)
		*(volatile uint64_t *)at_gpa(next() % words * 8) = nasty();
}

/* Changes rings and boot page all the time, while the main thread knocks. */
static void *change_live(void *arg)
{
	uint64_t own = (uintptr_t)arg;

	for (;;) {
		own = own * 6364136223846793005ull + 1442695040888963407ull;
		unsigned d = (unsigned)(own >> 33) % LAMPO_DEVICES_MAX, q = (unsigned)(own >> 40) % LAMPO_QUEUES_MAX;
		volatile struct lampo_boot_queue *bq = &boot->devices[d].queues[q];
		if (bq->size == 0 || bq->size > 32768 || bq->desc_gpa > boot->ram_bytes)
			continue;
		volatile struct descriptor *desc = at_gpa(bq->desc_gpa);
		desc[(own >> 20) % bq->size].len = (uint32_t)(own >> 16);
		desc[(own >> 21) % bq->size].addr = own;
		((volatile uint16_t *)at_gpa(bq->avail_gpa))[1] += 1;
	}
	return arg;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	const char *what = argv[1];
	bool all = strcmp(what, "all") == 0;
	state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ull + 1;
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &(struct sigaction){.sa_handler = on_fault, .sa_flags = SA_NODEFER}, NULL);
	boot_find();
	printf("attacks\n");
	fflush(stdout);
	if (all) {
		pthread_t t;
		pthread_create(&t, NULL, change_live, (void *)(uintptr_t)state);
	}
	for (volatile int round = 0; round < 400; round++) {
		if (sigsetjmp(go_on, 1) != 0)
			continue;
		attacks++;
		if (strcmp(what, "registers") == 0 || (all && round % 4 == 0))
			registers();
		if (strcmp(what, "queues") == 0 || (all && round % 4 == 1))
			queues();
		if (strcmp(what, "doorbells") == 0 || (all && round % 4 == 2))
			doorbells();
		if (strcmp(what, "boot") == 0 || (all && round % 4 == 3))
			boot_page();
		if (strcmp(what, "ram") == 0)
			ram();
	}
	printf("%ld attacks, %ld faults\n", attacks, faults);
	return 0;
}
