/* SPDX-License-Identifier: Apache-2.0 */
/* The vCPU, address translation and the monitor (kernel/arch.h). */
#include "kernel/entry/machine.h"

#include "abi/doorbell.h"
#include "kernel/entry/lock.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"

/* Beyond this many pages one reload of CR3 is cheaper than invlpg for each. */
#define INVLPG_PAGES_MAX 2u
#define SPINS_BEFORE_YIELD 4000u

struct cpu *cpus[LAMPO_CPUS_MAX];
static unsigned running_cpus = 1;

/* Privileged operations, done by the gate on int3 (kernel/gate/gate.S). */
static void gate_load_cr3(uint64_t pml4_gpa) { __asm__ volatile("int3" : : "D"(pml4_gpa), "a"(0) : "memory"); }
static void gate_invlpg(uint64_t va) { __asm__ volatile("int3" : : "D"(va), "a"(1) : "memory"); }

extern char entry_syscall[], entry_page_fault[], entry_irq[], entry_exception[], entry_breakpoint[];

static void set_frame(struct cpu *cpu, unsigned ist, const char *rip)
{
	struct iret_frame *frame = (struct iret_frame *)((char *)cpu + IST_TOP(ist));

	*frame = (struct iret_frame){(uint64_t)rip, SEL_UCODE, 0x202, cpu->kernel_stack, SEL_UDATA};
}

void machine_init_cpu(struct cpu *cpu, uint64_t stack_top)
{
	cpu->kernel_stack = stack_top;
	cpu->frame_pointer = &cpu->syscall_frame;
	cpu->syscall_frame = (struct iret_frame){(uint64_t)entry_syscall, SEL_UCODE, 0x202, stack_top, SEL_UDATA};
	set_frame(cpu, IST_PAGE_FAULT, entry_page_fault);
	set_frame(cpu, IST_IRQ, entry_irq);
	set_frame(cpu, IST_EXCEPTION, entry_exception);
	set_frame(cpu, IST_BREAKPOINT, entry_breakpoint);
	cpu->timer_ns = UINT64_MAX;
	cpu->pml4_gpa = boot_info->pml4_gpa;
}

struct thread *arch_current(void)
{
	struct thread *thread;

	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(thread) : "i"(CPU_CURRENT));
	return thread;
}

void arch_set_current(struct thread *thread) { cpu_self()->thread = thread; }

unsigned arch_cpu_index(void) { return cpu_self()->head.index; }
unsigned arch_cpu_count(void) { return running_cpus; }

uint64_t arch_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* ---- doorbells ---- */

void arch_doorbell(unsigned port, uint32_t value) { machine_ring(port, value); }

void arch_doorbell_mailbox(unsigned port, uint64_t a, uint64_t b)
{
	struct cpu *cpu = cpu_self();

	cpu->head.mailbox[0] = a;
	cpu->head.mailbox[1] = b;
	machine_ring(port, 0);
}

void arch_verify_image(uint64_t block, unsigned count, uint64_t ahead)
{
	cpu_self()->head.mailbox[2] = ahead;
	arch_doorbell_mailbox(LAMPO_PORT_VERIFY, block, count);
}

void arch_copy_image(uint64_t block, const uint64_t *list, unsigned count)
{
	cpu_self()->head.mailbox[2] = count;
	arch_doorbell_mailbox(LAMPO_PORT_COPY, block, arch_virt_to_phys(list));
}

void arch_doorbell_sleeping(unsigned port, uint32_t value)
{
	struct cpu *cpu = cpu_self();

	if (running_cpus == 1) {
		machine_ring(port, value);
		return;
	}
	__atomic_store_n(&cpu->outside, 1, __ATOMIC_SEQ_CST);
	kernel_unlock();
	machine_ring(port, value);
	kernel_lock();
	__atomic_store_n(&cpu->outside, 0, __ATOMIC_SEQ_CST);
}

void arch_halt(uint64_t deadline_ns)
{
	struct cpu *cpu = cpu_self();

	__atomic_store_n(&cpu->outside, 1, __ATOMIC_SEQ_CST);
	kernel_unlock();
	cpu->head.deadline_ns = deadline_ns;
	machine_ring(LAMPO_PORT_HALT, 0);
	cpu->timer_ns = UINT64_MAX; /* the monitor has one deadline a vCPU */
	kernel_lock();
	__atomic_store_n(&cpu->outside, 0, __ATOMIC_SEQ_CST);
	cpu->head.pending = 0;
}

void arch_kick(unsigned cpu) { machine_ring(LAMPO_PORT_KICK, cpu); }

void arch_timer_arm(uint64_t deadline_ns)
{
	struct cpu *cpu = cpu_self();

	if (cpu->timer_ns <= deadline_ns)
		return;
	cpu->timer_ns = deadline_ns;
	cpu->head.deadline_ns = deadline_ns;
	machine_ring(LAMPO_PORT_TIMER, 0);
}

void arch_exit(uint32_t code)
{
	machine_ring(LAMPO_PORT_EXIT, code);
	for (;;)
		machine_ring(LAMPO_PORT_HALT, 0);
}

void arch_start_cpu(void)
{
	if (running_cpus >= boot_info->cpu_count)
		return;
	uint8_t *stack = pages_alloc(2);
	if (stack == NULL)
		return;
	struct cpu *cpu = cpus[running_cpus];
	machine_init_cpu(cpu, (uint64_t)stack + KERNEL_STACK_BYTES);
	cpu->started = 1;
	machine_ring(LAMPO_PORT_START_CPU, running_cpus++);
}

/* ---- address translation ---- */

void arch_load_page_table(uint64_t pml4_gpa)
{
	struct cpu *cpu = cpu_self();

	if (cpu->pml4_gpa == pml4_gpa)
		return;
	cpu->pml4_gpa = pml4_gpa;
	gate_load_cr3(pml4_gpa);
}

static void flush_local(const struct cpu *cpu, uint64_t va, uint64_t bytes)
{
	if (bytes > INVLPG_PAGES_MAX * PAGE_SIZE) {
		gate_load_cr3(cpu->pml4_gpa);
		return;
	}
	for (uint64_t page = va & PAGE_MASK; page < va + bytes; page += PAGE_SIZE)
		gate_invlpg(page);
}

void machine_serve_flush(void)
{
	struct cpu *cpu = cpu_self();
	uint32_t wanted = __atomic_load_n(&cpu->flush, __ATOMIC_ACQUIRE);

	if (likely(wanted == cpu->flushed))
		return;
	gate_load_cr3(cpu->pml4_gpa);
	/* What was asked for meanwhile stays to be done. */
	__atomic_store_n(&cpu->flushed, wanted, __ATOMIC_RELEASE);
}

/* Does the vCPU have stale translations that a program may be using? One outside serves the request when
 * it takes the kernel lock. */
static bool flush_awaited(const struct cpu *cpu)
{
	return __atomic_load_n(&cpu->flushed, __ATOMIC_ACQUIRE) != cpu->flush &&
	       __atomic_load_n(&cpu->outside, __ATOMIC_SEQ_CST) == 0;
}

/* Asks every other vCPU to come through the kernel and drop its translations, and waits for those that
 * may be running a program. */
static void flush_others(const struct mm *mm)
{
	unsigned self = arch_cpu_index(), spins = 0;

	for (unsigned i = 0; i < running_cpus; i++) {
		if (i == self || (mm != NULL && cpus[i]->pml4_gpa != mm->pml4_gpa))
			continue;
		__atomic_store_n(&cpus[i]->flush, cpus[i]->flush + 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&cpus[i]->outside, __ATOMIC_SEQ_CST) == 0)
			arch_kick(i);
	}
	for (unsigned i = 0; i < running_cpus; i++) {
		while (i != self && flush_awaited(cpus[i])) {
			__builtin_ia32_pause();
			/* The host may have stopped the other one. */
			if (++spins == SPINS_BEFORE_YIELD) {
				machine_ring(LAMPO_PORT_YIELD, 0);
				spins = 0;
			}
		}
	}
}

void arch_tlb_flush(struct mm *mm, uint64_t va, uint64_t bytes)
{
	struct cpu *cpu = cpu_self();

	if (cpu->pml4_gpa == mm->pml4_gpa)
		flush_local(cpu, va, bytes);
	if (running_cpus > 1)
		flush_others(mm);
}

void arch_code_changed(struct mm *mm, uint64_t va, uint64_t bytes)
{
	/* x86 keeps instruction fetches coherent with stores to the same linear address; here the store
	 * went through another one: the other vCPUs must serialise, which coming through the kernel does. */
	(void)va;
	(void)bytes;
	if (running_cpus > 1)
		flush_others(mm);
}
