/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signal frames, as Linux lays them on the program's stack (x86-64: struct rt_sigframe, with the FPU
 * state in XSAVE format behind it; sigaction(2), sigreturn(2), <asm/sigcontext.h>).
 */
#include <linux/signal.h>

#include <asm/sigcontext.h>
#include <asm/ucontext.h>

#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/proc/signal.h"

#define RED_ZONE 128u
#define XSAVE_LEGACY 512u
#define XSAVE_HEADER 64u
#define SELECTOR_CODE 0x33u
#define SELECTOR_DATA 0x2bu
/* CF PF AF ZF SF TF DF OF RF AC: what a program may set. */
#define RFLAGS_PROGRAM 0x50dd5ull
#define RFLAGS_CLEARED (0x400ull | 0x100ull | 0x10000ull) /* DF, TF, RF: clear in a handler */

struct signal_frame {
	uint64_t return_address;
	struct ucontext context;
	siginfo_t info;
};
_Static_assert(sizeof(struct signal_frame) == 440 && offsetof(struct ucontext, uc_sigmask) == 296, "Linux's layout");
_Static_assert(offsetof(struct _fpstate, sw_reserved) == 464, "Linux's layout");

bool signal_on_altstack(const stack_t *stack, uint64_t rsp)
{
	uint64_t start = (uint64_t)stack->ss_sp;

	if ((stack->ss_flags & (int)(SS_AUTODISARM | SS_DISABLE)) != 0)
		return false;
	return rsp > start && rsp - start <= stack->ss_size;
}

/* The FPU state goes to the top, aligned for XSAVE, followed by a magic word. */
static uint64_t fpu_bytes(void) { return boot_info->xsave_bytes + FP_XSTATE_MAGIC2_SIZE; }

/* Where the frame lies; false if the alternate stack is too small for it. */
static bool frame_place(const struct regs *regs, const struct k_sigaction *action, uint64_t *frame, uint64_t *fpu)
{
	const struct thread *thread = current;
	bool nested = signal_on_altstack(&thread->altstack, regs->rsp);
	bool enter = (action->flags & SA_ONSTACK) != 0 && !nested && (thread->altstack.ss_flags & SS_DISABLE) == 0;
	uint64_t top = regs->rsp - RED_ZONE;

	if (enter)
		top = (uint64_t)thread->altstack.ss_sp + thread->altstack.ss_size;
	*fpu = align_down(top - fpu_bytes(), 64);
	/* As after a call: 16-byte aligned but for the return address. */
	*frame = align_down(*fpu - sizeof(struct signal_frame), 16) - 8;
	if (enter || nested)
		return *frame > (uint64_t)thread->altstack.ss_sp && *frame < top;
	return *frame < regs->rsp;
}

static void fpu_push(uint8_t *area)
{
	struct _fpx_sw_bytes software = {
	    .magic1 = FP_XSTATE_MAGIC1,
	    .extended_size = (uint32_t)fpu_bytes(),
	    .xfeatures = boot_info->xcr0,
	    .xstate_size = (uint32_t)boot_info->xsave_bytes,
	};
	uint32_t magic2 = FP_XSTATE_MAGIC2;
	uint64_t features;

	/* XSAVE leaves the reserved part of its header alone; XRSTOR wants it zero. */
	memset(area + XSAVE_LEGACY, 0, XSAVE_HEADER);
	arch_fpu_save(area);
	/* A handler may change x87 and SSE state in place: it counts even if it was in its initial state. */
	memcpy(&features, area + XSAVE_LEGACY, sizeof(features));
	features |= 3;
	memcpy(area + XSAVE_LEGACY, &features, sizeof(features));
	memcpy(area + offsetof(struct _fpstate, sw_reserved), &software, sizeof(software));
	memcpy(area + boot_info->xsave_bytes, &magic2, sizeof(magic2));
}

static void context_push(struct sigcontext *c, const struct regs *regs, uint64_t mask)
{
	const struct thread *thread = current;

	memset(c, 0, sizeof(*c));
	c->r8 = regs->r8;
	c->r9 = regs->r9;
	c->r10 = regs->r10;
	c->r11 = regs->r11;
	c->r12 = regs->r12;
	c->r13 = regs->r13;
	c->r14 = regs->r14;
	c->r15 = regs->r15;
	c->rdi = regs->rdi;
	c->rsi = regs->rsi;
	c->rbp = regs->rbp;
	c->rbx = regs->rbx;
	c->rdx = regs->rdx;
	c->rax = regs->rax;
	c->rcx = regs->rcx;
	c->rsp = regs->rsp;
	c->rip = regs->rip;
	c->eflags = regs->rflags;
	c->cs = SELECTOR_CODE;
	c->ss = SELECTOR_DATA;
	c->err = thread->fault.error;
	c->trapno = thread->fault.trap;
	c->oldmask = mask;
	c->cr2 = thread->fault.trap == 14 ? thread->fault.address : 0;
}

int signal_frame_push(struct regs *regs, int signal, const struct k_sigaction *action, const siginfo_t *info,
		      uint64_t mask)
{
	struct thread *thread = current;
	uint64_t frame_va, fpu_va;

	if ((action->flags & SA_RESTORER) == 0)
		return -EFAULT;
	if (!frame_place(regs, action, &frame_va, &fpu_va) ||
	    user_prepare(frame_va, fpu_va + fpu_bytes() - frame_va, true) != 0)
		return -EFAULT;
	/* The pages are there until the lock is dropped: written in place. */
	struct signal_frame *frame = (struct signal_frame *)frame_va;
	frame->return_address = action->restorer;
	frame->context.uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	frame->context.uc_link = NULL;
	frame->context.uc_stack = thread->altstack;
	context_push(&frame->context.uc_mcontext, regs, mask);
	frame->context.uc_mcontext.fpstate = (struct _fpstate *)fpu_va;
	frame->context.uc_sigmask = mask;
	frame->info = *info;
	fpu_push((uint8_t *)fpu_va);
	if ((thread->altstack.ss_flags & (int)SS_AUTODISARM) != 0)
		thread->altstack = (stack_t){.ss_flags = SS_DISABLE};

	regs->rdi = (uint64_t)signal;
	regs->rsi = frame_va + offsetof(struct signal_frame, info);
	regs->rdx = frame_va + offsetof(struct signal_frame, context);
	regs->rax = 0;
	regs->rip = action->handler;
	regs->rsp = frame_va;
	regs->rflags &= ~RFLAGS_CLEARED;
	regs->full = 1;
	return 0;
}

static void context_pop(struct regs *regs, const struct sigcontext *c)
{
	regs->r8 = c->r8;
	regs->r9 = c->r9;
	regs->r10 = c->r10;
	regs->r11 = c->r11;
	regs->r12 = c->r12;
	regs->r13 = c->r13;
	regs->r14 = c->r14;
	regs->r15 = c->r15;
	regs->rdi = c->rdi;
	regs->rsi = c->rsi;
	regs->rbp = c->rbp;
	regs->rbx = c->rbx;
	regs->rdx = c->rdx;
	regs->rax = c->rax;
	regs->rcx = c->rcx;
	regs->rsp = c->rsp;
	regs->rip = c->rip;
	regs->rflags = (regs->rflags & ~RFLAGS_PROGRAM) | (c->eflags & RFLAGS_PROGRAM);
	regs->full = 1;
	regs->orig_rax = UINT64_MAX; /* never restarted */
}

static int fpu_pop(uint64_t va)
{
	struct thread *thread = current;
	uint64_t bytes = boot_info->xsave_bytes;

	if (thread->fpu_scratch == NULL)
		thread->fpu_scratch = fpu_area_new();
	uint8_t *area = thread->fpu_scratch;
	if (area == NULL)
		return -ENOMEM;
	if (user_read(area, va, XSAVE_LEGACY) != 0)
		return -EFAULT;
	struct _fpx_sw_bytes software;
	uint32_t magic2 = 0;
	memcpy(&software, area + offsetof(struct _fpstate, sw_reserved), sizeof(software));
	bool extended = software.magic1 == FP_XSTATE_MAGIC1 && software.xstate_size == bytes &&
			user_read(&magic2, va + bytes, sizeof(magic2)) == 0 && magic2 == FP_XSTATE_MAGIC2;
	if (extended) {
		if (user_read(area + XSAVE_LEGACY, va + XSAVE_LEGACY, bytes - XSAVE_LEGACY) != 0)
			return -EFAULT;
	} else {
		/* FXSAVE format only: the rest gets its initial state. */
		uint64_t features = 3;
		memset(area + XSAVE_LEGACY, 0, bytes - XSAVE_LEGACY);
		memcpy(area + XSAVE_LEGACY, &features, sizeof(features));
	}
	return arch_fpu_load(area) == 0 ? 0 : -EFAULT;
}

int signal_frame_pop(struct regs *regs)
{
	struct thread *thread = current;
	struct ucontext context;

	/* The handler's return has taken the return address off. */
	if (user_get(&context, regs->rsp - 8 + offsetof(struct signal_frame, context)) != 0)
		return -EFAULT;
	uint64_t fpu = (uint64_t)context.uc_mcontext.fpstate;
	if (fpu != 0 && fpu_pop(fpu) != 0)
		return -EFAULT;
	context_pop(regs, &context.uc_mcontext);
	signal_set_mask(context.uc_sigmask);
	/* Like sigaltstack(2), whose refusals do not matter here. */
	uint32_t flags = (uint32_t)context.uc_stack.ss_flags & (SS_AUTODISARM | SS_DISABLE);
	if (!signal_on_altstack(&thread->altstack, regs->rsp) &&
	    ((flags & SS_DISABLE) != 0 || context.uc_stack.ss_size >= MINSIGSTKSZ)) {
		thread->altstack = context.uc_stack;
		thread->altstack.ss_flags = (int)flags;
	}
	return 0;
}
