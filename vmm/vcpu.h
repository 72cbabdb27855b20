/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual CPU and its run loop; vcpu_wake() and the sleep of a halted vCPU are in irq.c. */
#ifndef LAMPO_VMM_VCPU_H
#define LAMPO_VMM_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/host/err.h"
#include "include/abi/boot.h"

struct vm;

/* Bits of vcpu.state, a futex word. */
#define VCPU_WAKE 1u   /* something happened: the next HALT returns at once */
#define VCPU_IRQ 2u    /* the running guest is to take LAMPO_VECTOR_IRQ */
#define VCPU_HALTED 4u /* the thread sleeps in HALT */
#define VCPU_PARKED 8u /* not started yet */

struct vcpu {
	struct vm *vm;
	unsigned index;
	int fd;
	struct kvm_run *run;
	size_t run_bytes;
	struct lampo_cpu_head *head; /* in guest memory */
	pthread_t thread;            /* of vCPUs but the first */
	int tid;                     /* 0 until its thread is there */
	int timer;                   /* POSIX timer id, -1: none */
	_Atomic uint32_t state;
	_Atomic uint64_t exits;
	_Atomic bool serving; /* the monitor works for it, or it sleeps in HALT */
};

/* Makes it, with vm->cpuid as its features. */
int vcpu_open(struct vcpu *vcpu, struct vm *vm, unsigned index, struct err *err);
/* Loads the start registers; once the boot information is there. */
int vcpu_prepare(struct vcpu *vcpu, struct err *err);
/* Makes the calling thread this vCPU's: signal, timer. Before the lock-down. */
int vcpu_adopt_thread(struct vcpu *vcpu, struct err *err);
/* Runs the guest until the VM ends. */
_Noreturn void vcpu_run(struct vcpu *vcpu);
/* The vCPU whose thread this is, or NULL. */
struct vcpu *vcpu_current(void);

#endif
