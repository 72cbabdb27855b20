/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a vCPU hears of something: a wake that ends its HALT, or, while it runs, vector LAMPO_VECTOR_IRQ.
 * There is no interrupt controller: the monitor injects the vector itself. A wake is kept until the
 * next HALT, so that one between the guest's last look and its HALT is not lost; a HALT may therefore
 * return without a reason.
 */
#ifndef LAMPO_VMM_IRQ_H
#define LAMPO_VMM_IRQ_H

#include <signal.h>
#include <stdint.h>

#define IRQ_SIGNAL SIGUSR1 /* to a vCPU's thread: leave the guest */

struct vm;
struct vcpu;
struct virtio_device;

/* Ends the vCPU's HALT or interrupts it. From any thread. */
void irq_wake(struct vcpu *vcpu);
/* Wakes a halted vCPU if there is one, else interrupts the first. From any thread. */
void irq_wake_any(struct vm *vm);
/* A device has news: virtio_host.interrupt, with the VM as context. */
void irq_device_event(void *vm, struct virtio_device *device);

/* Before KVM_RUN, in the vCPU's thread: injects what is due, or asks for an exit as soon as it can be. */
void irq_deliver(struct vcpu *vcpu);
/* HALT: sleeps until a wake or until head.deadline_ns. In the vCPU's thread. */
void irq_halt(struct vcpu *vcpu);
/* Sleeps until irq_start(). For the threads of vCPUs that are not started yet. */
void irq_park(struct vcpu *vcpu);
/* Starts a parked vCPU; does nothing to one that runs. */
void irq_start(struct vcpu *vcpu);

#endif
