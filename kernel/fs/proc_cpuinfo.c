/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/cpuinfo from CPUID (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E). The instruction may
 * be slow on a virtual machine: it is used only when the file is read. */
#include <cpuid.h>

#include "kernel/arch.h"
#include "kernel/fs/procfs.h"

/* clang-format off */
/* Names by bit as Linux spells them; NULL: not shown. */
static const char *const leaf1_edx[32] = {
	"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", NULL, "sep", "mtrr", "pge", "mca",
	"cmov",
	"pat", "pse36", "pn", "clflush", NULL, "dts", "acpi", "mmx", "fxsr", "sse", "sse2", "ss", "ht", "tm",
	"ia64", "pbe",
};
static const char *const leaf1_ecx[32] = {
	"pni", "pclmulqdq", "dtes64", "monitor", "ds_cpl", "vmx", "smx", "est", "tm2", "ssse3", "cid", "sdbg",
	"fma", "cx16", "xtpr", "pdcm",
	NULL, "pcid", "dca", "sse4_1", "sse4_2", "x2apic", "movbe", "popcnt", "tsc_deadline_timer", "aes", "xsave",
	NULL, "avx", "f16c", "rdrand", "hypervisor",
};
static const char *const leaf7_ebx[32] = {
	"fsgsbase", "tsc_adjust", "sgx", "bmi1", "hle", "avx2", NULL, "smep", "bmi2", "erms", "invpcid", "rtm",
	"cqm", NULL, "mpx", "rdt_a",
	"avx512f", "avx512dq", "rdseed", "adx", "smap", "avx512ifma", NULL, "clflushopt", "clwb", "intel_pt",
	"avx512pf", "avx512er", "avx512cd", "sha_ni", "avx512bw", "avx512vl",
};
static const char *const leaf7_ecx[32] = {
	NULL, "avx512vbmi", "umip", "pku", "ospke", "waitpkg", "avx512_vbmi2", NULL, "gfni", "vaes", "vpclmulqdq",
	"avx512_vnni", "avx512_bitalg", "tme", "avx512_vpopcntdq", NULL,
	"la57", NULL, NULL, NULL, NULL, NULL, "rdpid", NULL, "bus_lock_detect", "cldemote", NULL, "movdiri",
	"movdir64b", "enqcmd", NULL, NULL,
};
static const char *const leaf7_edx[32] = {
	NULL, NULL, "avx512_4vnniw", "avx512_4fmaps", "fsrm", NULL, NULL, NULL, "avx512_vp2intersect", NULL,
	"md_clear", NULL, NULL, NULL, "serialize", NULL,
	"tsxldtrk", NULL, "pconfig", "arch_lbr", NULL, NULL, "amx_bf16", "avx512_fp16", "amx_tile", "amx_int8",
	NULL, NULL, "flush_l1d", "arch_capabilities", NULL, NULL,
};
static const char *const extended_edx[32] = {
	[11] = "syscall", [19] = "mp", [20] = "nx", [22] = "mmxext", [25] = "fxsr_opt", [26] = "pdpe1gb", [27] = "rdtscp", [29] = "lm",
	[30] = "3dnowext", [31] = "3dnow",
};
static const char *const extended_ecx[32] = {
	"lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy", "abm", "sse4a", "misalignsse", "3dnowprefetch",
	"osvw", "ibs", "xop", "skinit", "wdt", NULL, "lwp",
	"fma4", "tce", NULL, "nodeid_msr", NULL, "tbm", "topoext", "perfctr_core", "perfctr_nb", NULL, "bpext",
	"ptsc", "perfctr_llc", "mwaitx", NULL, NULL,
};
/* clang-format on */

static void put_flags(struct text *text, uint32_t bits, const char *const *names)
{
	for (unsigned i = 0; i < 32; i++)
		if ((bits >> i & 1) && names[i] != NULL)
			text_printf(text, " %s", names[i]);
}

struct cpu {
	uint32_t eax1, ebx1, ecx1, edx1, ebx7, ecx7, edx7, ecx_extended, edx_extended, xsave, address_bits;
	char vendor[13], model[49];
};

static void ask(struct cpu *cpu)
{
	uint32_t a, b, c, d, highest, highest_extended;

	memset(cpu, 0, sizeof(*cpu));
	__cpuid(0, highest, b, c, d);
	memcpy(cpu->vendor, &b, 4);
	memcpy(cpu->vendor + 4, &d, 4);
	memcpy(cpu->vendor + 8, &c, 4);
	__cpuid(1, cpu->eax1, cpu->ebx1, cpu->ecx1, cpu->edx1);
	if (highest >= 7)
		__cpuid_count(7, 0, a, cpu->ebx7, cpu->ecx7, cpu->edx7);
	if (highest >= 13)
		__cpuid_count(13, 1, cpu->xsave, b, c, d);
	__cpuid(0x80000000, highest_extended, b, c, d);
	if (highest_extended >= 0x80000001)
		__cpuid(0x80000001, a, b, cpu->ecx_extended, cpu->edx_extended);
	for (uint32_t i = 0; i < 3 && highest_extended >= 0x80000004; i++) {
		__cpuid(0x80000002 + i, a, b, c, d);
		memcpy(cpu->model + 16 * i, &a, 4);
		memcpy(cpu->model + 16 * i + 4, &b, 4);
		memcpy(cpu->model + 16 * i + 8, &c, 4);
		memcpy(cpu->model + 16 * i + 12, &d, 4);
	}
	if (highest_extended >= 0x80000008)
		__cpuid(0x80000008, cpu->address_bits, b, c, d);
	else
		cpu->address_bits = 48 << 8 | 40;
}

static void show_cpu(struct text *text, const struct cpu *cpu, unsigned number)
{
	static const char *const xsave_names[32] = {"xsaveopt", "xsavec", "xgetbv1", "xsaves"};
	unsigned family = cpu->eax1 >> 8 & 15, model = cpu->eax1 >> 4 & 15, khz = (unsigned)boot_info->tsc_khz;
	const char *name = cpu->model;

	while (*name == ' ')
		name++;
	if (family == 6 || family == 15)
		model |= cpu->eax1 >> 12 & 0xf0;
	if (family == 15)
		family += cpu->eax1 >> 20 & 255;
	text_printf(
	    text,
	    "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n",
	    number, cpu->vendor, family, model, name, cpu->eax1 & 15);
	text_printf(text,
		    "microcode\t: 0x1\ncpu MHz\t\t: %u.%03u\ncache size\t: 512 KB\nphysical id\t: 0\nsiblings\t: "
		    "%u\ncore id\t\t: %u\n",
		    khz / 1000, khz % 1000, boot_info->cpu_count, number);
	text_printf(text,
		    "cpu cores\t: %u\napicid\t\t: %u\ninitial apicid\t: %u\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid "
		    "level\t: 13\nwp\t\t: yes\nflags\t\t:",
		    boot_info->cpu_count, number, number);
	put_flags(text, cpu->edx1, leaf1_edx);
	put_flags(text, cpu->edx_extended, extended_edx);
	text_printf(text, " constant_tsc rep_good nopl nonstop_tsc cpuid");
	put_flags(text, cpu->ecx1, leaf1_ecx);
	put_flags(text, cpu->ecx_extended, extended_ecx);
	put_flags(text, cpu->ebx7, leaf7_ebx);
	put_flags(text, cpu->xsave, xsave_names);
	put_flags(text, cpu->ecx7, leaf7_ecx);
	put_flags(text, cpu->edx7, leaf7_edx);
	text_printf(text, "\nbugs\t\t:\nbogomips\t: %u.%02u\nclflush size\t: %u\ncache_alignment\t: 64\n", khz / 500,
		    khz / 5 % 100, (cpu->ebx1 >> 8 & 255) * 8);
	text_printf(text, "address sizes\t: %u bits physical, %u bits virtual\npower management:\n\n",
		    cpu->address_bits & 255, cpu->address_bits >> 8 & 255);
}

void proc_show_cpuinfo(struct text *text, struct pseudo_inode *inode)
{
	struct cpu cpu;

	(void)inode;
	ask(&cpu);
	for (unsigned i = 0; i < boot_info->cpu_count; i++)
		show_cpu(text, &cpu, i);
}
