/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of kernel/mm/ know about a page frame beyond kernel/mm/page.h. */
#ifndef NUCLEO_MM_PAGE_INTERNAL_H
#define NUCLEO_MM_PAGE_INTERNAL_H

#include "kernel/mm/image.h"
#include "kernel/mm/page.h"

#define PAGE_ORDER_MAX 9u /* 2 MiB */

enum page_kind {
	PAGE_NEVER_USED, /* what untouched metadata reads as */
	PAGE_FREE,       /* first frame of a free block of `order` */
	PAGE_USED,       /* one page with references */
	PAGE_CACHED,     /* the same, and a cache holds one of the references */
	PAGE_BLOCK,      /* first frame of pages_alloc()'s block of `order` */
	PAGE_HEAP,       /* a slab; `order` is its size class */
	PAGE_IMAGE,      /* of the image, which has no metadata: only page_kind() says so */
};

/* 16 bytes, so that the metadata of 1 MiB of memory fills one page. Lists link frame numbers; frame 0 is
 * never allocated and means "none". */
struct page {
	union {
		uint32_t references;
		struct {
			uint16_t heap_free; /* offset of the first freed object, HEAP_NONE */
			uint16_t heap_bump; /* objects from here on were never used */
		};
	};
	uint32_t next, prev;
	uint8_t kind;
	uint8_t order;
	uint16_t used; /* objects of a slab */
};
_Static_assert(sizeof(struct page) == 16, "metadata stays compact");

#define IMAGE_FRAME (LAMPO_GPA_IMAGE >> PAGE_SHIFT) /* the first */
static inline bool page_is_image(const struct page *page) { return arch_in_image(page); }
static inline enum page_kind page_kind(const struct page *page)
{
	return page_is_image(page) ? PAGE_IMAGE : (enum page_kind)page->kind;
}
/* One page table entry holds the only reference: the program that it belongs to may write there. */
static inline bool page_is_own(const struct page *page)
{
	return page_kind(page) == PAGE_USED && page->references == 1;
}

uint32_t page_frame(const struct page *page);
struct page *page_of_frame(uint32_t frame);

/* A page for a program or a file, zeroed, one reference. Leaves the last pages to the kernel itself: NULL
 * comes earlier than from page_alloc(). Gives up clean cached pages first. */
struct page *page_alloc_program(bool zeroed);
/* True if memory is plentiful enough to map pages that may never be used. */
bool page_plenty(unsigned pages);
/* Blocks for page tables; like pages_alloc(), but counted apart. */
uint64_t page_free_count(void);

/* Pages taken out of page tables, to be freed after the TLB flush. */
struct page_gather {
	uint32_t head;
};
void page_gather_add(struct page_gather *gather, struct page *page); /* takes over one reference */
void page_gather_free(struct page_gather *gather);

extern uint64_t cache_page_count; /* pages in all caches */

/* Parts that start over with page_init(). */
void heap_init(void);
void page_table_init(void);
void cache_init_list(void);

/* Lists through next/prev. */
static inline void page_list_add(uint32_t *head, struct page *page)
{
	page->prev = 0;
	page->next = *head;
	if (*head != 0)
		page_of_frame(*head)->prev = page_frame(page);
	*head = page_frame(page);
}

static inline void page_list_remove(uint32_t *head, struct page *page)
{
	if (page->prev != 0)
		page_of_frame(page->prev)->next = page->next;
	else
		*head = page->next;
	if (page->next != 0)
		page_of_frame(page->next)->prev = page->prev;
	page->next = page->prev = 0;
}

#endif
