/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel needs from the machine. In the guest: kernel/entry/. In unit tests on the host:
 * tests/unit/kernel_host.c. Nothing else in kernel/ contains assembler or knows of the gate.
 */
#ifndef NUCLEO_ARCH_H
#define NUCLEO_ARCH_H

#include "kernel/kernel.h"

/* A program's registers as saved on entry, at the top of the thread's kernel stack. */
struct regs {
	uint64_t r15, r14, r13, r12, rbp, rbx;
	uint64_t r11, r10, r9, r8;
	uint64_t rax, rcx, rdx, rsi, rdi;
	uint64_t orig_rax; /* system call number, or ~0 if not in a system call */
	uint64_t rip, rflags, rsp;
	uint64_t full; /* nonzero: every register must be restored (signal, exception, pre-emption) */
};

/* The running thread and the vCPU it runs on. */
struct thread *arch_current(void);
#define current arch_current()
void arch_set_current(struct thread *thread); /* sched_init_cpu()'s: the calling context is that thread's */
unsigned arch_cpu_index(void);
/* vCPUs that run (started and not only configured). */
unsigned arch_cpu_count(void);

/* ---- physical memory ---- */
#ifdef NUCLEO_HOST
extern uint8_t *nucleo_host_ram; /* the unit test's memory, gpa 0 */
static inline void *arch_phys_to_virt(uint64_t gpa) { return nucleo_host_ram + gpa; }
static inline uint64_t arch_virt_to_phys(const void *va) { return (uint64_t)((const uint8_t *)va - nucleo_host_ram); }
extern uint8_t *nucleo_host_image;
static inline void *arch_image(void) { return nucleo_host_image; }
static inline bool arch_in_image(const void *va)
{
	return (uint64_t)va - (uint64_t)nucleo_host_image < boot_info->image_bytes;
}
#else
static inline void *arch_phys_to_virt(uint64_t gpa) { return (void *)(LAMPO_VA_DIRECT + gpa); }
static inline uint64_t arch_virt_to_phys(const void *va) { return (uint64_t)va - LAMPO_VA_DIRECT; }
/* The image (kernel/mm/image.h): nothing else of the memory that has pages lies above. */
static inline void *arch_image(void) { return (void *)LAMPO_VA_IMAGE; }
static inline bool arch_in_image(const void *va) { return (uint64_t)va >= LAMPO_VA_IMAGE; }
#endif

/* ---- address translation ---- */
/* Makes the top-level table the current vCPU's. Cheap if it is already. */
void arch_load_page_table(uint64_t pml4_gpa);
/* After entries were removed or lost rights: no vCPU that uses this table may have a stale
 * translation when the call returns. bytes = ~0: everything. Costs 20 us or more: batch. Entries
 * that became present or gained rights need none. */
void arch_tlb_flush(struct mm *mm, uint64_t va, uint64_t bytes);
/* After program code in memory was changed by the kernel or new executable pages appeared. */
void arch_code_changed(struct mm *mm, uint64_t va, uint64_t bytes);

/* ---- threads ---- */
#define KERNEL_STACK_BYTES 16384u
/* Prepares a new thread's kernel stack such that the first switch to it continues in a program with
 * `regs` (copied), or, with regs = NULL, calls entry(arg) in the kernel (which must not return). */
void arch_thread_prepare(struct thread *thread, const struct regs *regs, void (*entry)(void *), void *arg);
/* Saves the running context into `from` and goes on with `to`: kernel stack, FS base, FPU state. */
void arch_switch(struct thread *from, struct thread *to);
/* Initial FPU state into thread's save area (exec), or a copy of the current one (clone). */
void arch_fpu_init(struct thread *thread);
void arch_fpu_copy(struct thread *to);
/* The current program's FPU state to and from memory, XSAVE format, for signal frames. The buffers
 * are kernel memory, 64-byte aligned, boot_info->xsave_bytes long. load: -EINVAL if malformed. */
void arch_fpu_save(void *area);
int arch_fpu_load(const void *area);
void arch_set_fs_base(struct thread *thread, uint64_t base); /* current thread: at once */
struct regs *arch_thread_regs(struct thread *thread);

/* ---- waiting and the monitor ---- */
/* Sleep until an interrupt or the time (guest CLOCK_MONOTONIC, ~0: none); lock dropped meanwhile. */
void arch_halt(uint64_t deadline_ns);
/* Make another vCPU look at its run queue and pending work. */
void arch_kick(unsigned cpu);
/* An interrupt on this vCPU at that time, for pre-emption and timers while a program runs; ~0: none.
 * Remembers what is armed: calling it again with a later or equal time costs nothing. */
void arch_timer_arm(uint64_t deadline_ns);
/* Starts a further vCPU if there is one configured that does not run yet. */
void arch_start_cpu(void);
/* Rings a doorbell (include/abi/doorbell.h). The second form drops the kernel lock meanwhile. */
void arch_doorbell(unsigned port, uint32_t value);
void arch_doorbell_mailbox(unsigned port, uint64_t a, uint64_t b);
void arch_doorbell_sleeping(unsigned port, uint32_t value);
/* LAMPO_PORT_VERIFY. */
void arch_verify_image(uint64_t block, unsigned count, uint64_t ahead);
/* LAMPO_PORT_COPY. */
void arch_copy_image(uint64_t block, const uint64_t *list, unsigned count);
uint64_t arch_tsc(void);
void arch_random(void *to, size_t n);    /* from the boot seed and the virtio-rng (kernel/virtio/rng.c) */
void arch_report_counts(void);           /* --counts: a line about the ways into the kernel */
_Noreturn void arch_exit(uint32_t code); /* LAMPO_PORT_EXIT */

#endif
