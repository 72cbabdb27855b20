/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/util.h"
#include "dev/console.h"
#include "vmm/report.h"
#include "vmm/root_image.h"
#include "vmm/signals.h"
#include "vmm/threads.h"

#define KVM_API_VERSION_WANTED 12

/* ---- opening ------------------------------------------------------------------------------------ */

static int kvm_open(struct vm *vm, struct err *err)
{
	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0) {
		int r = err_set(err, -errno, "cannot open /dev/kvm");
		if (r == -EACCES)
			err_hint(err,
				 "you need the right to use KVM: ask for membership of the group that owns /dev/kvm");
		else
			err_hint(err, "this host offers no virtualisation, or its kernel module (kvm_intel, kvm_amd) "
				      "is not loaded; "
				      "`lampo doctor` says more");
		return r;
	}
	if (ioctl(vm->kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION_WANTED)
		return err_set(err, -ENOTSUP, "cannot use /dev/kvm: it does not speak KVM's stable interface!");
	return 0;
}

/* nucleo lies beside the monitor in a build, in ../lib/lampo once installed. */
static int kernel_find(char path[static 4096], struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", path, 4000);
	if (n <= 0)
		return err_set(err, -errno, "cannot find the kernel image: /proc is not there");
	path[n] = '\0';
	size_t directory = (size_t)(strrchr(path, '/') - path);
	snprintf(path + directory, 4096 - directory, "/nucleo");
	if (access(path, R_OK) != 0)
		snprintf(path + directory, 4096 - directory, "/../lib/lampo/nucleo");
	return 0;
}

static int kernel_open(struct vm *vm, struct err *err)
{
	if (vm->options->kernel != NULL)
		return image_open(&vm->image, vm->options->kernel, err);
	char path[4096];
	int r = kernel_find(path, err);
	return r < 0 ? r : image_open(&vm->image, path, err);
}

int vm_open(struct vm *vm, const struct options *options, struct err *err)
{
	vm->options = options;
	vm->cpu_count = options->cpus;
	atomic_init(&vm->exit_code, -1);
	int r = kernel_open(vm, err);
	if (r < 0 || (r = kvm_open(vm, err)) < 0 || (r = event_loop_init(&vm->loop, err)) < 0)
		return r;
	return root_image_open(vm, err);
}

int vm_create(struct vm *vm, struct err *err)
{
	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return err_set(err, -errno, "cannot create a virtual machine");
	threads_vm_created(vm);
	cpuid_read(&vm->cpuid, vm->cpu_count);
	for (unsigned i = 0; i < vm->cpu_count; i++) {
		int r = vcpu_open(&vm->cpus[i], vm, i, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- ending -------------------------------------------------------------------------------------- */

/* The first thread that comes here ends the VM, others wait for the process to go. */
static void ending_enter(struct vm *vm)
{
	if (!atomic_exchange(&vm->ending, true))
		return;
	for (;;)
		pause();
}

/* Reports first: the kernel takes its time to take a VM down. This is where the process ends, whichever
 * thread it is; nobody else calls exit. */
_Noreturn static void finish(struct vm *vm, int code)
{
	report_write_exit(vm->options->state_fd, code);
	_exit(code);
}

void vm_end(struct vm *vm, int code)
{
	ending_enter(vm);
	const struct options *options = vm->options;
	if (options->timing) {
		timeline_add_guest(&vm->timeline, &vm->clock, vm->boot);
		timeline_mark(&vm->timeline, "VM ends");
		report_timing(options->report_fd, &vm->timeline);
	}
	report_exit(options->report_fd, code);
	finish(vm, code);
}

void vm_fail(struct vm *vm, const struct err *err, int code)
{
	ending_enter(vm);
	report_error(vm->options->report_fd, err, code);
	finish(vm, code);
}

void vm_program_ended(struct vm *vm, int code)
{
	atomic_store(&vm->exit_code, code);
	vm_end_if_drained(vm);
	for (;;) /* the device thread goes on writing, and ends the VM */
		pause();
}

void vm_end_if_drained(struct vm *vm)
{
	int code = atomic_load(&vm->exit_code);
	if (code >= 0 && console_drained(vm->console))
		vm_end(vm, code);
}

/* ---- requests from outside ------------------------------------------------------------------------ */

void vm_resize(struct vm *vm, uint16_t columns, uint16_t rows)
{
	__atomic_store_n(&vm->boot->terminal_size, (uint32_t)columns << 16 | rows, __ATOMIC_RELAXED);
	console_resize(vm->console, columns, rows);
	signals_send(vm, SIGWINCH);
}

uint64_t vm_exits(const struct vm *vm)
{
	uint64_t exits = 0;
	for (unsigned i = 0; i < vm->cpu_count; i++)
		exits += atomic_load_explicit(&vm->cpus[i].exits, memory_order_relaxed);
	return exits;
}

void vm_complain(struct vm *vm, const char *who, const char *what)
{
	uint64_t number = atomic_fetch_add(&vm->complaints, 1) + 1;
	if (number > VM_COMPLAINTS_MAX)
		return;
	char line[256];
	int n = snprintf(line, sizeof(line), "lampo-vmm: %s: %s: %s%s\n", vm->options->id, who, what,
			 number == VM_COMPLAINTS_MAX ? " (no more of these will be shown)" : "");
	/* A reader that has stopped loses it: nobody waits for that here. */
	if (write(vm->log_fd, line, min_u64((uint64_t)n, sizeof(line) - 1)) < 0)
		return;
}
