/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's heap: slabs of one page for objects up to half a page, whole blocks of pages for more.
 * A slab's unused part is handed out in order, so that no free list has to be written into a page
 * that nobody needs yet.
 */
#include "kernel/arch.h"
#include "kernel/mm/page_internal.h"

#define HEAP_NONE 0xffffu

/* 272: a leaf of the page cache. */
static const uint16_t class_bytes[] = {16, 32, 64, 96, 128, 192, 272, 336, 512, 672, 1024, 1360, 2048};
static uint32_t partial[countof(class_bytes)]; /* slabs with room, by class */
static uint32_t partial_count[countof(class_bytes)];

void heap_init(void)
{
	memset(partial, 0, sizeof(partial));
	memset(partial_count, 0, sizeof(partial_count));
}

static unsigned class_of(size_t bytes)
{
	unsigned class = 0;
	while (class < countof(class_bytes) && class_bytes[class] < bytes)
		class ++;
	return class;
}

static unsigned order_of(size_t bytes)
{
	unsigned order = 0;
	while ((PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

static struct page *slab_new(unsigned class)
{
	void *address = pages_alloc(0);
	if (address == NULL)
		return NULL;
	struct page *page = page_of_gpa(arch_virt_to_phys(address));
	page->kind = PAGE_HEAP;
	page->order = (uint8_t) class;
	page->heap_free = HEAP_NONE;
	page->heap_bump = 0;
	page->used = 0;
	page_list_add(&partial[class], page);
	partial_count[class]++;
	return page;
}

static void slab_free(struct page *page)
{
	unsigned class = page->order;
	page_list_remove(&partial[class], page);
	partial_count[class]--;
	page->kind = PAGE_BLOCK;
	page->order = 0;
	pages_free(page_address(page), 0);
}

static bool slab_full(const struct page *page)
{
	return page->heap_free == HEAP_NONE && page->heap_bump + class_bytes[page->order] > (unsigned)PAGE_SIZE;
}

static void *slab_alloc(unsigned class)
{
	struct page *page = partial[class] != 0 ? page_of_frame(partial[class]) : slab_new(class);
	if (page == NULL)
		return NULL;
	char *base = page_address(page);
	char *object;
	if (page->heap_free != HEAP_NONE) {
		object = base + page->heap_free;
		page->heap_free = *(uint16_t *)object;
	} else {
		object = base + page->heap_bump;
		page->heap_bump = (uint16_t)(page->heap_bump + class_bytes[class]);
	}
	page->used++;
	if (slab_full(page)) {
		page_list_remove(&partial[class], page);
		partial_count[class]--;
	}
	return object;
}

void *kmalloc(size_t bytes)
{
	unsigned class = class_of(bytes);
	if (class < countof(class_bytes))
		return slab_alloc(class);
	unsigned order = bytes <= (PAGE_SIZE << PAGE_ORDER_MAX) ? order_of(bytes) : PAGE_ORDER_MAX + 1;
	return order <= PAGE_ORDER_MAX ? pages_alloc(order) : NULL;
}

void *kzalloc(size_t bytes)
{
	void *object = kmalloc(bytes);
	if (object != NULL && bytes <= class_bytes[countof(class_bytes) - 1])
		memset(object, 0, bytes); /* larger ones come from pages_alloc(): zero already */
	return object;
}

static size_t object_bytes(const struct page *page)
{
	return page->kind == PAGE_HEAP ? class_bytes[page->order] : (size_t)PAGE_SIZE << page->order;
}

void *krealloc(void *old, size_t bytes)
{
	if (old == NULL)
		return kmalloc(bytes);
	size_t have = object_bytes(page_of_gpa(arch_virt_to_phys(old)));
	if (bytes <= have && bytes > have / 4)
		return old;
	void *object = kmalloc(bytes);
	if (object == NULL)
		return bytes <= have ? old : NULL;
	memcpy(object, old, bytes < have ? bytes : have);
	kfree(old);
	return object;
}

void kfree(void *object)
{
	if (object == NULL)
		return;
	struct page *page = page_of_gpa(arch_virt_to_phys(object));
	if (page->kind == PAGE_BLOCK) {
		pages_free(object, page->order);
		return;
	}
	kassert(page->kind == PAGE_HEAP && page->used > 0);
	unsigned class = page->order;
	bool was_full = slab_full(page);
	uint16_t offset = (uint16_t)((uint64_t)object & (PAGE_SIZE - 1));
	kassert(offset % class_bytes[class] == 0);
	*(uint16_t *)object = page->heap_free;
	page->heap_free = offset;
	page->used--;
	if (was_full) {
		page_list_add(&partial[class], page);
		partial_count[class]++;
	}
	if (page->used == 0 && partial_count[class] > 1)
		slab_free(page);
}

char *kstrdup(const char *s)
{
	size_t bytes = strlen(s) + 1;
	char *copy = kmalloc(bytes);
	if (copy != NULL)
		memcpy(copy, s, bytes);
	return copy;
}
