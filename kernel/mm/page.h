/* SPDX-License-Identifier: Apache-2.0 */
/* Physical pages of the guest: allocation, reference counts. */
#ifndef NUCLEO_MM_PAGE_H
#define NUCLEO_MM_PAGE_H

#include "kernel/kernel.h"

struct page; /* one per page frame; kernel/mm/page.c has the layout */

/* Takes over the RAM behind boot_info->free_gpa. Touches as little memory as it can: what was never
 * used is known to be zero, and a page's first touch costs the host a fault. New memory is taken in
 * growing chunks that the monitor makes present first (LAMPO_PORT_POPULATE). */
void page_init(void);

/* One page with one reference; NULL: out of memory (after clean cached pages were given up). Zeroed
 * unless known to be overwritten. */
struct page *page_alloc(void);
struct page *page_alloc_uninitialised(void);
/* 2^order contiguous pages, aligned to their size, zeroed; freed by pages_free only. */
void *pages_alloc(unsigned order);
void pages_free(void *va, unsigned order);

void page_get(struct page *page);
void page_put(struct page *page); /* the last one frees it */
uint32_t page_references(const struct page *page);

void *page_address(const struct page *page);
uint64_t page_gpa(const struct page *page);
struct page *page_of_gpa(uint64_t gpa); /* RAM and the image only */

struct page_statistics {
	uint64_t total, free, cached, kernel; /* pages */
};
void page_statistics(struct page_statistics *statistics);

/* Kernel heap: objects up to some pages. Zeroed by kzalloc. NULL: out of memory. */
void *kmalloc(size_t bytes);
void *kzalloc(size_t bytes);
void *krealloc(void *old, size_t bytes);
void kfree(void *object);
char *kstrdup(const char *s);

#endif
