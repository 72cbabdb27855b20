/* SPDX-License-Identifier: Apache-2.0 */
/* Address spaces: objects that can be made, shared, switched and (later, for fork) copied. */
#ifndef NUCLEO_MM_MM_H
#define NUCLEO_MM_MM_H

#include "kernel/arch.h"
#include "kernel/mm/page.h"

#define USER_MIN 0x10000ull               /* nothing is mapped below: a NULL dereference faults */
#define USER_MAX LAMPO_VA_KERNEL_BASE     /* programs end here */
#define STACK_TOP (USER_MAX - 0x10000ull) /* the first thread's stack grows down from near here */

struct vma; /* one mapping; kernel/mm/vma.h */

struct mm {
	uint32_t references;
	uint64_t pml4_gpa;
	uint32_t cpus; /* bit per vCPU that has the table loaded; kept by arch_load_page_table */
	/* Mappings, kept by kernel/mm/vma.c. */
	struct vma **vmas;
	unsigned vma_count, vma_room;
	uint64_t mmap_top; /* mmap places mappings below this, downwards */
	uint64_t brk_start, brk;
	uint64_t stack_limit; /* bytes the stack may grow to */
	uint64_t code_start, code_end, data_start, data_end;
	uint64_t arg_start, arg_end, env_start, env_end, stack_start; /* for /proc */
	uint64_t auxv[48];                                            /* as given to the program */
	uint64_t mapped_pages, resident_pages, locked_pages;
	uint64_t faults, faults_major;
	void *patch; /* state of the call-site patcher (kernel/entry/patch.c) */
};

int mm_new(struct mm **mm);
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm); /* the last one unmaps everything and frees the tables */

/* mmap's work. prot and flags as mmap(2); file may be NULL (its reference is taken, not consumed).
 * addr is in and out. -EINVAL, -ENOMEM, -EEXIST, -EACCES, -ENODEV as mmap(2). */
int mm_map(struct mm *mm, uint64_t *addr, uint64_t bytes, int prot, int flags, struct file *file, uint64_t offset);
int mm_unmap(struct mm *mm, uint64_t addr, uint64_t bytes);
int mm_protect(struct mm *mm, uint64_t addr, uint64_t bytes, int prot);
/* Maps `count` kernel pages for the program (vDSO, trampolines): read/exec or read, not writable. They are not
 * counted against it. name shows up in /proc/PID/maps. hint: search for room near (within 1 GiB of) *addr if
 * *addr != 0 and that place is taken. */
int mm_map_kernel_pages(struct mm *mm, uint64_t *addr, struct page **pages, unsigned count, int prot, const char *name);

/* A page fault of a program. 0: resolved; otherwise the signal to deliver with its si_code:
 * signal = SIGSEGV (SEGV_MAPERR, SEGV_ACCERR), SIGBUS (BUS_ADRERR), or SIGKILL when memory ran out.
 * error is the CPU's code: 1 present, 2 write, 16 fetch. May sleep. */
int mm_fault(struct mm *mm, uint64_t va, uint32_t error, int *si_code);

/* Program memory. The kernel never faults on it: these look up, and if need be create, the pages
 * first (including copy-on-write), then copy. 0 or -EFAULT; may sleep. They act on the current
 * address space. */
int user_read(void *to, uint64_t from, uint64_t bytes);
int user_write(uint64_t to, const void *from, uint64_t bytes);
int user_zero(uint64_t to, uint64_t bytes);
/* NUL-terminated string, at most size bytes with its NUL: length, -EFAULT or -ENAMETOOLONG. */
int64_t user_string(char *to, uint64_t from, uint64_t size);
/* Makes [va, va + bytes) present for reading or writing; 0 or -EFAULT. The pages stay until the
 * kernel lock is dropped, so that code may then touch them directly. */
int user_prepare(uint64_t va, uint64_t bytes, bool write);
/* Kernel address of one byte of program memory's page (for futexes: identity and atomic access), NULL on fault. The
 * page comes without a reference: both stay valid until the kernel lock is dropped. */
void *user_page(uint64_t va, bool write, struct page **page);
/* Bypasses page rights (a private copy is made where needed): for the patcher. Same-address-space only. */
int user_write_code(uint64_t va, const void *from, uint64_t bytes);
/* Makes the page of va private (the TLB is flushed if its frame changed) and gives its kernel address, for
 * patching in place. -EFAULT: not mapped, shared or the kernel's. May sleep. */
int user_code_page(uint64_t va, void **kernel_address);

#define user_get(to, va) user_read((to), (va), sizeof(*(to)))
#define user_put(va, from) user_write((va), (from), sizeof(*(from)))

/* For /proc/PID/maps and the like. */
struct vma_info {
	uint64_t start, end, offset;
	int prot, flags;   /* PROT_*, MAP_* */
	struct file *file; /* NULL: anonymous */
	const char *name;  /* "[heap]", "[stack]", "[vdso]", or NULL */
	uint64_t resident_pages;
};
/* The first mapping that ends above `va`; false: none. */
bool mm_vma_info(struct mm *mm, uint64_t va, struct vma_info *info);

#endif
