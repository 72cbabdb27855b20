/* SPDX-License-Identifier: Apache-2.0 */
/* KVM API: Linux Documentation/virt/kvm/api.rst. */
#include "cli/probe_kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "run/fd.h"

enum {
	RAM_BYTES = 2 << 20,
	PML4 = 0x1000,
	PDPT = 0x2000,
	PD = 0x3000,
	GDT = 0x4000,
	CODE = 0x5000,
	LOOPS = 400,
	LOOP_INSTRUCTIONS = 2,
	PORT = 0x510,
};

struct vm {
	int vm_fd, vcpu_fd;
	uint8_t *ram;
	struct kvm_run *run;
	size_t run_bytes;
};

/* mov $LOOPS, %ecx; 1: dec %ecx; jnz 1b; 2: out %eax, %dx; jmp 2b */
static const uint8_t code[] = {
    0xb9, LOOPS & 0xff, LOOPS >> 8, 0, 0, 0xff, 0xc9, 0x75, 0xfc, 0xef, 0xeb, 0xfd,
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void set_segment(struct kvm_segment *s, uint16_t selector, uint8_t type, uint8_t l)
{
	*s = (struct kvm_segment){
	    .limit = 0xffffffff, .selector = selector, .type = type, .present = 1, .db = !l, .s = 1, .l = l, .g = 1};
}

/* 64-bit mode (Intel SDM volume 3, 4.5 and 10.8.5), the first 2 MiB mapped to themselves. */
static int set_registers(const struct vm *vm)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = {.rip = CODE, .rsp = CODE, .rflags = 2, .rdx = PORT};

	if (ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return -1;
	set_segment(&sregs.cs, 0x8, 0xb, 1);
	set_segment(&sregs.ds, 0x10, 0x3, 0);
	sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
	sregs.gdt.base = GDT;
	sregs.gdt.limit = 23;
	sregs.cr3 = PML4;
	sregs.cr4 = 1u << 5;                /* PAE */
	sregs.efer = 1u << 8 | 1u << 10;    /* LME, LMA */
	sregs.cr0 = 1u << 31 | 1u << 4 | 1; /* PG, ET, PE */
	return ioctl(vm->vcpu_fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(vm->vcpu_fd, KVM_SET_REGS, &regs) < 0 ? -1 : 0;
}

static void fill_ram(uint8_t *ram)
{
	static const uint64_t gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff};
	const uint64_t pml4e = PDPT | 3, pdpte = PD | 3, pde = 0x83; /* present, writable, 2 MiB page */

	memcpy(ram + PML4, &pml4e, 8);
	memcpy(ram + PDPT, &pdpte, 8);
	memcpy(ram + PD, &pde, 8);
	memcpy(ram + GDT, gdt, sizeof(gdt));
	memcpy(ram + CODE, code, sizeof(code));
}

static const char *create(struct vm *vm, int kvm_fd)
{
	vm->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (vm->vm_fd < 0)
		return "creating a VM";
	vm->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (vm->ram == MAP_FAILED)
		return "memory";
	fill_ram(vm->ram);
	struct kvm_userspace_memory_region region = {.memory_size = RAM_BYTES, .userspace_addr = (uintptr_t)vm->ram};
	if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return "giving memory to a VM";
	vm->vcpu_fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, 0);
	int size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vm->vcpu_fd < 0 || size <= 0)
		return "creating a virtual CPU";
	vm->run_bytes = (size_t)size;
	vm->run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu_fd, 0);
	if (vm->run == MAP_FAILED || set_registers(vm) < 0)
		return "setting up a virtual CPU";
	return NULL;
}

/* Runs until the next `out`. */
static bool run_to_exit(const struct vm *vm)
{
	while (ioctl(vm->vcpu_fd, KVM_RUN, 0) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return false;
	return vm->run->exit_reason == KVM_EXIT_IO && vm->run->io.port == PORT;
}

static void measure(const struct vm *vm, struct probe_kvm *probe)
{
	enum { EXITS = 20 };
	uint64_t start = now_ns();

	probe->ran = run_to_exit(vm);
	if (!probe->ran) {
		snprintf(probe->failure, sizeof(probe->failure), "ring 0 code ended with exit reason %u",
			 vm->run->exit_reason);
		return;
	}
	uint64_t first = now_ns();
	for (int i = 0; i < EXITS; i++)
		run_to_exit(vm);
	double exit_ns = (double)(now_ns() - first) / EXITS;
	double loop_ns = (double)(first - start) - exit_ns;
	probe->exit_us = exit_ns / 1e3;
	/* The first run has page faults as well: some 20 us that do not count. */
	probe->ring0_ns = loop_ns <= 20e3 ? 1 : (loop_ns - 20e3) / (LOOPS * LOOP_INSTRUCTIONS);
}

void probe_kvm(struct probe_kvm *probe)
{
	struct vm vm = {.vm_fd = -1, .vcpu_fd = -1, .ram = MAP_FAILED, .run = MAP_FAILED};
	FD_AUTO int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	*probe = (struct probe_kvm){.open_error = kvm_fd < 0 ? errno : 0};
	if (kvm_fd < 0)
		return;
	probe->api_version = ioctl(kvm_fd, KVM_GET_API_VERSION, 0);
	const char *failed = create(&vm, kvm_fd);
	if (failed != NULL)
		snprintf(probe->failure, sizeof(probe->failure), "%s failed: %s", failed, strerror(errno));
	else
		measure(&vm, probe);
	if (vm.run != MAP_FAILED)
		munmap(vm.run, vm.run_bytes);
	fd_close_scope(&vm.vcpu_fd);
	fd_close_scope(&vm.vm_fd);
	if (vm.ram != MAP_FAILED)
		munmap(vm.ram, RAM_BYTES);
}
