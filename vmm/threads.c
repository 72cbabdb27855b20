/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/threads.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "vmm/boot.h"
#include "vmm/irq.h"
#include "vmm/signals.h"
#include "vmm/vm.h"

/* Enough for a descriptor chain with its iovecs and for the deepest path of the fs device. */
#define STACK_BYTES (128u << 10)
#define SET_UP_TICK_MS 10u

/* ---- stages: a counter on which others wait ------------------------------------------------------------ */

static void stage_reach(_Atomic uint32_t *stage)
{
	atomic_fetch_add(stage, 1);
	syscall(SYS_futex, stage, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT32_MAX, NULL, NULL, 0);
}

static void stage_await(_Atomic uint32_t *stage, uint32_t value)
{
	uint32_t now;
	while ((now = atomic_load(stage)) < value)
		syscall(SYS_futex, stage, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, now, NULL, NULL, 0);
}

static int thread_start(pthread_t *thread, void *(*run)(void *), void *argument, struct err *err)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	int r = pthread_create(thread, &attributes, run, argument);
	pthread_attr_destroy(&attributes);
	return r != 0 ? err_set(err, -r, "cannot start a thread") : 0;
}

/* ---- the device thread --------------------------------------------------------------------------------- */

static int memory_make(struct vm *vm, struct err *err)
{
	int r = memory_init(&vm->memory, vm->options->memory_bytes, err);
	if (r < 0)
		return r;
	const struct image_segment *text = &vm->image.text;
	memory_add_read_only(&vm->memory, LAMPO_GPA_KERNEL, vm->image.file + text->offset,
			     align_up(text->memory_bytes, PAGE_BYTES));
	if (vm->root_image.map != NULL)
		memory_set_image(&vm->memory, vm->root_image.map, vm->root_image.footer.erofs_bytes);
	boot_populate(&vm->memory);
	stage_await(&vm->stage_created, 1);
	return memory_set_slots(&vm->memory, vm->fd, err);
}

/* By whichever thread comes first: on a busy host the device thread may not run for long. */
static void memory_make_once(struct vm *vm)
{
	if (atomic_exchange(&vm->memory_begun, true))
		return;
	/* A failure is the main thread's to report. */
	if (memory_make(vm, &vm->memory_error) == 0)
		vm->memory_error.code = 0;
	stage_reach(&vm->stage_memory);
}

/* For a guest that computes for hours without a word: its clocks follow the host's. */
static unsigned on_tick(void *context)
{
	struct vm *vm = context;
	/* Events may come while the VM is still being made. */
	if (atomic_load(&vm->stage_locked) <= vm->cpu_count)
		return SET_UP_TICK_MS;
	clock_follow(&vm->clock);
	return signals_watch(vm);
}

static void *device_thread(void *context)
{
	struct vm *vm = context;
	struct err err;
	memory_make_once(vm);
	if (jail_process(&err) < 0)
		vm_fail(vm, &err, VM_CODE_LAMPO_FAILED);
	stage_await(&vm->stage_planned, 1);
	if (jail_enter(&vm->jail, JAIL_DEVICE, &err) < 0)
		vm_fail(vm, &err, VM_CODE_LAMPO_FAILED);
	stage_reach(&vm->stage_locked);
	/* Not before KVM knows the memory, which the jail does not let this thread tell it. */
	stage_await(&vm->stage_memory, 1);
	if (vm->memory_error.code == 0)
		boot_populate_ahead(&vm->memory);
	event_loop_run(&vm->loop, on_tick, vm);
}

int threads_start_device(struct vm *vm, struct err *err)
{
	return thread_start(&vm->device_thread, device_thread, vm, err);
}

void threads_vm_created(struct vm *vm) { stage_reach(&vm->stage_created); }

int threads_await_memory(struct vm *vm, struct err *err)
{
	jail_plan(&vm->jail, vm->options); /* instead of just waiting */
	stage_reach(&vm->stage_planned);
	memory_make_once(vm);
	stage_await(&vm->stage_memory, 1);
	if (vm->memory_error.code < 0)
		*err = vm->memory_error;
	return vm->memory_error.code;
}

/* ---- vCPUs ------------------------------------------------------------------------------------------------ */

static int vcpu_lock_down(struct vcpu *vcpu, struct err *err)
{
	int r = vcpu_adopt_thread(vcpu, err);
	if (r == 0)
		r = jail_enter(&vcpu->vm->jail, JAIL_VCPU, err);
	if (r == 0)
		stage_reach(&vcpu->vm->stage_locked);
	return r;
}

static void *vcpu_thread(void *context)
{
	struct vcpu *vcpu = context;
	struct err err;
	if (vcpu_lock_down(vcpu, &err) < 0)
		vm_fail(vcpu->vm, &err, VM_CODE_LAMPO_FAILED);
	irq_park(vcpu);
	vcpu_run(vcpu);
}

int threads_lock_down(struct vm *vm, struct err *err)
{
	for (unsigned i = 1; i < vm->cpu_count; i++) {
		int r = thread_start(&vm->cpus[i].thread, vcpu_thread, &vm->cpus[i], err);
		if (r < 0)
			return r;
	}
	int r = vcpu_lock_down(&vm->cpus[0], err);
	if (r < 0)
		return r;
	stage_await(&vm->stage_locked, vm->cpu_count + 1);
	/* Nobody needs them any more. */
	close(vm->jail.ruleset_fd);
	close(vm->kvm_fd);
	return 0;
}
