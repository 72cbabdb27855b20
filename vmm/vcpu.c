/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/exit.h"
#include "vmm/irq.h"
#include "vmm/root_image.h"
#include "vmm/timer.h"
#include "vmm/vm.h"

#define VCPU_RETRIES_MAX 1000u /* attempts at entering a guest that KVM refuses for the moment */

static _Thread_local struct vcpu *current;

struct vcpu *vcpu_current(void) { return current; }

/* Kick or timer: whichever, KVM_RUN must not be entered again before the state was looked at. */
static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	struct vcpu *vcpu = current;
	if (vcpu == NULL)
		return;
	if (info->si_code == SI_TIMER)
		atomic_fetch_or(&vcpu->state, VCPU_WAKE | VCPU_IRQ);
	vcpu->run->immediate_exit = 1;
}

int vcpu_open(struct vcpu *vcpu, struct vm *vm, unsigned index, struct err *err)
{
	*vcpu = (struct vcpu){.vm = vm, .index = index, .timer = -1};
	atomic_init(&vcpu->state, index == 0 ? 0 : VCPU_PARKED);
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, index);
	if (vcpu->fd < 0)
		return err_set(err, -errno, "cannot create vCPU %u", index);
	int bytes = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (bytes < (int)sizeof(struct kvm_run))
		return err_set(err, -EIO, "cannot share memory with vCPU %u", index);
	vcpu->run_bytes = (size_t)bytes;
	vcpu->run = mmap(NULL, vcpu->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		return err_set(err, -errno, "cannot share memory with vCPU %u", index);
	int r = cpuid_load(&vm->cpuid, vcpu->fd, index, err);
	if (r < 0)
		return r;
	/* Not into the guest: KVM makes a thread of its own at the first entry, better now than later. */
	vcpu->run->immediate_exit = 1;
	ioctl(vcpu->fd, KVM_RUN, 0);
	return 0;
}

int vcpu_prepare(struct vcpu *vcpu, struct err *err)
{
	struct vm *vm = vcpu->vm;
	vcpu->head = memory_at(&vm->memory, vm->start.cpu_pages + vcpu->index * PAGE_BYTES);
	return regs_load(&vm->start, vcpu->fd, vcpu->index, err);
}

int vcpu_adopt_thread(struct vcpu *vcpu, struct err *err)
{
	current = vcpu;
	/* Of the process, so once is enough. KVM_RUN ends all the same; reading a file goes on. */
	if (vcpu->index == 0) {
		struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
		sigaction(IRQ_SIGNAL, &action, NULL);
	}
	vcpu->tid = gettid();
	return timer_open(vcpu, err);
}

_Noreturn static void run_failed(struct vcpu *vcpu, int error)
{
	if (error == -EFAULT)
		root_image_probe(vcpu->vm);
	struct err err;
	err_set(&err, error, "vCPU %u stopped at address %#llx: KVM cannot run it", vcpu->index,
		(unsigned long long)regs_rip(vcpu->fd));
	if (error == -EFAULT || error == -EAGAIN)
		err_hint(&err,
			 "the host has no memory for the guest, the file of the guest's kernel has changed, or the "
			 "guest wrote to its kernel's text");
	vm_fail(vcpu->vm, &err, VM_CODE_LAMPO_FAILED);
}

static void count_exit(struct vcpu *vcpu)
{
	uint64_t exits = atomic_load_explicit(&vcpu->exits, memory_order_relaxed);
	atomic_store_explicit(&vcpu->exits, exits + 1, memory_order_relaxed);
}

static void serve(struct vcpu *vcpu)
{
	atomic_store_explicit(&vcpu->serving, true, memory_order_relaxed);
	exit_handle(vcpu);
	atomic_store_explicit(&vcpu->serving, false, memory_order_relaxed);
}

void vcpu_run(struct vcpu *vcpu)
{
	unsigned retries = 0;
	for (;;) {
		/* First this, then the look at the state: a signal in between sets it again. */
		vcpu->run->immediate_exit = 0;
		atomic_signal_fence(memory_order_seq_cst);
		irq_deliver(vcpu);
		int r = ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? -errno : 0;
		count_exit(vcpu);
		/* A page of the guest may be on its way for KVM, but not for ever. */
		retries = r == -EAGAIN ? retries + 1 : 0;
		if (r == 0)
			serve(vcpu);
		else if (r != -EINTR && (r != -EAGAIN || retries > VCPU_RETRIES_MAX))
			run_failed(vcpu, r);
	}
}
