/* SPDX-License-Identifier: Apache-2.0 */
/* Threads as the CPU sees them: stacks, FS base, FPU state (kernel/arch.h). */
#include <asm/errno.h>

#include "kernel/entry/entry.h"
#include "kernel/entry/lock.h"
#include "kernel/entry/machine.h"
#include "kernel/mm/mm.h"
#include "kernel/proc/process.h"

void entry_switch_stacks(uint64_t *save, uint64_t load);
extern char entry_thread_start[];

/* XSAVE area, Intel SDM volume 1, 13.4: the legacy region's first words, then the header at 512. */
#define XSAVE_FCW 0u
#define XSAVE_MXCSR 24u
#define XSAVE_HEADER 512u
#define FCW_INIT 0x37fu
#define MXCSR_INIT 0x1f80u
#define MXCSR_MASK 0xffffu

static void xsave(void *area)
{
	__asm__ volatile("xsave64 (%0)"
			 :
			 : "r"(area), "a"((uint32_t)boot_info->xcr0), "d"((uint32_t)(boot_info->xcr0 >> 32))
			 : "memory");
}

static void xrstor(const void *area)
{
	__asm__ volatile("xrstor64 (%0)"
			 :
			 : "r"(area), "a"((uint32_t)boot_info->xcr0), "d"((uint32_t)(boot_info->xcr0 >> 32))
			 : "memory");
}

static uint64_t read_fs_base(void)
{
	uint64_t base;

	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static void write_fs_base(uint64_t base) { __asm__ volatile("wrfsbase %0" : : "r"(base)); }

struct regs *arch_thread_regs(struct thread *thread)
{
	return (struct regs *)(thread->kernel_stack_top - sizeof(struct regs));
}

/* What entry_switch_stacks pops. */
struct switch_frame {
	uint64_t r15, r14, r13, r12, rbx, rbp, rip;
};

void arch_thread_prepare(struct thread *thread, const struct regs *regs, void (*entry)(void *), void *arg)
{
	struct regs *top = arch_thread_regs(thread);
	/* entry_thread_start expects an aligned stack. */
	struct switch_frame *frame = (struct switch_frame *)((uint64_t)top - 64 - sizeof(*frame));

	if (regs != NULL)
		*top = *regs;
	*frame =
	    (struct switch_frame){.r12 = (uint64_t)entry, .r13 = (uint64_t)arg, .rip = (uint64_t)entry_thread_start};
	thread->kernel_rsp = (uint64_t)frame;
}

/* The frames through which the gate enters the kernel are the vCPU's and do not name a stack: the
 * entry code takes it from the vCPU page. */
static void become(struct cpu *cpu, struct thread *thread)
{
	cpu->thread = thread;
	cpu->kernel_stack = thread->kernel_stack_top;
}

void arch_switch(struct thread *from, struct thread *to)
{
	struct cpu *cpu = cpu_self();

	if (from->xsave != NULL) {
		xsave(from->xsave);
		from->fs_base = read_fs_base();
	}
	if (to->xsave != NULL) {
		if (to->process != NULL && to->process->mm != NULL)
			arch_load_page_table(to->process->mm->pml4_gpa);
		xrstor(to->xsave);
		write_fs_base(to->fs_base);
	}
	become(cpu, to);
	entry_switch_stacks(&from->kernel_rsp, to->kernel_rsp);
}

void arch_fpu_init(struct thread *thread)
{
	uint8_t *area = thread->xsave;

	memset(area, 0, boot_info->xsave_bytes);
	*(uint16_t *)(area + XSAVE_FCW) = FCW_INIT;
	*(uint32_t *)(area + XSAVE_MXCSR) = MXCSR_INIT;
	if (thread == current)
		xrstor(area);
}

void arch_fpu_copy(struct thread *to) { xsave(to->xsave); }

void arch_fpu_save(void *area) { xsave(area); }

int arch_fpu_load(const void *area)
{
	const uint8_t *bytes = area;
	const uint64_t *header = (const uint64_t *)(bytes + XSAVE_HEADER);

	/* What xrstor would fault on: unknown features, compaction, reserved bits (SDM volume 1, 13.8.1). */
	if ((header[0] & ~boot_info->xcr0) != 0 || (*(const uint32_t *)(bytes + XSAVE_MXCSR) & ~MXCSR_MASK) != 0)
		return -EINVAL;
	for (unsigned i = 1; i < 8; i++) {
		if (header[i] != 0)
			return -EINVAL;
	}
	xrstor(area);
	return 0;
}

void arch_set_fs_base(struct thread *thread, uint64_t base)
{
	thread->fs_base = base;
	if (thread == current)
		write_fs_base(base);
}
