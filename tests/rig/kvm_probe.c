/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that this machine's /dev/kvm runs ring 0 code: a VM with one page of real-mode code adds two numbers, writes
 * the sum to a port and halts. Exit status 0: it did; 1: KVM is there but wrong; 77: there is no usable /dev/kvm.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "kvm_probe: cannot %s: %s\n", what, strerror(errno));
	return 1;
}

int main(void)
{
	/* mov $0x3f8,%dx; add %bl,%al; out %al,(%dx); hlt */
	static const uint8_t code[] = {0xba, 0xf8, 0x03, 0x00, 0xd8, 0xee, 0xf4};
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0) {
		printf("no usable /dev/kvm: %s\n", strerror(errno));
		return 77;
	}
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return fail("create a VM");
	void *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return fail("map memory");
	memcpy(mem, code, sizeof(code));
	struct kvm_userspace_memory_region slot = {
	    .guest_phys_addr = 0x1000, .memory_size = 4096, .userspace_addr = (uintptr_t)mem};
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return fail("set the memory slot");
	int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		return fail("create a vCPU");
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *run =
	    size > 0 ? mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0) : MAP_FAILED;
	if (run == MAP_FAILED)
		return fail("map the vCPU");
	struct kvm_sregs sregs;
	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return fail("read the registers");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	struct kvm_regs regs = {.rip = 0x1000, .rax = 2, .rbx = 40, .rflags = 2};
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return fail("set the registers");
	if (ioctl(vcpu, KVM_RUN, 0) < 0)
		return fail("run");
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != 0x3f8 || *((uint8_t *)run + run->io.data_offset) != 42) {
		fprintf(stderr, "kvm_probe: ring 0 code ended with exit %u instead of its port write\n",
			run->exit_reason);
		return 1;
	}
	if (ioctl(vcpu, KVM_RUN, 0) < 0 || run->exit_reason != KVM_EXIT_HLT) {
		fprintf(stderr, "kvm_probe: exit %u instead of the halt\n", run->exit_reason);
		return 1;
	}
	puts("/dev/kvm runs ring 0 code");
	return 0;
}
