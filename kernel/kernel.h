/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nucleo: what every file of the kernel may use.
 *
 * Headers: Linux's own <linux/...> and <asm/...> for structs and constants of the system call
 * interface, the compiler's freestanding headers, base/, include/abi/. Never a libc header: the same
 * sources are built freestanding for the guest and, for unit tests, as a host program.
 *
 * Locking: one kernel lock. All code in kernel/ runs with it held, except the files of kernel/entry/
 * that say otherwise. It is dropped only by wait_*(), sched_yield_kernel() and arch_doorbell_sleeping(); whoever
 * calls one of these "may sleep" and must look again at whatever it remembered. Programs run in
 * parallel on all vCPUs meanwhile. There is no pre-emption inside the kernel.
 */
#ifndef NUCLEO_KERNEL_H
#define NUCLEO_KERNEL_H

#include <asm/errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/boot.h"
#include "base/list.h"
#include "base/util.h"

#define PAGE_SIZE 4096ull
#define PAGE_SHIFT 12
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define NS_PER_SECOND 1000000000ull
#define NS_PER_MS 1000000ull

struct process;
struct thread;
struct mm;
struct file;
struct inode;

/* Formatting: %d %i %u %x %X %o %c %s %p %% with l, ll, z, width, 0, -, precision for %s. Returns the
 * length that would have been written; always terminates if size > 0. (kernel/lib/format.c) */
int kvsnprintf(char *to, size_t size, const char *format, va_list args);
int ksnprintf(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A line to the monitor's log (standard error of lampo run). For --strace, --counts, panics; nothing else. */
void klog(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The kernel itself is broken: never on a path that a program can trigger. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define kassert(condition)                                                                                             \
	do {                                                                                                           \
		if (unlikely(!(condition)))                                                                            \
			panic("%s:%d: %s", __FILE__, __LINE__, #condition);                                            \
	} while (0)

/* kernel/lib/string.c in the guest, libc in host builds. */
void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

/* The boot information; constant but for the fields that the monitor writes. */
extern struct lampo_boot_info *boot_info;

#endif
