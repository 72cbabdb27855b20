/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the monitor and nucleo agree on: the image header that the monitor reads from nucleo's ELF
 * file, the boot information that it leaves in guest memory, and the address layout.
 *
 * Rule for LAMPO_ABI_VERSION: raise it with every change of a layout or of a meaning in
 * include/abi/. The monitor refuses a kernel of another version, and the kernel a monitor.
 *
 * All numbers are little-endian and naturally aligned. "gpa" is a guest-physical address, "va" an
 * address that nucleo uses.
 */
#ifndef LAMPO_ABI_BOOT_H
#define LAMPO_ABI_BOOT_H

#include <stdint.h>

#define LAMPO_ABI_VERSION 2u

/* ---- address layout ------------------------------------------------------------------------ */

/* Guest-physical: RAM is one slot from 0. */
#define LAMPO_GPA_MMIO 0x3e00000000ull   /* virtio-mmio devices, one page each */
#define LAMPO_GPA_KERNEL 0x3f00000000ull /* nucleo's read-only segment, a read-only slot */
#define LAMPO_GPA_IMAGE 0x4000000000ull  /* the EROFS of the root's image: its file, a read-only slot */
#define LAMPO_IMAGE_MAX (128ull << 30)   /* bytes of it */
#define LAMPO_MMIO_STRIDE 0x1000u
#define LAMPO_GPA_DOORBELL (LAMPO_GPA_MMIO + 0x10000ull) /* one page, include/abi/doorbell.h */
#define LAMPO_RAM_MAX (192ull << 30)
#define LAMPO_RAM_MIN (16ull << 20)

/* Virtual: everything of nucleo lies in page-table slot 255, above all addresses of programs. */
#define LAMPO_VA_KERNEL_BASE 0x7f8000000000ull /* programs end below this */
#define LAMPO_VA_DIRECT 0x7f8000000000ull      /* all RAM: va = gpa + this; RW, NX, 2 MiB pages */
#define LAMPO_VA_IMAGE 0x7fb000000000ull       /* that EROFS: read-only, NX, 2 MiB pages */
#define LAMPO_VA_MMIO 0x7fe000000000ull        /* the MMIO pages and the doorbell page, RW, NX, uncached */
#define LAMPO_VA_KERNEL 0x7ff000000000ull      /* nucleo's ELF segments, as linked */

/* ---- nucleo's image header: the first bytes of its first (read-only) PT_LOAD segment --------- */

#define LAMPO_IMAGE_MAGIC 0x6f656c63756e2e6cull /* "l.nucleo" */

#define LAMPO_GATES_MAX 64u

/* One IDT entry: the monitor builds the table from these. */
struct lampo_gate {
	uint64_t va;    /* handler in the gate (ring 0) */
	uint8_t vector; /* IDT index */
	uint8_t ist;    /* 1..7, or 0: none */
	uint8_t dpl;    /* 0, or 3 for one that ring 3 may raise (int3) */
	uint8_t reserved[5];
};

struct lampo_image_header {
	uint64_t magic;
	uint32_t abi_version;
	uint32_t gate_count;
	uint64_t entry;         /* ring 3 entry of a vCPU: rdi = va of boot info, rsi = vCPU index */
	uint64_t syscall_entry; /* MSR_LSTAR, ring 0 */
	struct lampo_gate gates[LAMPO_GATES_MAX];
};

/* Segment selectors of the GDT that the monitor builds. The user selectors are Linux's: on
 * PVM-style KVM the descriptors in force in ring 3 are the host's. STAR = KCODE << 32 | 0x23 << 48. */
#define LAMPO_SEL_KCODE 0x10u /* ring 0, 64 bit */
#define LAMPO_SEL_KDATA 0x18u
#define LAMPO_SEL_UDATA 0x2bu
#define LAMPO_SEL_UCODE 0x33u /* ring 3, 64 bit */
#define LAMPO_SEL_TSS 0x40u   /* 16 bytes */

/* ---- per-vCPU page ---------------------------------------------------------------------------
 * One 4 KiB page per vCPU in RAM, at boot_info.cpu_pages + index * 4096. GS base of the vCPU is its
 * va in the direct map, in ring 3 and in ring 0 alike (nothing uses swapgs). The monitor zeroes it,
 * writes `self` and `index`, and points TSS.IST[n-1] at LAMPO_CPU_IST_TOP(n). Above each IST top lie
 * five words that nucleo fills with the iret frame through which the gate enters ring 3.
 * The first 1 KiB is nucleo's own (kernel/entry/cpu.h); the monitor touches only this head.
 */
struct lampo_cpu_head {
	uint64_t self;  /* va of this page */
	uint32_t index; /* vCPU number */
	uint32_t reserved;
	uint32_t pending;     /* set by the gate: an interrupt came while nucleo ran */
	uint32_t irq_busy;    /* set by the monitor when it injects an interrupt, cleared by the guest once the
			       * interrupt's frame is read: until then the monitor injects no other one */
	uint64_t deadline_ns; /* argument of HALT and TIMER: CLOCK_MONOTONIC of the guest; ~0: none */
	uint64_t mailbox[4];  /* further arguments of a doorbell */
};

#define LAMPO_CPU_IST_SLOT 256u /* 208 bytes of stack below, 48 bytes of frame above the top */
#define LAMPO_CPU_IST_BASE 1024u
#define LAMPO_CPU_IST_TOP(n) (LAMPO_CPU_IST_BASE + (n)*LAMPO_CPU_IST_SLOT - 48u) /* n = 1..7; 16-aligned */

/* ---- boot information ------------------------------------------------------------------------ */

#define LAMPO_BOOT_MAGIC 0x746f6f622e6f706dull
#define LAMPO_DEVICES_MAX 16u
#define LAMPO_QUEUES_MAX 4u
#define LAMPO_MOUNTS_MAX 12u
#define LAMPO_TIMELINE_MAX 16u
#define LAMPO_CPUS_MAX 32u

/* A virtqueue (virtio 1.2, 2.7) that the monitor has set up and enabled already: nucleo uses it
 * without touching a register. Rings are zeroed. size is a power of two. */
struct lampo_boot_queue {
	uint32_t size; /* 0: the queue does not exist */
	uint32_t reserved;
	uint64_t desc_gpa, avail_gpa, used_gpa;
};

struct lampo_boot_device {
	uint32_t virtio_id; /* 3 console, 4 rng, 26 fs */
	uint32_t reserved;
	uint64_t mmio_gpa;
	uint64_t features; /* as negotiated on nucleo's behalf; status is DRIVER_OK */
	struct lampo_boot_queue queues[LAMPO_QUEUES_MAX];
};

/* A file system that the guest sees: a directory of the host, or the image. Device `device` is a virtio-fs. */
#define LAMPO_MOUNT_READ_ONLY 1u /* writes fail with EROFS */
#define LAMPO_MOUNT_OVERLAY 2u   /* writes go to guest memory */
#define LAMPO_MOUNT_IMAGE 4u     /* not a directory but the image's EROFS; device and node mean nothing */
struct lampo_boot_mount {
	uint32_t device; /* index into devices[] */
	uint32_t flags;
	uint64_t target; /* guest path: offset into the strings */
	uint64_t node;   /* FUSE node id of the directory to mount: 1, the device's root */
};

/* Stages of the boot timeline that nucleo stamps with rdtsc; 0: not reached. */
enum lampo_timeline {
	LAMPO_T_ENTRY,   /* first instruction of the vCPU */
	LAMPO_T_MEMORY,  /* allocator and page tables are ready */
	LAMPO_T_DEVICES, /* devices are ready */
	LAMPO_T_ROOT,    /* root and mounts are there */
	LAMPO_T_LOADED,  /* program and interpreter are mapped */
	LAMPO_T_PROGRAM, /* just before the program's first instruction */
	LAMPO_T_EXIT,    /* the program has called exit or was killed */
};

#define LAMPO_BOOT_STRACE 1u /* print every system call to the log port */
#define LAMPO_BOOT_TTY 2u    /* console is a terminal: line discipline in the guest */
#define LAMPO_BOOT_STDIN 4u  /* standard input is connected; without: end of file at once */
#define LAMPO_BOOT_COUNTS 8u /* print counters (faults, system calls, sites patched) at exit */

struct lampo_boot_info {
	uint64_t magic;
	uint32_t abi_version;
	uint32_t flags; /* LAMPO_BOOT_* */
	uint64_t ram_bytes;
	uint64_t free_gpa;      /* RAM from here on is unused and zero; page-aligned */
	uint64_t pml4_gpa;      /* the first address space: only slot 255 is filled */
	uint64_t populated_gpa; /* host memory up to here is present already */
	/* Unused, zeroed RAM below free_gpa, best used for page tables: KVM with shadow paging maps a 2 MiB
	 * block that holds one in 4 KiB pages only, each with a fault of its own. */
	uint64_t tables_gpa, tables_bytes;
	uint64_t image_bytes; /* of the EROFS at LAMPO_GPA_IMAGE, whole blocks of 4 KiB; 0: there is none */
	/* A bit for each of its blocks, in 64-bit words: verified (LAMPO_PORT_VERIFY). Only the monitor sets them, at
	 * any time. */
	uint64_t image_verified_gpa;
	uint32_t cpu_count; /* vCPUs that may be started with LAMPO_PORT_START_CPU; 0 runs already */
	uint32_t device_count;
	uint64_t cpu_pages; /* gpa */

	uint64_t tsc_khz;
	uint64_t xsave_bytes; /* size of an XSAVE area for xcr0 */
	uint64_t xcr0;

	/* Clocks: at tsc_base the guest's CLOCK_REALTIME was realtime_ns and its CLOCK_MONOTONIC
	 * monotonic_ns. The monitor may rewrite the three at any exit: clock_seq is odd while it
	 * does. */
	uint32_t clock_seq;
	uint32_t reserved0;
	uint64_t tsc_base, realtime_ns, monotonic_ns;

	uint8_t random[64]; /* from the host's getrandom */

	/* Strings: NUL-terminated, one after another; all offsets are from boot info's start. */
	uint64_t strings_bytes; /* whole size of boot info with its strings */
	uint32_t argc, envc;
	uint64_t argv, envp;    /* offset of the first of argc (envc) strings */
	uint64_t cwd, hostname; /* offsets */
	uint32_t uid, gid;      /* of the program, in the guest */
	uint32_t mount_count;
	uint32_t reserved1;
	struct lampo_boot_mount mounts[LAMPO_MOUNTS_MAX];

	struct lampo_boot_device devices[LAMPO_DEVICES_MAX];

	/* Written by nucleo, read by the monitor; hostile like everything else of the guest. */
	uint64_t timeline[LAMPO_TIMELINE_MAX]; /* TSC */
	/* Devices with something new for the guest, bit = device index: set by the monitor (atomic
	 * or) before it wakes a vCPU, cleared by nucleo (atomic exchange). */
	uint64_t device_events;
	/* Signals for the program, bit n - 1 = signal n: set and cleared likewise. */
	uint64_t signals;
	/* Terminal size, columns << 16 | rows, 0: unknown. The monitor rewrites it and sends SIGWINCH. */
	uint32_t terminal_size;
	uint32_t reserved2;
	uint64_t panic_bytes; /* length of the message below, clipped by the monitor */
	char panic_text[512];
};

#endif
