/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual machine: everything that the monitor holds, its life and its end.
 *
 * Threads: vCPU 0 runs in the main thread, each further vCPU in its own, and one device thread runs the
 * event loop. All are there before the lock-down. Fields without a remark are set up before the
 * threads start and only read afterwards.
 */
#ifndef LAMPO_VMM_VM_H
#define LAMPO_VMM_VM_H

#include <pthread.h>
#include <stdatomic.h>

#include "dev/virtio_device.h"
#include "vmm/arch/x86_64/cpuid.h"
#include "vmm/arch/x86_64/regs.h"
#include "vmm/clock.h"
#include "vmm/control.h"
#include "vmm/event_loop.h"
#include "vmm/jail.h"
#include "vmm/loader.h"
#include "vmm/memory.h"
#include "vmm/options.h"
#include "vmm/root_image.h"
#include "vmm/signals.h"
#include "vmm/timeline.h"
#include "vmm/vcpu.h"

/* Exit codes as podman has them. */
#define VM_CODE_LAMPO_FAILED 125
#define VM_CODE_CANNOT_EXECUTE 126
#define VM_CODE_NOT_FOUND 127
#define VM_CODE_SIGNAL 128
#define VM_CODE_ENDED 137

#define VM_COMPLAINTS_MAX 5u /* lines on a guest's faults; further ones are only counted */

struct vm {
	const struct options *options;
	int kvm_fd, fd;
	struct image image;                /* nucleo */
	struct image_file root_image;      /* map NULL: none */
	uint64_t *image_verified;          /* bitmap in guest memory: only ever written */
	struct root_image_work image_work; /* locks itself */
	struct memory memory;
	struct cpuid cpuid;
	struct start_state start;
	struct lampo_boot_info *boot; /* in guest memory: hostile once the guest runs */
	struct guest_clock clock;     /* locks itself */
	struct virtio_device *devices[LAMPO_DEVICES_MAX];
	unsigned device_count;
	struct virtio_device *console;
	int log_fd; /* standard error, not blocking; the console's */
	struct vcpu cpus[LAMPO_CPUS_MAX];
	unsigned cpu_count;
	struct event_loop loop;
	struct control control; /* the device thread's */
	struct signals signals; /* the device thread's */
	struct jail jail;
	struct timeline timeline; /* the main thread's until the guest runs, then of the thread that ends the VM */
	pthread_t device_thread;

	/* Stages of the set-up, for the threads to wait on (threads.c). */
	_Atomic uint32_t stage_created, stage_planned, stage_memory, stage_locked;
	_Atomic bool memory_begun;
	struct err memory_error;     /* to be read after stage_memory */
	_Atomic bool ending;         /* a thread is ending the VM */
	_Atomic int exit_code;       /* of the program that has ended, while its output is being written; else -1 */
	_Atomic uint64_t complaints; /* about the guest */
	_Atomic uint64_t ignored;    /* accesses to ports and addresses where nothing is */
};

/* Opens KVM, the kernel image and the event loop. */
int vm_open(struct vm *vm, const struct options *options, struct err *err);
/* Makes the VM and its vCPUs. Meanwhile the device thread, if it runs, makes its memory. */
int vm_create(struct vm *vm, struct err *err);

/* The guest's program has ended with `code`: ends the VM as soon as all of its output is written.
 * Called from a vCPU's thread; does not return. */
_Noreturn void vm_program_ended(struct vm *vm, int code);
/* Ends a VM whose program has ended if all output is written by now. For the device thread. */
void vm_end_if_drained(struct vm *vm);
/* Ends the VM now, with this code. From any thread. */
_Noreturn void vm_end(struct vm *vm, int code);
/* Ends the VM because of a fault of the guest's or of Lampo: one line, and err's code or 125. */
_Noreturn void vm_fail(struct vm *vm, const struct err *err, int code);

/* New terminal size. For the device thread. */
void vm_resize(struct vm *vm, uint16_t columns, uint16_t rows);
uint64_t vm_exits(const struct vm *vm);
/* One line about a misbehaving guest, at most VM_COMPLAINTS_MAX in a VM's life. */
void vm_complain(struct vm *vm, const char *who, const char *what);

#endif
