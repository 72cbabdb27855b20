/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID leaves: Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E. XSAVE: SDM volume 1, 13. */
#include "vmm/arch/x86_64/cpuid.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/util.h"

#define ALL 0xffffffffu
#define BIT(n) (1u << (n))

#define XCR0_X87 (1ull << 0)
#define XCR0_SSE (1ull << 1)
#define XCR0_AVX (1ull << 2)
#define XCR0_AVX512 (7ull << 5)

#define LEAF1_ECX_OSXSAVE BIT(27)
#define LEAF1_ECX_HYPERVISOR BIT(31)
#define LEAF1_EDX_HTT BIT(28)

enum vendor { ANY, INTEL, AMD };

/* A leaf that the guest sees: the host's, and these bits of it. */
struct leaf {
	uint32_t function, index;
	enum vendor vendor; /* whose processors have it */
	uint32_t flags;     /* KVM_CPUID_FLAG_SIGNIFCANT_INDEX */
	uint32_t eax, ebx, ecx, edx;
};

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static const struct leaf leaves[] = {
    {0x1, 0, ANY, 0, ALL, 0x0000ff00, /* size of a cache line */
     /* SSE3 PCLMULQDQ SSSE3 FMA CMPXCHG16B SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
     BIT(0) | BIT(1) | BIT(9) | BIT(12) | BIT(13) | BIT(19) | BIT(20) | BIT(22) | BIT(23) | BIT(25) | BIT(26) |
	 BIT(28) | BIT(29) | BIT(30),
     /* FPU DE PSE TSC MSR PAE CX8 PGE CMOV PAT CLFLUSH MMX FXSR SSE SSE2 */
     BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(13) | BIT(15) | BIT(16) | BIT(19) | BIT(23) |
	 BIT(24) | BIT(25) | BIT(26)},
    {0x2, 0, INTEL, 0, ALL, ALL, ALL, ALL}, /* caches */
    {0x4, 0, INTEL, INDEXED, ALL, ALL, ALL, ALL},
    {0x4, 1, INTEL, INDEXED, ALL, ALL, ALL, ALL},
    {0x4, 2, INTEL, INDEXED, ALL, ALL, ALL, ALL},
    {0x4, 3, INTEL, INDEXED, ALL, ALL, ALL, ALL},
    {0x7, 0, ANY, INDEXED, 1, /* FSGSBASE BMI1 AVX2 BMI2 ERMS AVX512F/DQ RDSEED ADX AVX512IFMA CLFLUSHOPT CLWB
				 AVX512PF/ER/CD SHA AVX512BW/VL */
     BIT(0) | BIT(3) | BIT(5) | BIT(8) | BIT(9) | BIT(16) | BIT(17) | BIT(18) | BIT(19) | BIT(21) | BIT(23) | BIT(24) |
	 BIT(26) | BIT(27) | BIT(28) | BIT(29) | BIT(30) | BIT(31),
     /* AVX512VBMI AVX512VBMI2 GFNI VAES VPCLMULQDQ AVX512VNNI AVX512BITALG AVX512VPOPCNTDQ */
     BIT(1) | BIT(6) | BIT(8) | BIT(9) | BIT(10) | BIT(11) | BIT(12) | BIT(14),
     /* AVX512_4VNNIW AVX512_4FMAPS FSRM AVX512VP2INTERSECT AVX512FP16 */
     BIT(2) | BIT(3) | BIT(4) | BIT(8) | BIT(23)},
    /* AVX-VNNI AVX512BF16 FZRM FSRS FSRC AVX-IFMA */
    {0x7, 1, ANY, INDEXED, BIT(4) | BIT(5) | BIT(10) | BIT(11) | BIT(12) | BIT(23), 0, 0, 0},
    {0xd, 1, ANY, INDEXED, BIT(0) | BIT(1) | BIT(2), 0, 0, 0}, /* XSAVEOPT XSAVEC XGETBV(1); no XSAVES */
    {0xd, 2, ANY, INDEXED, ALL, ALL, ALL, ALL},                /* place of AVX state, of AVX-512 state */
    {0xd, 5, ANY, INDEXED, ALL, ALL, ALL, ALL},
    {0xd, 6, ANY, INDEXED, ALL, ALL, ALL, ALL},
    {0xd, 7, ANY, INDEXED, ALL, ALL, ALL, ALL},
    {0x80000001, 0, ANY, 0, ALL, 0,
     /* LAHF ABM SSE4A MISALIGNSSE 3DNOWPREFETCH */
     BIT(0) | BIT(5) | BIT(6) | BIT(7) | BIT(8),
     /* as leaf 1, and SYSCALL NX MMXEXT 1-GiB pages LM */
     BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(13) | BIT(15) | BIT(16) | BIT(23) | BIT(24) |
	 BIT(11) | BIT(20) | BIT(22) | BIT(26) | BIT(29)},
    {0x80000002, 0, ANY, 0, ALL, ALL, ALL, ALL}, /* the processor's name */
    {0x80000003, 0, ANY, 0, ALL, ALL, ALL, ALL},
    {0x80000004, 0, ANY, 0, ALL, ALL, ALL, ALL},
    {0x80000005, 0, AMD, 0, ALL, ALL, ALL, ALL}, /* caches */
    {0x80000006, 0, ANY, 0, ALL, ALL, ALL, ALL},
    {0x80000008, 0, ANY, 0, 0x0000ffff, 0, 0, 0}, /* widths of addresses */
    {0x8000001d, 0, AMD, INDEXED, ALL, ALL, ALL, ALL},
    {0x8000001d, 1, AMD, INDEXED, ALL, ALL, ALL, ALL},
    {0x8000001d, 2, AMD, INDEXED, ALL, ALL, ALL, ALL},
    {0x8000001d, 3, AMD, INDEXED, ALL, ALL, ALL, ALL},
};

#define LEAF_MAX 0xdu
#define LEAF_EXTENDED_MAX 0x8000001du

static struct kvm_cpuid_entry2 *entry_add(struct cpuid *cpuid, uint32_t function, uint32_t index, uint32_t flags)
{
	struct kvm_cpuid_entry2 *entry = &cpuid->entries[cpuid->count++];
	*entry = (struct kvm_cpuid_entry2){.function = function, .index = index, .flags = flags};
	return entry;
}

static void host_read(struct kvm_cpuid_entry2 *entry)
{
	__cpuid_count(entry->function, entry->index, entry->eax, entry->ebx, entry->ecx, entry->edx);
}

static enum vendor vendor_of(const struct kvm_cpuid_entry2 *leaf0)
{
	/* "GenuineIntel" in ebx, edx, ecx; Hygon's processors are AMD's. */
	return leaf0->ebx == 0x756e6547 && leaf0->edx == 0x49656e69 && leaf0->ecx == 0x6c65746e ? INTEL : AMD;
}

/* Whole groups of state that the host has enabled; the size of what the guest will have enabled. */
static void xstate_choose(struct cpuid *cpuid, uint32_t features_ecx)
{
	uint32_t low = 0, high;
	if (features_ecx & LEAF1_ECX_OSXSAVE)
		__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	cpuid->xcr0 = XCR0_X87 | XCR0_SSE;
	if (low & XCR0_AVX)
		cpuid->xcr0 |= XCR0_AVX;
	if ((low & XCR0_AVX512) == XCR0_AVX512)
		cpuid->xcr0 |= XCR0_AVX512;
	cpuid->xsave_bytes = 576; /* x87, SSE, header */
	for (unsigned i = 0; i < cpuid->count; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];
		if (entry->function == 0xd && entry->index >= 2 && cpuid->xcr0 >> entry->index & 1)
			cpuid->xsave_bytes = max_u64(cpuid->xsave_bytes, (uint64_t)entry->ebx + entry->eax);
	}
	struct kvm_cpuid_entry2 *entry = entry_add(cpuid, 0xd, 0, INDEXED);
	entry->eax = (uint32_t)cpuid->xcr0;
	entry->ebx = entry->ecx = (uint32_t)cpuid->xsave_bytes;
}

/* One package of cpu_count cores with one thread each. */
static void topology_add(struct cpuid *cpuid, unsigned cpu_count)
{
	unsigned bits = 0;
	while ((1u << bits) < cpu_count)
		bits++;
	struct kvm_cpuid_entry2 *entry = entry_add(cpuid, 0xb, 0, INDEXED);
	entry->ebx = 1;
	entry->ecx = 1u << 8; /* threads */
	entry = entry_add(cpuid, 0xb, 1, INDEXED);
	entry->eax = bits;
	entry->ebx = cpu_count;
	entry->ecx = 2u << 8 | 1; /* cores */
}

void cpuid_read(struct cpuid *cpuid, unsigned cpu_count)
{
	cpuid->count = 0;
	struct kvm_cpuid_entry2 *leaf0 = entry_add(cpuid, 0, 0, 0);
	host_read(leaf0);
	uint32_t host_max = leaf0->eax, features_ecx = 0;
	enum vendor vendor = vendor_of(leaf0);
	leaf0->eax = LEAF_MAX;
	struct kvm_cpuid_entry2 *extended = entry_add(cpuid, 0x80000000, 0, 0);
	host_read(extended);
	uint32_t host_extended_max = extended->eax;
	extended->eax = (uint32_t)min_u64(host_extended_max, LEAF_EXTENDED_MAX);
	for (unsigned i = 0; i < countof(leaves); i++) {
		const struct leaf *leaf = &leaves[i];
		if (leaf->function > (leaf->function & 0x80000000 ? host_extended_max : host_max) ||
		    (leaf->vendor != ANY && leaf->vendor != vendor))
			continue;
		struct kvm_cpuid_entry2 *entry = entry_add(cpuid, leaf->function, leaf->index, leaf->flags);
		host_read(entry);
		if (leaf->function == 1)
			features_ecx = entry->ecx;
		entry->eax &= leaf->eax;
		entry->ebx &= leaf->ebx;
		entry->ecx &= leaf->ecx;
		entry->edx &= leaf->edx;
		if (leaf->function == 1) {
			entry->ebx |= cpu_count << 16;
			entry->ecx |= LEAF1_ECX_HYPERVISOR;
			entry->edx |= cpu_count > 1 ? LEAF1_EDX_HTT : 0;
		}
	}
	xstate_choose(cpuid, features_ecx);
	topology_add(cpuid, cpu_count);
}

int cpuid_load(const struct cpuid *cpuid, int vcpu_fd, unsigned index, struct err *err)
{
	struct {
		uint32_t count, padding;
		struct kvm_cpuid_entry2 entries[CPUID_ENTRIES_MAX];
	} own = {.count = cpuid->count}; /* struct kvm_cpuid2 */
	memcpy(own.entries, cpuid->entries, sizeof(own.entries));
	for (unsigned i = 0; i < own.count; i++) {
		struct kvm_cpuid_entry2 *entry = &own.entries[i];
		if (entry->function == 1)
			entry->ebx |= index << 24; /* initial APIC id */
		if (entry->function == 0xb)
			entry->edx = index; /* x2APIC id */
	}
	if (ioctl(vcpu_fd, KVM_SET_CPUID2, &own) < 0)
		return err_set(err, -errno, "cannot set the features of vCPU %u", index);
	struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = cpuid->xcr0}}};
	if (ioctl(vcpu_fd, KVM_SET_XCRS, &xcrs) < 0)
		return err_set(err, -errno, "cannot set XCR0 of vCPU %u", index);
	return 0;
}
