/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/irq.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "include/abi/doorbell.h"
#include "vmm/vm.h"

/* Until the absolute CLOCK_MONOTONIC time, or for ever (NULL). */
static void futex_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *until)
{
	syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, until, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

void irq_wake(struct vcpu *vcpu)
{
	if (vcpu == vcpu_current()) { /* it is in the monitor, on the guest's behalf: the guest looks anyway */
		atomic_fetch_or(&vcpu->state, VCPU_WAKE);
		return;
	}
	uint32_t old = atomic_fetch_or(&vcpu->state, VCPU_WAKE | VCPU_IRQ);
	if (old & VCPU_PARKED)
		return;
	if (old & VCPU_HALTED)
		futex_wake(&vcpu->state);
	else if (!(old & VCPU_IRQ))
		syscall(SYS_tgkill, getpid(), vcpu->tid, IRQ_SIGNAL);
}

void irq_wake_any(struct vm *vm)
{
	struct vcpu *current = vcpu_current();
	for (unsigned i = 0; current == NULL && i < vm->cpu_count; i++)
		if (atomic_load(&vm->cpus[i].state) & VCPU_HALTED) {
			irq_wake(&vm->cpus[i]);
			return;
		}
	irq_wake(current != NULL ? current : &vm->cpus[0]);
}

void irq_device_event(void *context, struct virtio_device *device)
{
	struct vm *vm = context;
	__atomic_fetch_or(&vm->boot->device_events, 1ull << device->index, __ATOMIC_SEQ_CST);
	irq_wake_any(vm);
}

void irq_deliver(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	run->request_interrupt_window = 0;
	if (!(atomic_load(&vcpu->state) & VCPU_IRQ))
		return;
	if (!run->ready_for_interrupt_injection || !run->if_flag) {
		run->request_interrupt_window = 1;
		return;
	}
	atomic_fetch_and(&vcpu->state, ~VCPU_IRQ);
	/* The guest has not read the frame of the last one: it has its look at the events still before it. */
	if (__atomic_load_n(&vcpu->head->irq_busy, __ATOMIC_RELAXED) != 0)
		return;
	__atomic_store_n(&vcpu->head->irq_busy, 1, __ATOMIC_RELAXED);
	struct kvm_interrupt interrupt = {.irq = LAMPO_VECTOR_IRQ};
	if (ioctl(vcpu->fd, KVM_INTERRUPT, &interrupt) < 0) {
		atomic_fetch_or(&vcpu->state, VCPU_IRQ);
		run->request_interrupt_window = 1;
	}
}

void irq_halt(struct vcpu *vcpu)
{
	struct timespec until;
	uint64_t deadline_ns = __atomic_load_n(&vcpu->head->deadline_ns, __ATOMIC_RELAXED);
	bool timed = deadline_ns != UINT64_MAX;
	if (timed)
		until = clock_host_time(&vcpu->vm->clock, deadline_ns);
	for (;;) {
		uint32_t old = 0;
		if (!atomic_compare_exchange_strong(&vcpu->state, &old, VCPU_HALTED)) {
			/* A wake came already. */
			atomic_fetch_and(&vcpu->state, ~(VCPU_WAKE | VCPU_IRQ));
			return;
		}
		futex_wait(&vcpu->state, VCPU_HALTED, timed ? &until : NULL);
		/* The wake, if there was one, is consumed together with the sleep. A signal alone (an
		 * old kick's) ends nothing. */
		old = atomic_exchange(&vcpu->state, 0);
		if (old != VCPU_HALTED)
			return;
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (timed &&
		    (now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec)))
			return;
	}
}

void irq_park(struct vcpu *vcpu)
{
	for (;;) {
		uint32_t state = atomic_load(&vcpu->state);
		if (!(state & VCPU_PARKED))
			return;
		futex_wait(&vcpu->state, state, NULL);
	}
}

void irq_start(struct vcpu *vcpu)
{
	uint32_t old = atomic_fetch_and(&vcpu->state, ~VCPU_PARKED);
	if (old & VCPU_PARKED)
		futex_wake(&vcpu->state);
}
