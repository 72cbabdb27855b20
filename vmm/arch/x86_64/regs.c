/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/arch/x86_64/regs.h"

#include <errno.h>
#include <stddef.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "base/util.h"

#define CR0_PE (1ull << 0)
#define CR0_MP (1ull << 1)
#define CR0_ET (1ull << 4)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_PG (1ull << 31)
#define CR4_PAE (1ull << 5)
#define CR4_OSFXSR (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_FSGSBASE (1ull << 16)
#define CR4_OSXSAVE (1ull << 18)
#define EFER_SCE (1ull << 0)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define EFER_NXE (1ull << 11)
#define RFLAGS_FIXED (1ull << 1)
#define RFLAGS_TF (1ull << 8)
#define RFLAGS_IF (1ull << 9)
#define RFLAGS_DF (1ull << 10)
#define RFLAGS_NT (1ull << 14)
#define RFLAGS_AC (1ull << 18)
#define MSR_TSC 0x10u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_FMASK 0xc0000084u

/* struct kvm_msrs with room for entries. */
struct msrs {
	uint32_t count, padding;
	struct kvm_msr_entry entries[3];
};
_Static_assert(offsetof(struct msrs, entries) == sizeof(struct kvm_msrs), "as KVM reads it");

/* rdtsc gives the same in guest and host: on software KVM ring 3 reads the real counter whatever the
 * offset, on others the offset must be 0 for that. */
static void tsc_align(int vcpu_fd)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = {
	    .group = KVM_VCPU_TSC_CTRL,
	    .attr = KVM_VCPU_TSC_OFFSET,
	    .addr = (uintptr_t)&offset,
	};
	if (ioctl(vcpu_fd, KVM_SET_DEVICE_ATTR, &attr) == 0)
		return;
	struct msrs msrs = {.count = 1, .entries = {{.index = MSR_TSC, .data = regs_tsc()}}};
	ioctl(vcpu_fd, KVM_SET_MSRS, &msrs);
}

static int msrs_load(const struct start_state *start, int vcpu_fd)
{
	/* FMASK leaves IF set: a gate entered with IF cleared by the mask comes back with interrupts off
	 * for good on software KVM (docs/architecture.md). */
	struct msrs msrs = {
	    .count = 3,
	    .entries =
		{
		    {.index = MSR_STAR,
		     .data = (uint64_t)(LAMPO_SEL_UDATA - 8) << 48 | (uint64_t)LAMPO_SEL_KCODE << 32},
		    {.index = MSR_LSTAR, .data = start->syscall_entry},
		    {.index = MSR_FMASK, .data = RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC},
		},
	};
	int r = ioctl(vcpu_fd, KVM_SET_MSRS, &msrs);
	return r == 3 ? 0 : r < 0 ? -errno : -EIO;
}

int regs_load(const struct start_state *start, int vcpu_fd, unsigned index, struct err *err)
{
	struct kvm_sregs sregs;
	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0)
		return err_set(err, -errno, "cannot read the registers of vCPU %u", index);
	segments_load(&start->segments, &sregs, index, LAMPO_VA_DIRECT + start->cpu_pages + index * PAGE_BYTES);
	sregs.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs.cr3 = start->pml4_gpa;
	/* No SMEP and SMAP: the gate in ring 0 runs on pages of ring 3. */
	sregs.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE;
	sregs.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) < 0)
		return err_set(err, -errno, "cannot set the control registers of vCPU %u", index);
	struct kvm_regs regs = {
	    .rip = start->entry,
	    .rflags = RFLAGS_FIXED | RFLAGS_IF,
	    .rdi = start->boot_va,
	    .rsi = index,
	};
	if (ioctl(vcpu_fd, KVM_SET_REGS, &regs) < 0)
		return err_set(err, -errno, "cannot set the registers of vCPU %u", index);
	int r = msrs_load(start, vcpu_fd);
	if (r < 0)
		return err_set(err, r, "cannot set the system-call entry of vCPU %u", index);
	tsc_align(vcpu_fd);
	return 0;
}

uint64_t regs_rip(int vcpu_fd)
{
	struct kvm_regs regs;
	return ioctl(vcpu_fd, KVM_GET_REGS, &regs) < 0 ? 0 : regs.rip;
}

uint64_t regs_tsc_khz(int vcpu_fd)
{
	int khz = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);
	return khz > 0 ? (uint64_t)khz : 0;
}
