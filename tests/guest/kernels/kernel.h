/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the test kernels share: image header, gate, doorbells. A kernel is one file that includes this
 * and defines kernel_main(); it runs in ring 3 with one page of stack per vCPU.
 */
#ifndef LAMPO_TEST_KERNEL_H
#define LAMPO_TEST_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/abi/boot.h"
#include "include/abi/doorbell.h"

void kernel_main(struct lampo_boot_info *boot, uint32_t cpu);
void start(void);
void gate_fault(void);
void gate_irq(void);
extern volatile uint64_t interrupts;

volatile uint64_t interrupts = 1; /* in .data, not .bss: so that both are there */
char stacks[LAMPO_CPUS_MAX][8192] __attribute__((aligned(16)));

__asm__(".text\n"
	".globl start, gate_fault, gate_irq\n"
	"start:\n"
	"	lea stacks(%rip), %rsp\n"
	"	lea 1(%rsi), %rax\n"
	"	shl $13, %rax\n"
	"	add %rax, %rsp\n"
	"	call kernel_main\n"
	"	ud2\n"
	"gate_irq:\n"
	"	incq interrupts(%rip)\n"
	"	movl $0, %gs:20\n" /* irq_busy */
	"	iretq\n"
	/* Any fault: a panic without a text. */
	"gate_fault:\n"
	"	mov $0x524, %edx\n"
	"	out %eax, %dx\n"
	"	jmp gate_fault\n");

#define GATE(handler, number, privilege)                                                                               \
	{                                                                                                              \
		.va = (uint64_t)(handler), .vector = (number), .ist = 1, .dpl = (privilege)                            \
	}

__attribute__((section(".header"), used)) static const struct lampo_image_header image_header = {
    .magic = LAMPO_IMAGE_MAGIC,
    .abi_version = LAMPO_ABI_VERSION,
#ifdef KERNEL_NO_FAULT_GATES
    .gate_count = 1,
#else
    .gate_count = 5,
#endif
    .entry = (uint64_t)start,
    .syscall_entry = (uint64_t)gate_fault,
    .gates =
	{
	    GATE(gate_irq, LAMPO_VECTOR_IRQ, 0),
	    GATE(gate_fault, 6, 0),
	    GATE(gate_fault, 8, 0),
	    GATE(gate_fault, 13, 0),
	    GATE(gate_fault, 14, 0),
	},
};

static inline void doorbell(uint32_t port, uint32_t argument)
{
	__asm__ volatile("movl %0, (%1)"
			 :
			 : "r"(argument), "r"(LAMPO_VA_MMIO + (LAMPO_GPA_DOORBELL - LAMPO_GPA_MMIO) + port)
			 : "memory");
}

static inline void *direct(uint64_t gpa) { return (void *)(LAMPO_VA_DIRECT + gpa); }

static inline uint64_t tsc(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static inline struct lampo_cpu_head *cpu_head(void)
{
	struct lampo_cpu_head *head;
	__asm__ volatile("mov %%gs:0, %0" : "=r"(head));
	return head;
}

/* xorshift: the same numbers in each run. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline _Noreturn void kernel_exit(uint32_t code)
{
	for (;;)
		doorbell(LAMPO_PORT_EXIT, code);
}

static inline uint64_t now_ns(const struct lampo_boot_info *boot)
{
	return boot->monotonic_ns + (tsc() - boot->tsc_base) * 1000000 / boot->tsc_khz;
}

/* ---- console output ---------------------------------------------------------------------------- */

struct descriptor {
	uint64_t gpa;
	uint32_t bytes;
	uint16_t flags, next;
};

struct ring {
	uint16_t flags, index, entries[];
};

static inline void console_write(struct lampo_boot_info *boot, const char *text)
{
	const struct lampo_boot_queue *queue = &boot->devices[0].queues[1];
	struct descriptor *descriptors = direct(queue->desc_gpa);
	struct ring *available = direct(queue->avail_gpa);
	volatile struct ring *used = direct(queue->used_gpa);
	char *buffer = direct(boot->free_gpa);
	uint32_t bytes = 0;
	for (; text[bytes] != '\0'; bytes++)
		buffer[bytes] = text[bytes];
	descriptors[0] = (struct descriptor){.gpa = boot->free_gpa, .bytes = bytes};
	available->entries[available->index % queue->size] = 0;
	__asm__ volatile("" ::: "memory");
	available->index++;
	doorbell(LAMPO_PORT_NOTIFY, 0 << 16 | 1);
	while (used->index != available->index)
		__asm__ volatile("pause");
}

static inline void number_write(struct lampo_boot_info *boot, const char *name, uint64_t value)
{
	char text[96], digits[24];
	unsigned n = 0, d = 0;
	while (*name != '\0')
		text[n++] = *name++;
	text[n++] = ' ';
	do {
		digits[d++] = (char)('0' + value % 10);
	} while ((value /= 10) != 0);
	while (d > 0)
		text[n++] = digits[--d];
	text[n++] = '\n';
	text[n] = '\0';
	console_write(boot, text);
}

#endif
